"""Ending asyncio tasks for certain."""

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.05


async def end(*tasks: "asyncio.Future[Any] | None") -> None:
    """Cancel these tasks, and return once they have ended, in whatever way.

    Once is not enough: redis-py sends through `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes
    as the sending ends (https://github.com/python/cpython/issues/86296); the task would go on, and whoever waits for its
    end would wait for ever.

    Args:
        tasks: None stands for one that was never started.

    >>> async def example():
    ...     task = asyncio.ensure_future(asyncio.sleep(60))
    ...     await end(task, None)
    ...     return task.cancelled()
    >>> asyncio.run(example())
    True
    """
    started = {task for task in tasks if task is not None}
    running = started
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
    for task in started:
        if not task.cancelled():
            task.exception()  # or asyncio complains that nobody looked at it
