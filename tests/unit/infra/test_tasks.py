"""Ending tasks for certain."""

import asyncio

import pytest

from infra.tasks import end


async def deaf(times: int) -> None:
    """Forgets so many cancellations, as redis-py's sending may."""
    while times:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
    await asyncio.sleep(60)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_task_that_forgets_a_cancellation_is_told_again(times: int) -> None:
    async def check() -> None:
        task = asyncio.create_task(deaf(times))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end(task, None)
        assert task.cancelled()

    asyncio.run(check())


def test_how_a_task_ended_is_nobodys_trouble_any_more() -> None:
    async def fail() -> None:
        raise LookupError

    async def check() -> None:
        done, failed = asyncio.create_task(asyncio.sleep(0, "result")), asyncio.create_task(fail())
        await asyncio.wait([done, failed])
        await end(done, failed, failed)
        await end()
        assert done.result() == "result"

    asyncio.run(check())
