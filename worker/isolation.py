"""Where a handler runs: a coroutine in the worker's loop, a ``def`` in a thread."""

import asyncio

from handlers.attempt import Runner
from handlers.declaration import Handler
from infra.ledger.records import Claim, Outcome


class Isolation:
    """Runs attempts where their handlers belong.

    Args:
        threads: the most ``def`` handlers at a time; a job that is held beyond them waits, and its time is not running.
    """

    def __init__(self, runner: Runner, *, threads: int) -> None:
        self._runner = runner
        self._threads = asyncio.Semaphore(threads)
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Whether a job waits for a thread already: no further one should be claimed."""
        return self._waiting > 0

    async def run(self, handler: Handler, claim: Claim) -> Outcome:
        """Make the attempt.

        Raises:
            asyncio.CancelledError: the worker gave the attempt up.
        """
        if not handler.blocking:
            return await self._runner.run(claim)
        self._waiting += 1
        try:
            await self._threads.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._runner.run(claim)
        finally:
            self._threads.release()
