"""What runs while things are killed: every execution leaves a line in a file, so that an oracle can count them."""

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any

from handlers import Context, handler

_EFFECTS = Path(__file__).with_name("effects.log")


def _done(context: Context) -> None:
    line = f"{context.payload['number']} {context.attempt} {os.getpid()}\n".encode()
    descriptor = os.open(_EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line)  # one write of one line: whole, or not there
    finally:
        os.close(descriptor)


@handler("acme", "quick", max_attempts=10, backoff="100ms,200ms")
async def quick(context: Context) -> dict[str, Any]:
    _done(context)
    return {"number": context.payload["number"]}


@handler("acme", "slow", queue="high", max_attempts=10, backoff="100ms,200ms")
async def slow(context: Context) -> dict[str, Any]:
    await asyncio.sleep(random.uniform(0.05, 0.5))
    _done(context)
    return {"number": context.payload["number"]}


@handler("acme", "blocking", queue="low", max_attempts=10, backoff="100ms,200ms")
def blocking(context: Context) -> dict[str, Any]:
    time.sleep(random.uniform(0.01, 0.2))
    _done(context)
    return {"number": context.payload["number"]}


@handler("acme", "flaky", max_attempts=10, backoff="100ms,200ms")
async def flaky(context: Context) -> dict[str, Any]:
    if context.attempt == 1:
        raise ConnectionError("not at the first attempt")
    _done(context)
    return {"number": context.payload["number"]}
