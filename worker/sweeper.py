"""Finds what a crash left behind, and what has fallen due. Every worker has one; many at once do no harm."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from infra.ledger import Ledger, LedgerError

log = logging.getLogger(__name__)


class Sweeper:
    """Promotes due jobs on time, and looks for lost work once every `interval`.

    Args:
        spread: draws a number in [0, 1), so that many workers do not sweep in step.
    """

    def __init__(self, ledger: Ledger, *, queues: Sequence[str], interval: timedelta, spread: float) -> None:
        self._ledger = ledger
        self._queues = queues
        self._interval = interval
        self._first = interval * spread
        self._due = asyncio.Event()

    def look_at_schedule(self) -> None:
        """Something may be due sooner than was thought."""
        self._due.set()

    async def keep_schedule(self) -> None:
        """Queue jobs when they are due, for as long as the task lives."""
        while True:
            self._due.clear()
            wait: timedelta | None = None
            try:
                _, wait = await self._ledger.jobs.promote(self._queues)
            except LedgerError as error:
                log.error("due jobs could not be queued: %s", error)
            await self._pause(min(wait if wait is not None else self._interval, self._interval))

    async def keep_sweeping(self) -> None:
        """Look for lost work, for as long as the task lives."""
        await asyncio.sleep(self._first.total_seconds())
        while True:
            try:
                await self.sweep()
            except LedgerError as error:
                log.error("lost work could not be looked for: %s", error)
            await asyncio.sleep(self._interval.total_seconds())

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
        if retired := await self._ledger.jobs.retire():
            log.info("removed jobs past their retention", extra={"retired": retired})

    async def _pause(self, wait: timedelta) -> None:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._due.wait()
        except TimeoutError:
            pass
