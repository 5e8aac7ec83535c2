"""Puts jobs into a peer's queue: ``python -m benchmarks.peers.NAME KIND COUNT PACE``. Only the standard library.

PACE is the pause between two jobs, in seconds; with 0 they are sent in batches, as fast as the peer can. With a pause,
the moment before each is marked in ``BENCH_SENT``.
"""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable

from benchmarks.marks import Marks

_BATCH = 100

Enqueue = Callable[[str, Sequence[int]], Awaitable[object] | object]


def main(enqueue: Enqueue) -> None:
    """What a peer's module does when it is run.

    Args:
        enqueue: takes the kind of job and the numbers of the jobs to enqueue.
    """
    kind, count, pace = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    asyncio.run(_paced(enqueue, kind, count, pace) if pace else _batched(enqueue, kind, count))


async def _batched(enqueue: Enqueue, kind: str, count: int) -> None:
    for first in range(0, count, _BATCH):
        await _done(enqueue(kind, range(first, min(first + _BATCH, count))))


async def _paced(enqueue: Enqueue, kind: str, count: int, pace: float) -> None:
    sent = Marks(os.environ["BENCH_SENT"])
    for number in range(count):
        await asyncio.sleep(pace * random.uniform(0.5, 1.5))
        sent.put(number)
        await _done(enqueue(kind, [number]))


async def _done(result: Awaitable[object] | object) -> None:
    if isawaitable(result):
        await result
