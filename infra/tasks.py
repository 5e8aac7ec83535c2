"""Ending background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

_ASK_AGAIN_SECONDS = 0.2


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and return once they have ended, however they do.

    A library underneath may swallow a cancellation (fakeredis does, within a command): it is asked again until it obeys.

    >>> async def stubborn():
    ...     try:
    ...         await asyncio.sleep(60)
    ...     except asyncio.CancelledError:
    ...         await asyncio.sleep(60)
    >>> async def main():
    ...     task = asyncio.create_task(stubborn())
    ...     await asyncio.sleep(0)
    ...     await end([task])
    ...     return task.done()
    >>> asyncio.run(main())
    True
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_ASK_AGAIN_SECONDS)
