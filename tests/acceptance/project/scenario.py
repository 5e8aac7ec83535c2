"""The handlers of the acceptance tests: each notes that it ran, then does one thing that handlers do.

Worker processes load this file (``HOOKLINE_HANDLERS=scenario``). What ran is in the file ``$EFFECTS``, a line a run.
"""

import asyncio
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from handlers import Context, Reject, RetryLater, handler

EFFECTS = Path(os.environ["EFFECTS"])


def note(context: Context) -> None:
    """One line, in one write, so that many processes can."""
    line = f"{context.job_id} {context.event.id} {context.event.type} {context.attempt} {os.getpid()}\n"
    with EFFECTS.open("ab", buffering=0) as effects:
        effects.write(line.encode())


def gate(name: str) -> Path:
    """The file whose appearance lets a handler go on."""
    return EFFECTS.with_name(f"gate-{name}")


def both(type: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For the sources ``acme``, ``own-secret``, ``stamped`` and ``api`` alike."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        for source in ("acme", "own-secret", "stamped", "api"):
            handler(source, type, **options)(function)
        return function

    return declare


@both("echo")
@handler("bearer")
@handler("forms")
@handler("intranet")
@handler("narrow")
async def echo(context: Context) -> Any:
    note(context)
    return {"payload": context.payload, "attempt": context.attempt}


@both("plain")
def plain(context: Context) -> dict[str, Any]:
    note(context)
    return {"thread": threading.current_thread() is not threading.main_thread()}


@both("rejecting")
async def rejecting(context: Context) -> None:
    note(context)
    raise Reject("no such project")


@both("later", max_attempts=2)
async def later(context: Context) -> int:
    note(context)
    if context.attempt == 1:
        raise RetryLater("150ms", "still summarising")
    return context.attempt


@both("failing", max_attempts=3, backoff="100ms,200ms")
def failing(context: Context) -> None:
    note(context)
    raise RuntimeError(f"attempt {context.attempt} failed")


@both("slow", max_attempts=1, timeout="200ms")
async def slow(context: Context) -> None:
    note(context)
    await asyncio.sleep(60)


class Order(msgspec.Struct):
    number: int
    lines: list[str]


@both("order")
async def order(context: Context, payload: Order) -> int:
    note(context)
    return payload.number


@both("gated", max_attempts=2)
async def gated(context: Context) -> str:
    """Says how far it is, and waits for its gate."""
    note(context)
    context.progress(1, 4, "waiting", stage="gate", item=context.payload["gate"])
    context.log.info("at the gate")
    while not gate(context.payload["gate"]).exists():
        await asyncio.sleep(0.01)
    return "through"


@both("gated-plain", max_attempts=2)
def gated_plain(context: Context) -> str:
    note(context)
    context.progress(2, 4, "waiting")
    context.log.warning("at the gate")
    while not gate(context.payload["gate"]).exists():
        time.sleep(0.01)
    return "through"


@both("gated-child", max_attempts=2, backoff="100ms", isolation="process")
def gated_child(context: Context) -> str:
    return gated_plain(context)


@both("poison")
def poison(context: Context) -> None:
    note(context)
    os.kill(os.getpid(), signal.SIGKILL)


@both("in-order", ordering_key="json:$.account", max_attempts=3, backoff="100ms")
async def in_order(context: Context) -> int:
    """Fails first where it is told to; those behind it wait all the same."""
    note(context)
    if context.payload.get("dies") and context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if context.payload.get("fails") and context.attempt == 1:
        raise RuntimeError("not yet")
    return int(context.payload["number"])


@both("one-at-a-time", concurrency=1)
async def one_at_a_time(context: Context) -> None:
    """Finds out by a file whether another one runs, anywhere."""
    note(context)
    with gate("lock").open("x"):
        await asyncio.sleep(0.05)
    gate("lock").unlink()


# -- what handlers do to themselves ------------------------------------------------------------------------------------


@both("stubborn", max_attempts=1, timeout="1s", isolation="process")
def stubborn(context: Context) -> None:
    """Hears no signal that can be ignored, and waits for a program that never ends."""
    note(context)
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    program = subprocess.Popen(["sleep", "600"])
    gate("program").write_text(str(program.pid))
    while True:
        time.sleep(600)


@both("spinning", max_attempts=1, timeout="1s", isolation="process")
async def spinning(context: Context) -> None:
    note(context)
    while True:
        pass


@both("blocking", max_attempts=1)
async def blocking(context: Context) -> None:
    """Holds up everything else in its worker, for so many seconds."""
    note(context)
    time.sleep(context.payload["seconds"])


@both("resting", max_attempts=1)
async def resting(context: Context) -> None:
    note(context)
    await asyncio.sleep(context.payload["seconds"])


@both("greedy", max_attempts=1, isolation="process")
def greedy(context: Context) -> int:
    """Wants more memory than there is."""
    note(context)
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    return len(bytearray(8 << 30))


def _loud(context: Context) -> str:
    note(context)
    print("x" * (50 << 20))
    return "x" * (50 << 20)


@both("loud", max_attempts=1)
async def loud(context: Context) -> str:
    return _loud(context)


@both("loud-child", max_attempts=1, isolation="process")
def loud_child(context: Context) -> str:
    return _loud(context)


def _endless() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


NO_JSON: dict[str, Callable[[], Any]] = {
    "an object": object,
    "not a number": lambda: float("nan"),
    "bytes": lambda: b"abc",
    "half a character": lambda: "\ud83d",
    "a number of 5001 digits": lambda: 10**5000,
    "endless": _endless,
}


@both("no-json", max_attempts=1)
async def no_json(context: Context) -> Any:
    note(context)
    return NO_JSON[context.payload]()


@both("no-json-child", max_attempts=1, isolation="process")
def no_json_child(context: Context) -> Any:
    note(context)
    return NO_JSON[context.payload]()


@both("again-in-a-second", max_attempts=2, backoff="1s")
async def again_in_a_second(context: Context) -> int:
    note(context)
    if context.attempt == 1:
        raise RuntimeError("not yet")
    return context.attempt


@handler("api", "reverse", max_attempts=1)
async def reverse(context: Context) -> Any:
    path = await context.download(context.payload)
    kept = await context.artifact("rückwärts 1.bin", path.read_bytes()[::-1], "application/x-reversed")
    return {**kept, "folder": str(context.folder)}


@handler("api", "reverse-in-a-thread", max_attempts=1)
@handler("api", "reverse-in-a-process", isolation="process", max_attempts=1)
def reverse_blocking(context: Context) -> Any:
    made = context.folder / "made"
    made.write_bytes(context.download(context.payload).read_bytes()[::-1])
    kept = context.artifact("rückwärts 1.bin", made, "application/x-reversed")
    return {**kept, "folder": str(context.folder)}


@both("mendable", max_attempts=1)
async def mendable(context: Context) -> str:
    """Fails until somebody has mended what it needs."""
    note(context)
    if not gate(context.payload["gate"]).exists():
        raise Reject("not mended yet")
    return "mended"
