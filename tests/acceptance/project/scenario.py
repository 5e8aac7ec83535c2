"""The handlers of the acceptance tests: each notes that it ran, then does one thing that handlers do.

Worker processes load this file (``HOOKLINE_HANDLERS=scenario``). What ran is in the file ``$EFFECTS``, a line a run.
"""

import asyncio
import os
import signal
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


@both("poison")
def poison(context: Context) -> None:
    note(context)
    os.kill(os.getpid(), signal.SIGKILL)
