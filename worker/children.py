"""The worker's child processes: started when needed, kept warm, used again, and ended with all that they started.

HooklineError
└── ProcessDied   a child ended during an attempt, or before it
"""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from os import killpg
from typing import Final

from handlers.context import Effects
from handlers.files import remove_folder
from handlers.services import Services
from infra.errors import HooklineError
from infra.ledger.records import Claim, Outcome, Released
from worker import frames
from worker.asking import answer
from worker.frames import Asked, Attempt, Ended, Logged, Message, Progressed, Ready, Setup

_ATTEMPTS_PER_CHILD: Final = 1_000
_SECONDS_TO_START: Final = 60.0  # handlers may import what takes long
_SECONDS_TO_TIDY: Final = 5.0  # between two attempts
_SECONDS_TO_CLEAN_UP: Final = 1.0  # in which an ``async def`` handler may end by itself, after its timeout
SECONDS_OF_PATIENCE: Final = 2.0
COME_BACK: Final = timedelta(seconds=1)


class ProcessDied(HooklineError):
    """A child ended by itself; the text says how.

    Args:
        running: whether it had been given the attempt.
    """

    def __init__(self, how: str, *, running: bool) -> None:
        super().__init__(f"the handler's process {how}{'' if running else ', before the attempt began'}")
        self.running = running


class Child:
    """One process, for one attempt at a time. Make it with `start`; when anything goes wrong with it, it is killed."""

    def __init__(
        self,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        effects: Effects,
        services: Services,
    ) -> None:
        self.attempts = 0
        self._process = process
        self._reader = reader
        self._writer = writer
        self._effects = effects
        self._services = services
        self._reading = asyncio.Lock()
        self._killed = False
        self.ended = asyncio.create_task(self._bury())

    @classmethod
    async def start(cls, setup: Setup, effects: Effects, services: Services) -> "Child":
        """Start a process in a session of its own. It loads its handlers meanwhile.

        Raises:
            OSError: the system has none to give.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "worker.child", str(theirs.fileno())),
                    stdin=DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                writer.close()
                raise
        writer.write(frames.packed(setup))
        return cls(process, reader, writer, effects, services)

    @property
    def alive(self) -> bool:
        """Whether it can take another attempt."""
        return not self._killed and self._process.returncode is None

    async def ready(self, *, within: float) -> "Child":
        """Itself, once it can take an attempt.

        Args:
            within: seconds.

        Raises:
            ProcessDied: it will never be.
        """
        async with self._using():
            try:
                async with asyncio.timeout(within):
                    while not isinstance(message := await frames.read(self._reader), Ready):
                        self._pass_on(message)
            except TimeoutError:
                raise ProcessDied(f"was not ready within {within:g}s", running=False) from None
            except (EOFError, ConnectionError):
                raise ProcessDied(await self._epitaph(), running=False) from None
        return self

    async def run(self, claim: Claim, *, limit: timedelta) -> Outcome:
        """Make an attempt, of which it must be `ready`; when that has taken all its time, the process is killed.

        Raises:
            ProcessDied: the process did not live to tell the outcome.
            TimeoutError: it did not end in time.
        """
        seconds, started = limit.total_seconds(), asyncio.get_running_loop().time()
        async with self._using():
            try:
                async with asyncio.timeout(seconds + _SECONDS_TO_CLEAN_UP):
                    outcome = await self._make(claim)
            except TimeoutError:
                raise TimeoutError(f"the attempt took longer than {seconds:g}s") from None
            except (EOFError, ConnectionError):
                raise ProcessDied(await self._epitaph(), running=True) from None
        if asyncio.get_running_loop().time() - started >= seconds:
            self.kill()
        self.attempts += 1
        return outcome

    def kill(self) -> None:
        """End it, and what its handlers started, at once."""
        if not self._killed:
            self._killed = True
            with suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left
                killpg(self._process.pid, signal.SIGKILL)

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[None]:
        async with self._reading:
            try:
                yield
            except BaseException:
                self.kill()
                raise

    async def _make(self, claim: Claim) -> Outcome:
        self._writer.write(frames.packed(Attempt(claim)))
        await self._writer.drain()
        while not isinstance(message := await frames.read(self._reader), Ended):
            if isinstance(message, Asked):
                self._writer.write(frames.packed(await answer(self._services, claim, message)))
                await self._writer.drain()
            else:
                self._pass_on(message)
        return message.outcome

    def _pass_on(self, message: Message) -> None:
        match message:
            case Progressed(job_id, progress):
                self._effects.progress(job_id, progress)
            case Logged(job_id, level, text):
                self._effects.log(job_id, level, text)
            case _:
                raise ValueError(f"a child does not say {type(message).__name__} now")

    async def _epitaph(self) -> str:
        try:
            async with asyncio.timeout(1):
                code = await self._process.wait()
        except TimeoutError:
            return "closed its connection to the worker"
        if code >= 0:
            return f"ended with exit code {code}"
        why = ", as Linux does when memory runs out" if -code == signal.SIGKILL else ""
        return f"was killed by {_signal_name(-code)}{why}"

    async def _bury(self) -> None:
        """However it ends, its group ends: what it forked may hold our socket open, and we read to the end of that."""
        await self._process.wait()
        self.kill()
        async with self._reading:
            self._writer.close()


class Children:
    """The child processes of one worker.

    Args:
        slots: the most attempts at a time.
        effects: where progress and log lines go.
        services: what answers the handlers' questions.
    """

    def __init__(self, setup: Setup, *, slots: int, effects: Effects, services: Services) -> None:
        self._setup = setup
        self._slots = slots
        self._effects = effects
        self._services = services
        self._free = asyncio.Semaphore(slots)
        self._waiting = 0
        self._idle: list[Child] = []
        self._living: set[Child] = set()

    @property
    def crowded(self) -> bool:
        """Whether more attempts wait than can be next."""
        return self._waiting > self._slots

    async def run(self, claim: Claim, *, limit: timedelta, alone: bool = False) -> Outcome:
        """Make an attempt in a child.

        Args:
            alone: in a process that ran nothing before and runs nothing after it.

        Returns:
            Its outcome; `Released` where others took all slots for too long: their work may take hours.

        Raises:
            ProcessDied: the child did not live to tell the outcome.
            TimeoutError: the attempt took longer than `limit`.
            OSError: no process can be started.
        """
        if not await self._slot_taken():
            return Released(delay=COME_BACK)
        try:
            child = await self._child(fresh=alone)
            outcome = await child.run(claim, limit=limit)
            if alone or child.attempts >= _ATTEMPTS_PER_CHILD:
                child.kill()
            if child.alive:
                self._idle.append(child)
            return outcome
        finally:
            remove_folder(claim)
            self._free.release()

    def kill_busy(self) -> int:
        """Kill those that are at work: their attempts fail. Returns how many."""
        busy = [child for child in self._living if child not in self._idle]
        for child in busy:
            child.kill()
        return len(busy)

    async def aclose(self) -> None:
        """End all of them; what they run is lost."""
        for child in self._living:
            child.kill()
        if self._living:
            await asyncio.wait([child.ended for child in self._living], timeout=5)

    async def _slot_taken(self) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS_OF_PATIENCE):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    async def _child(self, *, fresh: bool) -> Child:
        """One that is ready. What is wrong with an old one is no fault of the attempt that comes next."""
        while self._idle and not fresh:
            with suppress(ProcessDied):
                return await self._idle.pop().ready(within=_SECONDS_TO_TIDY)
        child = await Child.start(self._setup, self._effects, self._services)
        self._living.add(child)
        child.ended.add_done_callback(lambda _: self._living.discard(child))
        return await child.ready(within=_SECONDS_TO_START)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
