"""The worker's lease: renewed at a third of its length, in a thread with a loop and a connection of its own, so that a
handler which blocks the worker's loop does not cost the lease.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from infra.ledger import Ledger, LedgerError
from infra.ledger.records import HandlerEntry

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2


class Lease:
    """Keeps one worker registered.

    Args:
        ledger: opens a ledger in the loop that renews.
        record: RQ's fields of the worker, asked for at each renewal.
    """

    def __init__(
        self,
        ledger: Callable[[], AbstractAsyncContextManager[Ledger]],
        *,
        worker: str,
        length: timedelta,
        queues: Sequence[str],
        manifest: Sequence[HandlerEntry],
        record: Callable[[], Mapping[str, str]],
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._length = length
        self._queues = queues
        self._manifest = manifest
        self._record = record
        self._lost: Callable[[], object] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def renew(self, ledger: Ledger) -> None:
        """Renew once.

        Raises:
            LedgerError: not confirmed.
        """
        kept = await ledger.workers.renew(
            self._worker,
            lease=self._length,
            queues=self._queues,
            manifest=self._manifest,
            record=self._record(),
        )
        if not kept:
            log.warning(
                "the lease had run out: what this worker runs is run elsewhere",
                extra={"worker": self._worker},
            )
            if self._lost is not None:
                self._lost()

    async def run(self, *, lost: Callable[[], object]) -> None:
        """Renew for as long as the task lives.

        Args:
            lost: called when others were given what this worker runs.
        """
        self._lost = lost
        async with self._ledger() as ledger:
            pause = _FIRST_PAUSE_SECONDS
            while not self._stop.is_set():
                try:
                    await self.renew(ledger)
                    pause = self._length.total_seconds() / 3
                except LedgerError as error:
                    log.error("the lease could not be renewed: %s", error)
                    pause = min(_FIRST_PAUSE_SECONDS, self._length.total_seconds() / 10)
                await self._wait(pause)

    def start_thread(self, *, lost: Callable[[], object]) -> None:
        """The same in a thread, until `stop`; `lost` is called there."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self.run(lost=lost)), name="lease", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the renewals. One that hangs on a silent Redis is not waited for: it ends with the process."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    async def _wait(self, seconds: float) -> None:
        if self._thread is None:
            await asyncio.sleep(seconds)
        else:
            self._stop.wait(seconds)
