"""What a job's attempts keep for the next ones, and the events that jobs wait for."""

from redis.asyncio import Redis

from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.parsing import text
from infra.ledger.reading import Reading
from infra.ledger.records import Claim, EventRecord
from infra.ledger.scripts import Scripts
from infra.ledger.seal import SEAL_LENGTH, Seal
from infra.ledger.wire import plain, seen_key


class Steps(Reading):
    """Texts under names, which only the holder of a job's lease may write.

    Each is sealed: what somebody else wrote there was not kept, and is done again.
    """

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def kept(self, job_id: str) -> dict[str, str]:
        """What earlier attempts kept, by name.

        Raises:
            LedgerError: Redis did not answer.
        """
        found: dict[str, str] = {}
        (flat,) = await self._fetch([("HGETALL", keys.STEPS + plain(job_id))])
        for name, value in mapping(flat).items():
            sealed, content = value[:SEAL_LENGTH], value[SEAL_LENGTH:]
            if self._seal.holds(sealed, *_parts(job_id, name, content)):
                found[text(name)] = text(content)
        return found

    async def keep(self, claim: Claim, name: str, content: str) -> bool:
        """Keep a text. Returns False where the job is no longer this attempt's, and nothing was kept.

        Raises:
            LedgerError: not confirmed; may be repeated.
        """
        named, data = plain(name).encode(), content.encode()
        sealed = self._seal.make(*_parts(claim.job_id, named, data)) + data
        return bool(await self._scripts.run("step", claim.job_id, claim.token, named, sealed) == b"done")

    async def look_for(
        self, job_id: str, source: str, key: str, *, event_id: str | None = None
    ) -> EventRecord | None:
        """The event of a source whose provider's id, or whose wait key, is this; None where it has not come.

        Args:
            job_id: who waits for it: the event that woke it comes first.
            event_id: which one it was, where that is known.

        Raises:
            LedgerError: Redis did not answer.
        """
        digest = seen_key(source, key)
        named = [event_id] if event_id is not None else await self._named(job_id, digest)
        for name in filter(None, named):
            event = await self.event(name)
            if (
                event is not None
                and event.source == source
                and key in (event.provider_event_id, event.wait_key)
            ):
                return event
        return None

    async def _named(self, job_id: str, digest: str) -> list[str]:
        """The events that may be it. Whoever can write to Redis could name another: what the event tells of itself counts."""
        found = await self._fetch([
            ("HGET", keys.STEPS + plain(job_id), f"came:{digest}"),
            ("GET", keys.SEEN + digest),
            ("GET", keys.ARRIVED + digest),
        ])  # fmt: skip
        return [text(name) for name in found]


def _parts(job_id: str, name: bytes, content: bytes) -> tuple[bytes, ...]:
    return b"step", job_id.encode(), name, content
