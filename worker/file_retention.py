"""Removes uploads and artifacts that are past ``HOOKLINE_FILE_RETENTION``, about once an hour. One of all workers does."""

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from infra.clock import Clock
from infra.files import StoreUnavailable
from infra.ledger import LedgerError, Troubles

if TYPE_CHECKING:
    from infra.files.store import FileStore

log = logging.getLogger(__name__)

_EVERY: Final = timedelta(hours=1)
_LOOK_EVERY: Final = timedelta(minutes=5)  # a worker that has just started need not wait for an hour


class FileRetention:
    """Keeps a store tidy.

    Args:
        keep: for how long.
    """

    def __init__(
        self, store: "FileStore", turns: Troubles, *, worker: str, keep: timedelta, clock: Clock
    ) -> None:
        self._store = store
        self._turns = turns
        self._worker = worker
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Tidy for as long as the task lives."""
        while True:
            await self.turn()
            await asyncio.sleep(_LOOK_EVERY.total_seconds())

    async def turn(self) -> None:
        """Tidy, if nobody has within the hour."""
        try:
            if await self._turns.take_turn("files", self._worker, length=_EVERY):
                removed = await self._store.retire((self._clock.now() - self._keep).date())
                if removed:
                    log.info("removed files past their retention", extra={"removed": removed})
        except (LedgerError, StoreUnavailable) as error:
            log.error("old files could not be removed: %s", error)
