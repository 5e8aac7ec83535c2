"""``python -m worker.child FD``: the process in which handlers with ``isolation="process"`` run, one attempt at a time.

FD is a socket to the worker (`worker.frames`); standard output and error stay the handlers' own. The process leads a
session, so that whoever ends it ends all that a handler started: the worker when an attempt takes too long, and this
process itself when the worker has gone.
"""

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Final

from handlers.attempt import Runner
from handlers.errors import HandlerError
from handlers.http_clients import HTTPClients, fetching_client
from handlers.registry import Registry, load
from infra import logs
from infra.clock import SystemClock
from infra.egress import EgressPolicy
from infra.errors import HooklineError
from infra.ledger.records import Claim, Progress
from worker import frames
from worker.asking import Asking
from worker.frames import Answered, Attempt, Ended, Logged, Message, Progressed, Ready, Setup

_TELL_EVERY_SECONDS: Final = 0.1


class Voice:
    """The `Effects` of a child: log lines go at once, of progress the newest word a few times a second."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = Lock()
        self._newest: Progressed | None = None
        self._news = Event()

    def progress(self, job_id: str, progress: Progress) -> None:
        with self._lock:
            self._newest = Progressed(job_id, progress)
        self._news.set()

    def log(self, job_id: str, level: str, message: str) -> None:
        self.say(Logged(job_id, level, message))

    def say(self, *messages: Message) -> None:
        """Send messages, after what progress was not yet told."""
        with self._lock:
            newest, self._newest = self._newest, None
            for message in (newest, *messages):
                if message is not None:
                    self._channel.sendall(frames.packed(message))

    def keep_telling(self) -> None:
        """Send the newest word on progress, for as long as the worker listens."""
        with suppress(OSError):
            while self._news.wait():
                self._news.clear()
                self.say()
                time.sleep(_TELL_EVERY_SECONDS)


class MainThread(Executor):
    """Runs ``def`` handlers where libraries expect to be: in the main thread, with no loop around them."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._calls.put(lambda: future.set_result(call(*args, **kwargs)))
        return future

    def serve(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a loop beside the main thread, and here what it submits."""
        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(asyncio.run, attempt)
            running.add_done_callback(lambda _: self._calls.put(None))
            while (call := self._calls.get()) is not None:
                call()
            running.result()


def main(descriptor: int) -> None:
    """Make attempts until the worker has enough."""
    # A whole service may be told to stop: the worker decides what then becomes of us. A function, unlike SIG_IGN, is not
    # passed on to the programs that a handler starts.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _volunteer_when_memory_runs_out()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # nothing is flushed by a SIGKILL
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    setup = frames.receive(channel)
    if not isinstance(setup, Setup):
        raise TypeError(f"a worker begins with {Setup.__name__}")
    logs.configure(level=setup.log, log_format=setup.log_format, secrets=setup.secrets)
    claims: SimpleQueue[Claim] = SimpleQueue()
    voice = Voice(channel)
    asking = Asking(voice)
    Thread(target=_listen, args=(channel, claims, asking), name="listen", daemon=True).start()
    sys.path[:] = setup.path
    registry = load(setup.modules)
    Thread(target=voice.keep_telling, name="tell", daemon=True).start()
    while True:
        voice.say(Ready())
        _make(registry, voice, asking, setup.policy, claims.get())


def _make(registry: Registry, voice: Voice, asking: Asking, policy: EgressPolicy, claim: Claim) -> None:
    handler = registry.find(claim.source, claim.type)
    if handler is None:
        raise HandlerError(
            f"no handler for {claim.source} {claim.type}: a file has changed since the worker began"
        )
    main_thread = MainThread()
    http = HTTPClients(guarded=lambda: fetching_client(policy))
    runner = Runner(
        registry,
        executor=main_thread,
        effects=voice,
        services=asking,
        http=http,
        clock=SystemClock(),
        jitter=random.random,
    )

    async def attempt() -> None:
        with logs.bind(job=claim.job_id, event=claim.event_id, attempt=claim.attempt):
            outcome = await runner.run(claim)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        voice.say(Ended.by(outcome))
        await http.aclose()

    if handler.blocking:
        main_thread.serve(attempt())
    else:
        asyncio.run(attempt())


def _listen(channel: socket.socket, claims: SimpleQueue[Claim], asking: Asking) -> None:
    """Take attempts and answers, until the worker has gone: then nothing that it started goes on."""
    with suppress(EOFError, OSError, ValueError):
        while isinstance(message := frames.receive(channel), Attempt | Answered):
            if isinstance(message, Attempt):
                claims.put(message.claim)
            else:
                asking.answered(message)
    os.killpg(0, signal.SIGKILL)


def _volunteer_when_memory_runs_out() -> None:
    """Linux takes us before the worker and what else runs there."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except HooklineError as error:
        sys.exit(f"hookline: {error}")
