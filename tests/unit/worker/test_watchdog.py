"""A loop that does not answer, and who holds it up."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from worker.watchdog import Watchdog

PATIENCE = 0.05


def watched(work: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged while a coroutine did that."""

    async def main() -> None:
        watchdog = Watchdog(lambda task: {"task": "" if task is None else task.get_name()}, patience=PATIENCE)
        watchdog.start()
        asyncio.current_task().set_name("the culprit")  # type: ignore[union-attr]
        await work()
        await asyncio.sleep(0.1)
        watchdog.stop()

    with caplog.at_level(logging.WARNING, "worker.watchdog"):
        asyncio.run(main())
    return caplog.records


def test_a_blocked_loop_is_told_of_while_it_is_blocked_and_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said_in_time: list[bool] = []

    async def block() -> None:
        limit = time.monotonic() + 10
        while not caplog.records and time.monotonic() < limit:
            time.sleep(0.01)
        said_in_time.append(bool(caplog.records))

    blocked, over = watched(block, caplog)

    assert said_in_time == [True]
    assert blocked.getMessage().startswith("the loop is blocked")
    assert vars(blocked)["task"] == "the culprit"
    assert "time.sleep(0.01)" in vars(blocked)["at"] or "while not caplog" in vars(blocked)["at"]
    assert over.getMessage().startswith("the loop goes on after 0.")


def test_a_loop_that_answers_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    async def rest() -> None:
        await asyncio.sleep(0.6)

    assert watched(rest, caplog) == []


def test_the_thread_ends_with_the_loop() -> None:
    async def main() -> None:
        Watchdog(lambda _: {}).start()

    asyncio.run(main())
    (thread,) = [one for one in threading.enumerate() if one.name == "watchdog"]
    thread.join(5)
    assert not thread.is_alive()
