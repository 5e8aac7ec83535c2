"""What operators want of this worker: which queues and handlers are paused, and whether it is to stop.

It looks when it is told that something has changed, and once in a while, for a message may get lost; a job costs it nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from infra.ledger import LedgerError, Pauses
from infra.ledger.pauses import Wishes
from infra.ledger.records import HandlerEntry
from infra.ledger.wire import limits_of

log = logging.getLogger(__name__)


class Orders:
    """The orders for one worker.

    Attributes:
        queues: those that it may claim from.
        limits: of its handlers, as a claim takes them; a paused one has none of its jobs run.

    Args:
        look_every: with or without a word from others.
        changed: called when there is `news`.
        drain: called when the worker is to stop.
    """

    def __init__(
        self,
        pauses: Pauses,
        *,
        worker: str,
        queues: tuple[str, ...],
        manifest: Sequence[HandlerEntry],
        look_every: timedelta,
        changed: Callable[[], None],
        drain: Callable[[], None],
    ) -> None:
        self.queues = queues
        self.limits = limits_of(manifest)
        self._pauses = pauses
        self._worker = worker
        self._served = queues
        self._manifest = manifest
        self._look_every = look_every.total_seconds()
        self._changed = changed
        self._drain = drain
        self._heeded = self._heard = Wishes()
        self._look = asyncio.Event()

    @property
    def news(self) -> bool:
        """Whether it has heard of what it does not heed yet."""
        return self._heard is not self._heeded

    def look(self) -> None:
        """Something may have changed."""
        self._look.set()

    async def run(self) -> None:
        """Keep informed, for as long as the task lives."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._look.wait()
            self._look.clear()
            try:
                await self.hear()
            except LedgerError as error:
                log.error("what operators want could not be read: %s", error)

    async def hear(self) -> None:
        """Look once.

        Raises:
            LedgerError: it can't be read; what was known stays.
        """
        heard = await self._pauses.wishes(self._worker)
        if heard.drain:
            self._drain()
        elif heard != self._heard:
            self._heard = heard
            log.info("paused: %s", ", ".join(sorted(heard.queues | heard.handlers)) or "nothing any more")
            self._changed()

    async def heed(self) -> None:
        """Go by what was heard. Between two claims: one that is under way would park again what is let in here.

        Raises:
            LedgerError: not confirmed; to be repeated.
        """
        heard = self._heard
        self.queues = tuple(name for name in self._served if name not in heard.queues)
        self.limits = limits_of(self._manifest, heard.handlers)
        resumed = self._heeded.handlers - heard.handlers
        known = {entry.handler: entry.concurrency for entry in self._manifest}
        for handler in sorted(resumed & known.keys()):
            await self._pauses.let_in(handler, known[handler])
        self._heeded = heard
