"""Finds what a crash left behind, and what has fallen due. Every worker has one; many at once do no harm.

Of many workers, one sweeps: it tells the others, whose own turn then moves on. When it is heard of no more, another does.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from infra.ids import new_suffix
from infra.ledger import Ledger, LedgerError
from worker.wakeup import tell

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = timedelta(minutes=1)


class Sweeper:
    """Promotes due jobs on time, and looks for lost work once every `interval`.

    Args:
        spread: draws a number in [0, 1), so that many workers do not sweep in step.
        retires: whether it removes what is past retention; where there is an archive, `worker.archivist` does.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        queues: Sequence[str],
        interval: timedelta,
        spread: float,
        retires: bool = True,
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._interval = interval
        self._spread = spread
        self._retires = retires
        self._id = new_suffix()
        self._due = asyncio.Event()
        self._swept = asyncio.Event()

    def look_at_schedule(self) -> None:
        """Something may be due sooner than was thought."""
        self._due.set()

    def heard_of(self, sweeper: str) -> None:
        """That one has swept."""
        if sweeper != self._id:
            self._swept.set()

    async def keep_schedule(self) -> None:
        """Queue jobs when they are due, for as long as the task lives."""
        while True:
            self._due.clear()
            wait: timedelta | None = self._interval
            try:
                _, wait = await self._ledger.jobs.promote(self._queues)
            except LedgerError as error:
                log.error("due jobs could not be queued: %s", error)
            await _set_within(self._due, _LOOK_EVERY if wait is None else min(wait, _LOOK_EVERY))

    async def keep_sweeping(self) -> None:
        """Look for lost work, for as long as the task lives."""
        wait = self._interval * self._spread
        while True:
            if await _set_within(self._swept, wait):
                self._swept.clear()
                wait = self._interval * (1.25 + self._spread / 4)
                continue
            try:
                found = await self._ledger.jobs.patrol()
                if not found.quiet:
                    await self.sweep()
                if found.workers > 1:
                    await tell(self._ledger.redis, f"swept {self._id}")
            except LedgerError as error:
                log.error("lost work could not be looked for: %s", error)
            wait = self._interval

    async def sweep(self) -> None:
        """Look once."""
        while (found := await self._ledger.jobs.take_over()).more:
            pass
        if found.requeued or found.failed:
            log.warning(
                "took over jobs of dead workers", extra={"requeued": found.requeued, "failed": found.failed}
            )
        mended = await self._ledger.jobs.sweep(patience=self._interval)
        if mended:
            log.warning("mended what stood nowhere", extra={"mended": mended})
        if self._retires and (retired := await self._ledger.jobs.retire()):
            log.info("removed jobs past their retention", extra={"retired": retired})


async def _set_within(event: asyncio.Event, wait: timedelta) -> bool:
    """Whether the event came to be set in that time."""
    try:
        async with asyncio.timeout(wait.total_seconds()):
            return await event.wait()
    except TimeoutError:
        return False
