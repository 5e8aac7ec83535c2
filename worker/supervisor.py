"""``hookline worker --processes N``: keeps so many workers running, stops them in order, and gives up when it must.

A worker runs in a session of its own, so that Ctrl-C reaches only us and we stop it in order; its standard input is a
pipe from us, so that it ends with us even if we are killed.
"""

import asyncio
import logging
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

log = logging.getLogger(__name__)

QUICK: Final = timedelta(seconds=5)
QUICK_DEATHS: Final = 5
_FIRST_WAIT: Final = timedelta(milliseconds=500)  # doubled with each further death
_IN_ORDER: Final = frozenset({0, -signal.SIGTERM})  # the latter: told to stop before it had begun


def quick_deaths(before: int, *, lived: timedelta) -> int:
    """How many times in a row a process has now died soon after its start.

    >>> quick_deaths(2, lived=timedelta(seconds=1)), quick_deaths(2, lived=timedelta(minutes=1))
    (3, 0)
    """
    return before + 1 if lived < QUICK else 0


def wait_before_start(quick: int) -> timedelta | None:
    """How long to wait before a process that died is started again; None: give it up.

    >>> [wait_before_start(quick).total_seconds() for quick in range(5)]
    [0.0, 0.0, 0.5, 1.0, 2.0]
    >>> wait_before_start(5) is None
    True
    """
    if quick >= QUICK_DEATHS:
        return None
    return timedelta(0) if quick < 2 else _FIRST_WAIT * 2 ** (quick - 2)


class Supervisor:
    """Runs one command many times over.

    Args:
        command: what one worker is started with; it ends when its standard input does, and on SIGTERM.
        count: how many.
        patience: how long one may take to stop before it is killed.
        burst: one that ends with 0 has done its work and is not started again.
    """

    def __init__(
        self, command: Sequence[str], *, count: int, patience: timedelta, burst: bool = False
    ) -> None:
        self._command = command
        self._count = count
        self._patience = patience
        self._burst = burst
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, or until one of them can't be kept up. Returns the exit code."""
        for end in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(end, self._stop)
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._count + 1):
                group.create_task(self._keep(number))
        return self._exit_code

    def _stop(self) -> None:
        log.info("stopping %d worker processes", self._count)
        self._stopping.set()

    async def _keep(self, number: int) -> None:
        """Keep one of them up."""
        clock = asyncio.get_running_loop().time
        quick = 0
        while not self._stopping.is_set():
            started = clock()
            code = await self._live()
            if self._stopping.is_set() or (self._burst and code == 0):
                self._exit_code |= code not in _IN_ORDER
                return
            quick = quick_deaths(quick, lived=timedelta(seconds=clock() - started))
            wait = wait_before_start(quick)
            if wait is None:
                log.error(
                    "worker process %d ended %d times in a row within %g seconds of its start, now with %d: giving up; "
                    "its last lines say why",
                    *(number, quick, QUICK.total_seconds(), code),
                )
                self._exit_code = 1
                self._stopping.set()
                return
            log.warning(
                "worker process %d ended with %d; it starts again in %g s", number, code, wait.total_seconds()
            )
            await self._told_to_stop(within=wait)

    async def _live(self) -> int:
        """One process from its start to its end. Returns its exit code."""
        process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, start_new_session=True)
        ended = asyncio.create_task(process.wait())
        told = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            await self._end(process)
        return await ended

    async def _end(self, process: Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await process.wait()
        except TimeoutError:
            log.error("worker process %d did not stop in time and is killed", process.pid)
            process.kill()

    async def _told_to_stop(self, *, within: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await self._stopping.wait()
