"""A worker's part in bulk replays: it runs what is due, waits as it is told, and outlives a Redis that is away."""

import asyncio
from collections import deque
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from infra.ledger import LedgerError
from infra.ledger.bulk import ReplayPage
from worker.replayer import Replayer

PAGE = ReplayPage(id="rep_1", token="w1-1", by="ops", queue="low", rate=50, jobs=("job_1", "job_2"))


class Script:
    """A ledger whose bulk replays answer as they are told, and then never again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = deque(answers)
        self.asked: list[tuple[str, int]] = []
        self.run_pages: list[ReplayPage] = []
        self.over = asyncio.Event()

    async def proceed(self, worker: str, *, sequence: int) -> Any:
        self.asked.append((worker, sequence))
        if not self.answers:
            self.over.set()
            return None
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run(self, page: ReplayPage) -> int:
        self.run_pages.append(page)
        return len(page.jobs)

    def replayer(self) -> Replayer:
        ledger: Any = SimpleNamespace(replays=self)
        return Replayer(ledger, worker="w1")


async def until_over(script: Script) -> None:
    task = asyncio.create_task(script.replayer().run())
    async with asyncio.timeout(10):
        await script.over.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_pages_are_run_one_after_the_other_each_with_a_token_of_its_own() -> None:
    async def check() -> None:
        script = Script(PAGE, PAGE, timedelta(milliseconds=1))
        await until_over(script)
        assert script.run_pages == [PAGE, PAGE]
        assert script.asked == [("w1", number) for number in (1, 2, 3, 4)]

    asyncio.run(check())


def test_a_redis_that_is_away_is_asked_again() -> None:
    async def check() -> None:
        script = Script(LedgerError("Redis did not confirm"), PAGE)
        await until_over(script)
        assert script.run_pages == [PAGE]

    asyncio.run(check())


def test_it_looks_when_it_is_told_to() -> None:
    async def check() -> None:
        script = Script(timedelta(hours=1))
        replayer = script.replayer()
        task = asyncio.create_task(replayer.run())
        while not script.asked:
            await asyncio.sleep(0)
        replayer.look()
        async with asyncio.timeout(10):
            await script.over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(check())


def test_a_turn_says_how_long_to_wait() -> None:
    async def check() -> None:
        assert await Script(timedelta(seconds=7)).replayer().turn() == timedelta(seconds=7)
        assert await Script(PAGE).replayer().turn() == timedelta(0)
        assert await Script().replayer().turn() == timedelta(minutes=1)

    asyncio.run(check())
