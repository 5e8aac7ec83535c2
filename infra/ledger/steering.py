"""What is run again by hand: a failed job in a new round, an event by one more job."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from infra.ledger import keys
from infra.ledger.parsing import text
from infra.ledger.reading import Reading
from infra.ledger.records import HandlerEntry, JobRecord, JobStatus
from infra.ledger.scripts import Argument
from infra.ledger.seal import Seal
from infra.ledger.settling import whole_seconds
from infra.ledger.wire import Story, change, plain, unsealed
from infra.strict_json import written


class Verdict(StrEnum):
    """What became of one wish.

    ``NOT_FAILED``, ``THERE`` and ``OVERTAKEN``: nothing was changed. ``SPENT``: a job has a hundred rounds at the most, an event about as many jobs.
    """

    DONE = "done"
    NOT_FAILED = "ended"
    THERE = "there"
    OVERTAKEN = "overtaken"
    SPENT = "spent"
    MISSING = ""


class Origin(NamedTuple):
    """What a replay is made of: an event's head as it was sealed, and what it tells of one of its jobs."""

    event_id: str
    head: bytes
    story: Story


class Steering(Reading):
    """Runs jobs again. Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    async def retry(self, job: JobRecord, *, by: str) -> Verdict:
        """Queue a failed job again, in a new round.

        Args:
            job: as `Reading` gives it, which looks at its seal.
            by: who wants it, for the job's timeline.
        """
        return await self._again(by, retry_arguments(job))

    async def replay(
        self,
        origin: Origin,
        job_id: str,
        *,
        by: str,
        queue: str | None,
        entry: HandlerEntry | None,
        seen: int | None = None,
    ) -> Verdict:
        """Make one more job of an event, under a new id; with the same id nothing happens twice.

        Args:
            queue: None: the handler's, else that of the event's first job.
            entry: what live workers say of such jobs.
            seen: how many jobs it has, as far as whoever asks knows: with another one it is `OVERTAKEN`; None: however many.
        """
        return await self._again(
            by, replay_arguments(origin, job_id, seal=self._seal, queue=queue, entry=entry, seen=seen)
        )

    async def origin(self, event_id: str, jobs: Sequence[str]) -> Origin | None:
        """What a replay of an event is made of, or None where no seal holds.

        Args:
            jobs: the event's; the first whose seal holds tells of itself.
        """
        names = [f"job:{plain(job_id)}" for job_id in jobs]
        (kept,) = await self._fetch([("HMGET", keys.EVENT + plain(event_id), "head", *names)])
        head, *births = kept or [None]
        for job_id, birth in zip(jobs, births, strict=False):
            story = unsealed(self._seal, job_id, event_id, head, birth)
            if story is not None:
                return Origin(event_id, head, story)
        return None

    async def _again(self, by: str, item: Sequence[Argument]) -> Verdict:
        (verdict,) = await self._scripts.run("again", by, "", "", 0, 0, *item)
        return Verdict(text(verdict))


def retry_arguments(job: JobRecord, *, queue: str = "") -> list[Argument]:
    """One job to retry, as ``again.lua`` takes it.

    Args:
        queue: empty: its own.
    """
    queued = change(job_id=job.id, event_id=job.event_id, status=JobStatus.QUEUED, queue=queue or job.queue,
                    source=job.source, type=job.type, tag=job.tag)  # fmt: skip
    return ["retry", job.id, job.event_id, queue, "", "", "", "", queued]


def replay_arguments(
    origin: Origin,
    job_id: str,
    *,
    seal: Seal,
    queue: str | None,
    entry: HandlerEntry | None,
    seen: int | None = None,
) -> list[Argument]:
    """One event to replay, as ``again.lua`` takes it: the new job is born as the old one was, but at once."""
    head, birth = origin.story
    wanted = queue or (None if entry is None else entry.queue) or birth["queue"]
    timeout = birth.get("timeout") if entry is None else whole_seconds(entry.timeout)
    told = {**birth, "queue": wanted, "timeout": timeout, "run_at": None}
    born = written({name: value for name, value in told.items() if value is not None})
    sealed = seal.make(job_id.encode(), origin.event_id.encode(), origin.head, born) + born
    queued = change(job_id=job_id, event_id=origin.event_id, status=JobStatus.QUEUED, queue=wanted,
                    source=head["source"], type=head["type"], tag=head.get("tag"))  # fmt: skip
    return [
        "replay", job_id, origin.event_id, wanted, sealed, "" if timeout is None else timeout, birth.get("line", ""),
        "" if seen is None else seen, queued,
    ]  # fmt: skip
