"""What became of attempts, on its way to the ledger: as many at a time as have ended, while others run.

One request is in flight at a time, beside the claim's: Redis records what ended while the worker runs what comes next.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from infra.ledger import Jobs, LedgerError
from infra.ledger.records import Settlement
from infra.ledger.scripts import BATCH
from worker.reports import Reports

if TYPE_CHECKING:
    from infra.ledger.jobs import Report

log = logging.getLogger(__name__)

_PAUSE: Final = 0.5
_PATIENCE: Final = 5.0  # seconds, of a worker that is to stop, with a Redis that is away


class Settling:
    """Settles attempts that have ended.

    Args:
        jobs: over a connection of its own, which is closed with this.
        reports: what their handlers said last goes first: the lease that allows saying it ends here.
        settled: called after each batch that Redis confirmed, with whether a callback waits to be sent.
    """

    def __init__(self, jobs: Jobs, reports: Reports, *, worker: str, settled: Callable[[bool], None]) -> None:
        self._jobs = jobs
        self._reports = reports
        self._worker = worker
        self._settled = settled
        self._ended: list[Settlement] = []
        self._under_way = 0
        self._last_words: list[Report] = []
        self._more = asyncio.Event()
        self._tried = asyncio.Event()
        self._without_redis = 0.0  # seconds
        self.count = 0

    def add(self, settlement: Settlement) -> None:
        """An attempt has ended."""
        self._ended.append(settlement)
        self._more.set()

    @property
    def waiting(self) -> int:
        """How many have ended that Redis does not know of."""
        return len(self._ended)

    @property
    def behind(self) -> int:
        """How many of them could not be sent yet, because others are under way: they run again if this process dies."""
        return len(self._ended) - self._under_way if self._under_way else 0

    async def run(self) -> None:
        """Settle for as long as the task lives."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._ended:
                try:
                    await self._settle(self._ended[:BATCH])
                    self._without_redis = 0.0
                except LedgerError as error:
                    log.error("%s; trying again", error)
                    await asyncio.sleep(_PAUSE)
                    self._without_redis += _PAUSE
                self._tried.set()

    async def drain(self) -> None:
        """Return when all is settled that has ended, or after some seconds without Redis."""
        self._without_redis = 0.0
        while self._ended and self._without_redis < _PATIENCE:
            self._tried.clear()
            await self._tried.wait()
        if self._ended:
            log.error(
                "%d outcomes could not be recorded: those jobs are taken over and run again", self.waiting
            )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._jobs.aclose()

    async def _settle(self, ending: Sequence[Settlement]) -> None:
        self._under_way = len(ending)
        async with self._reports.on_the_way:
            self._last_words += [
                said for one in ending if (said := self._reports.close(one.claim)) is not None
            ]
        if self._last_words:
            await self._jobs.report(self._last_words)
            self._last_words = []
        called = await self._jobs.settle(self._worker, ending)
        del self._ended[: len(ending)]
        self._under_way = 0
        self.count += len(ending)
        self._settled(called)
