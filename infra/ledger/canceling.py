"""Many jobs canceled at once: those that have not ended and fit a filter."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from infra.ledger.jobs import Jobs
from infra.ledger.lists import Filter, Lists, gather
from infra.ledger.records import JobStatus
from infra.ledger.selections import MOST, MOST_PAGES

OPEN_STATUSES: Final = (JobStatus.SCHEDULED, JobStatus.QUEUED, JobStatus.STARTED)
"""In the order in which jobs go through them: who looks in this order misses none that moves on meanwhile."""


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """The jobs that a filter finds.

    Args:
        statuses: by their ids, how each stood; those that run last, and of one status the newest first. So nothing that is to be
            canceled takes the place of what was.
        complete: False where there may be more: only so many are taken, and looked at.
    """

    statuses: Mapping[str, JobStatus]
    complete: bool

    @property
    def counts(self) -> Mapping[JobStatus, int]:
        """How many stood in each open status."""
        counted = Counter(self.statuses.values())
        return {status: counted[status] for status in OPEN_STATUSES}


class Canceling:
    """Chooses jobs, and cancels them. Everything here raises `LedgerError` where Redis does not answer."""

    def __init__(self, lists: Lists, jobs: Jobs) -> None:
        self._lists = lists
        self._jobs = jobs

    async def find(self, wanted: Filter) -> OpenJobs:
        """The jobs that fit and have not ended.

        Args:
            wanted: its status is one of `OPEN_STATUSES`, or None for any of them.
        """
        found: dict[str, JobStatus] = {}
        complete = True
        for status in OPEN_STATUSES:
            if wanted.status not in (None, status):
                continue
            narrowed = replace(wanted, status=status)
            page = await gather(self._lists.jobs, narrowed, MOST - len(found), pages=MOST_PAGES)
            found |= {job.id: status for job in page.items}
            complete = complete and page.next is None
        return OpenJobs(found, complete and len(found) < MOST)

    async def cancel(self, chosen: OpenJobs, *, by: str) -> int:
        """Cancel them. Returns how many are canceled now; the others have ended meanwhile.

        Args:
            by: who wants it, for their timelines.
        """
        statuses = await self._jobs.cancel_all(list(chosen.statuses), by=by)
        return sum(status is JobStatus.CANCELED for status in statuses)
