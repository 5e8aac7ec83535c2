"""Where a handler runs: a coroutine in the worker's loop, a ``def`` in a thread, ``isolation="process"`` in a child.

A job that was executing when its worker died, twice, runs in a child of its own, whatever was declared: if it kills
again, it kills that child alone, and is given up.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from handlers.attempt import Runner, never
from handlers.declaration import Handler
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import Claim, ErrorInfo, Failed, Outcome, Released
from worker.children import COME_BACK, SECONDS_OF_PATIENCE, Children, ProcessDied

log = logging.getLogger(__name__)

_LAST_CRASH: Final = CRASH_CAP - 1


class Isolation:
    """Runs attempts where their handlers belong.

    Args:
        children: the processes.
        threads: the most ``def`` handlers at a time; a job that is held beyond them waits, and its time is not running. After
            two seconds it goes back to the front of its queue, a second later: another worker may have a thread for it.
    """

    def __init__(self, runner: Runner, children: Children, *, threads: int) -> None:
        self._runner = runner
        self._children = children
        self.threads = threads
        self._threads = asyncio.Semaphore(threads)
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Whether jobs wait for a place already: no further one should be claimed."""
        return self._waiting > 0 or self._children.crowded

    def run(
        self, handler: Handler, claim: Claim, *, canceled: Callable[[], bool] = never
    ) -> Coroutine[Any, Any, Outcome]:
        """Make the attempt.

        Args:
            canceled: what `Context.canceled` asks.

        Raises:
            asyncio.CancelledError: the worker gave the attempt up.
        """
        if _needs_a_process(handler, claim):
            return self._in_child(handler, claim)
        if handler.blocking:
            return self._in_a_thread(claim, canceled)
        return self._runner.run(claim, canceled=canceled)

    def can_stop(self, handler: Handler, claim: Claim) -> bool:
        """Whether the cancellation of an attempt ends it: a thread goes on until the function returns."""
        return not handler.blocking or _needs_a_process(handler, claim)

    def kill_children(self) -> int:
        """Kill the child processes that are at work: their attempts fail. Returns how many."""
        return self._children.kill_busy()

    async def aclose(self) -> None:
        """End the child processes. Call it in the loop that ran the handlers."""
        await self._children.aclose()

    async def _in_a_thread(self, claim: Claim, canceled: Callable[[], bool]) -> Outcome:
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS_OF_PATIENCE):
                await self._threads.acquire()
        except TimeoutError:
            return Released(delay=COME_BACK)
        finally:
            self._waiting -= 1
        try:
            return Released() if canceled() else await self._runner.run(claim, canceled=canceled)
        finally:
            self._threads.release()

    async def _in_child(self, handler: Handler, claim: Claim) -> Outcome:
        alone = claim.crashes >= _LAST_CRASH
        try:
            return await self._children.run(claim, limit=handler.timeout, alone=alone)
        except Exception as error:  # noqa: BLE001 - whatever a child is up to, the worker goes on
            if alone and isinstance(error, ProcessDied) and error.running:
                return Failed(error=_third_death(claim, error))
            return self._runner.decide(handler, claim, error)


def _needs_a_process(handler: Handler, claim: Claim) -> bool:
    return handler.isolation == "process" or claim.crashes >= _LAST_CRASH


def _third_death(claim: Claim, error: ProcessDied) -> ErrorInfo:
    return ErrorInfo(
        type="WorkerLost",
        message=f"{error}; {claim.crashes} workers had died during this job before: it is given up",
    )
