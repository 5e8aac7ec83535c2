"""Which jobs are to run again: those that have ended and fit a filter, or that are named."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from infra.ledger import keys
from infra.ledger.lists import MOST_ON_A_PAGE, Filter, Lists
from infra.ledger.parsing import text
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from infra.ledger.wire import plain

MOST: Final = 10_000  # jobs
MOST_PAGES: Final = 500  # of the list that they are chosen from


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs that a filter finds, oldest first.

    Args:
        complete: False where there may be more: only so many are chosen, and looked at.
        succeeded: how many of them are jobs of an event that has succeeded already.
    """

    jobs: tuple[JobRecord, ...]
    complete: bool
    succeeded: int

    @property
    def retries(self) -> int:
        """How many of them are retried; the others are replayed."""
        return sum(job.status is JobStatus.FAILED for job in self.jobs)


class Selections(Lists):
    """Chooses jobs. Everything here raises `LedgerError` where Redis does not answer."""

    async def select(self, wanted: Filter, *, ids: Sequence[str] | None = None) -> Selection:
        """The jobs that have ended and fit.

        Args:
            ids: of jobs: only these; at most `MOST`.
        """
        if ids is not None:
            return await self._selection(await self.jobs_of(ids, lean=True), wanted, complete=True)
        found: list[JobRecord | None] = []
        place = None
        for _ in range(MOST_PAGES):
            page = await self.jobs(wanted, limit=min(MOST_ON_A_PAGE, MOST - len(found)), after=place)
            found += page.items
            place = page.next
            if place is None or len(found) >= MOST:
                break
        return await self._selection(found[::-1], wanted, complete=place is None)

    async def _selection(
        self, found: Sequence[JobRecord | None], wanted: Filter, *, complete: bool
    ) -> Selection:
        statuses: Collection[object] = TERMINAL_STATUSES if wanted.status is None else {wanted.status}
        jobs = tuple(job for job in found if job is not None and job.status in statuses)
        return Selection(jobs, complete, await self._succeeded(jobs))

    async def _succeeded(self, jobs: Sequence[JobRecord]) -> int:
        """How many are of an event one of whose jobs has finished."""
        done = {job.event_id for job in jobs if job.status is JobStatus.FINISHED}
        events = list({job.event_id: None for job in jobs if job.event_id not in done})
        names = await self._fetch([("HKEYS", keys.EVENT + event_id) for event_id in events])
        siblings = [
            (event_id, text(name)[4:])
            for event_id, of_one in zip(events, names, strict=True)
            for name in of_one or []
            if name.startswith(b"job:")
        ]
        records = await self._fetch(
            [("HMGET", keys.JOB + plain(job_id), "status", "outcome") for _, job_id in siblings]
        )
        for (event_id, _), record in zip(siblings, records, strict=True):
            if record and record[0] == b"finished" and record[1] is None:
                done.add(event_id)
        return sum(job.event_id in done for job in jobs)
