"""Accepting events: the one door into the ledger."""

from collections.abc import Sequence
from datetime import timedelta

from infra.durations import milliseconds
from infra.ledger.records import Arrival, JobStatus, Receipt
from infra.ledger.scripts import BATCH, Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import accept_arguments


class Events:
    """Records arrivals, a batch in one atomic step."""

    def __init__(self, scripts: Scripts, seal: Seal, *, dedup_window: timedelta) -> None:
        self._scripts = scripts
        self._seal = seal
        self._dedup_window = dedup_window

    def dedicated(self, *, fsynced: bool = False) -> "Events":
        """The same over a connection of its own, one batch at a time; to be closed.

        Args:
            fsynced: what is accepted is on the server's disk.
        """
        scripts = self._scripts.dedicated(fsynced=fsynced)
        return Events(scripts, self._seal, dedup_window=self._dedup_window)

    async def aclose(self) -> None:
        """Close the connection, if it is its own."""
        await self._scripts.aclose()

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Store each event and queue its job; a duplicate gets the first one's ids and runs nothing.

        Args:
            arrivals: up to `BATCH`. All are stored, or none.

        Raises:
            LedgerError: Redis did not confirm: the arrivals may or may not be stored, and may be sent again.
            ValueError: there are too many, or the ids of an event and its job don't belong together.
        """
        if len(arrivals) > BATCH:
            raise ValueError(f"at most {BATCH} arrivals at a time")
        arguments: list[Argument] = [milliseconds(self._dedup_window)]
        for arrival in arrivals:
            arguments += accept_arguments(arrival, self._seal)
        replies = await self._scripts.run("accept", *arguments)
        return [_receipt(arrival, reply) for arrival, reply in zip(arrivals, replies, strict=True)]


def _receipt(arrival: Arrival, reply: list[bytes]) -> Receipt:
    event_id, job_id, verdict = reply
    return Receipt(
        event_id=event_id.decode(),
        job_id=job_id.decode(),
        status=JobStatus.SCHEDULED if arrival.run_at is not None else JobStatus.QUEUED,
        duplicate=verdict != b"new",
        same_body=verdict != b"differs",
    )
