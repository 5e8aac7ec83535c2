"""Who sweeps, when there are many."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from infra.ledger.jobs import Patrol, Takeover
from worker.sweeper import Sweeper

INTERVAL = timedelta(milliseconds=20)


class Swept:
    """A ledger that counts its sweepers, and lets them hear each other."""

    def __init__(self, count: int, *, quiet: bool = False) -> None:
        self.count, self.quiet = count, quiet
        self.told = 0
        self.sweeps = [0] * count
        self.sweepers = [
            Sweeper(self._ledger(number), queues=(), interval=INTERVAL, spread=number / count)
            for number in range(count)
        ]

    async def publish(self, _: str, message: str) -> None:
        self.told += 1
        for sweeper in self.sweepers:
            sweeper.heard_of(message.removeprefix("swept "))

    def _ledger(self, number: int) -> Any:
        async def take_over() -> Takeover:
            self.sweeps[number] += 1
            return Takeover(0, 0, more=False)

        async def nothing(**_: object) -> int:
            return 0

        async def patrol() -> Patrol:
            return Patrol(self.quiet, self.count)

        jobs = SimpleNamespace(patrol=patrol, take_over=take_over, sweep=nothing, retire=nothing)
        return SimpleNamespace(jobs=jobs, redis=self)


async def sweeping(sweepers: Sequence[Sweeper], seconds: float) -> None:
    tasks = [asyncio.create_task(sweeper.keep_sweeping()) for sweeper in sweepers]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()


def test_of_many_workers_one_sweeps() -> None:
    swept = Swept(8)
    asyncio.run(sweeping(swept.sweepers, 0.5))
    each_by_itself = 8 * 0.5 / INTERVAL.total_seconds()
    assert 0 < sum(swept.sweeps) < each_by_itself / 2


def test_when_it_is_heard_of_no_more_another_does() -> None:
    swept = Swept(3)

    async def main() -> None:
        await sweeping(swept.sweepers[:1], 0.1)
        await sweeping(swept.sweepers[1:], 0.1)

    asyncio.run(main())
    assert swept.sweeps[0] > 0
    assert swept.sweeps[1] + swept.sweeps[2] > 0


def test_where_there_is_nothing_nobody_walks() -> None:
    swept = Swept(2, quiet=True)
    asyncio.run(sweeping(swept.sweepers, 0.1))
    assert (sum(swept.sweeps), swept.told > 0) == (0, True)


def test_who_is_alone_tells_nobody() -> None:
    swept = Swept(1)
    asyncio.run(sweeping(swept.sweepers, 0.1))
    assert (swept.sweeps[0] > 0, swept.told) == (True, 0)


def test_where_there_is_an_archive_a_sweeper_removes_nothing() -> None:
    async def sweep(*, retires: bool) -> int:
        retired = 0

        async def retire() -> int:
            nonlocal retired
            retired += 1
            return 0

        ledger = Swept(1)._ledger(0)
        ledger.jobs.retire = retire
        await Sweeper(ledger, queues=(), interval=INTERVAL, spread=0, retires=retires).sweep()
        return retired

    assert asyncio.run(sweep(retires=True)) == 1
    assert asyncio.run(sweep(retires=False)) == 0
