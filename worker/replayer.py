"""Carries out bulk replays (`infra.ledger.replays`). Every worker has one; each page is run by one of them."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

from infra.ledger import Ledger, LedgerError

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = timedelta(minutes=1)
_PAUSE: Final = timedelta(seconds=1)


class Replayer:
    """Runs pages of bulk replays when they are due, on Redis's clock.

    Args:
        worker: this process, as the ledger knows who holds a page.
    """

    def __init__(self, ledger: Ledger, *, worker: str) -> None:
        self._ledger = ledger
        self._worker = worker
        self._sequence = 0
        self._changed = asyncio.Event()

    def look(self) -> None:
        """A bulk replay may be due."""
        self._changed.set()

    async def run(self) -> None:
        """For as long as the task lives."""
        while True:
            self._changed.clear()
            try:
                wait = await self.turn()
            except LedgerError as error:
                log.error("a bulk replay could not go on: %s", error)
                wait = _PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, _LOOK_EVERY).total_seconds()):
                    await self._changed.wait()

    async def turn(self) -> timedelta:
        """Run one page, if one is due. Returns how long to wait before the next turn.

        Raises:
            LedgerError: not confirmed; what was taken is taken again when its lease has run out.
        """
        self._sequence += 1
        found = await self._ledger.replays.proceed(self._worker, sequence=self._sequence)
        if found is None or isinstance(found, timedelta):
            return _LOOK_EVERY if found is None else found
        begun = await self._ledger.replays.run(found)
        log.info("jobs are run again", extra={"replay": found.id, "jobs": begun, "queue": found.queue})
        return timedelta(0)
