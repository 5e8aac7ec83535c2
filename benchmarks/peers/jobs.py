"""What every peer's jobs do: mark when they ran, and nothing else or 50 ms of waiting. Only the standard library."""

import asyncio
import os
import time

from benchmarks.marks import Marks

REDIS = os.environ.get("BENCH_REDIS", "")
SLOTS = int(os.environ.get("BENCH_SLOTS", "100"))
WAIT_SECONDS = 0.05
KINDS = ("noop", "sleep", "block")

_marks = Marks(os.environ.get("BENCH_MARKS", os.devnull))


async def noop(number: int) -> int:
    """Nothing but the mark."""
    _marks.put(number)
    return number


async def sleep(number: int) -> int:
    """Waits in the loop."""
    _marks.put(number)
    await asyncio.sleep(WAIT_SECONDS)
    _marks.put(number)
    return number


def block(number: int) -> int:
    """Waits in its thread."""
    _marks.put(number)
    time.sleep(WAIT_SECONDS)
    _marks.put(number)
    return number


def noop_def(number: int) -> int:
    """`noop` for queues without coroutines."""
    _marks.put(number)
    return number
