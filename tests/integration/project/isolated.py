"""Handlers that run in child processes, and most of which misbehave there. Files that they write to come in the payload."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from handlers import Context, handler

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@handler("box", "echo", isolation="process")
async def echo(context: Context) -> dict[str, Any]:
    return {"payload": context.payload, "attempt": context.attempt, "pid": os.getpid()}


@handler("box", "plain", isolation="process")
def plain(context: Context) -> dict[str, Any]:
    """A loop of its own can run only where there is none."""
    main = threading.current_thread() is threading.main_thread()
    return {"main thread": main, "slept": asyncio.run(asyncio.sleep(0, "yes")), "pid": os.getpid()}


@handler("box", "talks", isolation="process")
def talks(context: Context) -> str:
    print("to standard output")
    print("to standard error", file=sys.stderr)
    context.log.info("to the job's log")
    for step in range(10_000):
        context.progress(step, 10_000)
    return sys.stdin.read()


@handler("box", "too much", isolation="process", max_attempts=1)
def too_much(context: Context) -> str:
    print("x" * (50 << 20))
    return "x" * (50 << 20)


@handler("box", "large", isolation="process")
async def large(context: Context) -> str:
    return '"' * (3 << 20)


@handler("box", "stubborn", isolation="process", timeout="500ms", max_attempts=1)
def stubborn(context: Context) -> None:
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    Path(context.payload).write_text(str(os.getpid()))
    while True:
        time.sleep(600)


@handler("box", "spins", isolation="process", timeout="1s", max_attempts=1)
async def spins(context: Context) -> None:
    while True:
        pass


@handler("box", "tidy", isolation="process", timeout="200ms")
async def tidy(context: Context) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        Path(context.payload).write_text("tidied up")


@handler("box", "waits for a program", isolation="process", timeout="30s")
def waits_for_a_program(context: Context) -> None:
    """As one waits for ffmpeg."""
    program = subprocess.Popen(SLEEP)
    Path(context.payload).write_text(f"{os.getpid()} {program.pid}")
    program.wait()


@handler("box", "is late with a program", isolation="process", timeout="500ms", max_attempts=1)
async def is_late_with_a_program(context: Context) -> None:
    program = await asyncio.create_subprocess_exec(*SLEEP)
    Path(context.payload).write_text(f"{os.getpid()} {program.pid}")
    await program.wait()


@handler("box", "dies", isolation="process", max_attempts=2)
def dies(context: Context) -> None:
    """By the signal that the payload names, or with that exit code."""
    if isinstance(context.payload, int):
        os._exit(context.payload)
    os.kill(os.getpid(), signal.Signals[context.payload])


@handler("box", "dies and leaves a fork", isolation="process", max_attempts=2)
def dies_and_leaves_a_fork(context: Context) -> None:
    """What was forked has our socket, so that the worker sees no end of it."""
    fork = os.fork()
    if fork == 0:
        time.sleep(600)
    Path(context.payload).write_text(f"{os.getpid()} {fork}")
    os.kill(os.getpid(), signal.SIGKILL)


@handler("box", "leaves a task", isolation="process")
async def leaves_a_task(context: Context) -> str:
    context.progress(1, 1, "done")
    stray = asyncio.create_task(asyncio.sleep(600))
    return f"left {stray.get_name()[:4]}"


@handler("box", "in the worker")
async def in_the_worker(context: Context) -> int:
    return os.getpid()


@handler("box", "poison")
def poison(context: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@handler("box", "waits for a file", isolation="process")
def waits_for_a_file(context: Context) -> str:
    context.log.info("waiting")
    directory = Path(context.payload)
    (directory / "waiting").touch()
    while not (directory / "go on").exists():
        time.sleep(0.01)
    return "there it is"


@handler("box", "leaves a trap", isolation="process")
async def leaves_a_trap(context: Context) -> int:
    """A task that answers its cancellation with the death of the process, or with no end."""

    async def trap() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            if context.payload == "exit":
                os._exit(0)
            time.sleep(600)

    context.trap = asyncio.create_task(trap())  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    return os.getpid()
