"""Who handles an event: looked up without making anybody wait, and without believing that an old look is a new one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest

from infra.ledger import LedgerError, Workers
from infra.ledger.records import HandlerEntry
from infra.ledger.workers import Told
from infra.routes import Routes, entry_for
from infra.tasks import end


def entry(source: str, type_: str, handler: str = "h") -> HandlerEntry:
    return HandlerEntry(source=source, type=type_, handler=handler)


class Manifests:
    """Stands for the ledger's: what a test wants, which may raise or take its time. Counts the looks."""

    def __init__(self) -> None:
        self.live: dict[str, tuple[HandlerEntry, ...]] = {}
        self.remembered: tuple[HandlerEntry, ...] = ()
        self.trouble: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.looks = 0

    async def told(self) -> Told:
        self.looks += 1
        await self.open.wait()
        if self.trouble is not None:
            raise self.trouble
        return Told(self.live, self.remembered)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(check: Callable[[Routes, Manifests, Time], Awaitable[None]]) -> None:
    async def running() -> None:
        manifests, time = Manifests(), Time()
        routes = Routes(cast("Workers", manifests), monotonic=time)
        try:
            await check(routes, manifests, time)
        finally:
            await routes.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(running())


async def settle() -> None:
    """Let a look that runs beside us end."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("entries", "handler"),
    [
        ([], None),
        ([entry("a", "x")], "h"),
        ([entry("a", "*", "rest"), entry("a", "x", "own")], "own"),
        ([entry("a", "x", "own"), entry("a", "*", "rest")], "own"),
        ([entry("a", "*", "rest")], "rest"),
        ([entry("b", "x"), entry("b", "*")], None),
        ([entry("a", "y")], None),
    ],
)
def test_an_events_own_type_comes_before_the_rest(
    entries: Sequence[HandlerEntry], handler: str | None
) -> None:
    found = entry_for(entries, "a", "x")
    assert (found.handler if found else None) == handler


def test_the_first_look_is_waited_for_and_the_next_ones_are_not() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.live = {"w": (entry("a", "x", "old"),)}
        assert (await routes.find("a", "x")) == entry("a", "x", "old")
        manifests.live = {"w": (entry("a", "x", "new"),)}
        assert (await routes.find("a", "x")) == entry("a", "x", "old")
        assert manifests.looks == 1
        time.now += 3
        assert (await routes.find("a", "x")) == entry("a", "x", "old")
        await settle()
        assert (await routes.find("a", "x")) == entry("a", "x", "new")
        assert manifests.looks == 2

    run(check)


def test_while_no_worker_lives_what_the_last_ones_told_counts() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.remembered = (entry("a", "x", "before"), entry("a", "y", "before"))
        assert await routes.find("a", "x") == entry("a", "x", "before")
        assert not routes.any_worker
        manifests.live = {"w": (entry("a", "x", "now"),)}
        time.now += 31
        assert await routes.find("a", "x") == entry("a", "x", "now")
        assert await routes.find("a", "y") is None

    run(check)


def test_a_look_of_half_a_minute_ago_is_not_believed() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.live = {"w": (entry("a", "x"),)}
        await routes.find("a", "x")
        manifests.live = {}
        time.now += 31
        assert await routes.find("a", "x") is None
        assert not routes.any_worker

    run(check)


def test_however_many_ask_one_looks() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        await asyncio.gather(*[routes.find("a", "x") for _ in range(100)])
        assert manifests.looks == 1

    run(check)


def test_what_can_not_be_read_is_as_it_was_and_is_looked_at_again() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.live = {"w": (entry("a", "x"),)}
        await routes.find("a", "x")
        manifests.trouble = LedgerError("gone")
        time.now += 100
        for _ in range(3):
            assert await routes.find("a", "x") is not None
        assert manifests.looks == 4
        manifests.trouble, manifests.live = None, {}
        assert await routes.find("a", "x") is None

    run(check)


def test_a_fault_of_ours_in_a_look_is_not_everyones() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.trouble = TypeError("mangled")
        assert await routes.find("a", "x") is None
        manifests.trouble, manifests.live = None, {"w": (entry("a", "x"),)}
        assert await routes.find("a", "x") is not None

    run(check)


def test_a_redis_that_hangs_is_waited_for_a_second_at_the_most() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.open.clear()
        async with asyncio.timeout(5):
            assert await routes.find("a", "x") is None

    run(check)


def test_before_none_is_said_for_sure_another_look_is_taken() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        assert await routes.find("a", "x", sure=True) is None
        assert not routes.any_worker
        manifests.live = {"w": (entry("a", "x"),)}
        assert await routes.find("a", "x") is None
        assert await routes.find("a", "x", sure=True) is not None
        assert routes.any_worker
        looks = manifests.looks
        await routes.find("a", "x", sure=True)
        assert manifests.looks == looks

    run(check)


def test_who_asks_may_go_away_without_ending_the_look() -> None:
    async def check(routes: Routes, manifests: Manifests, time: Time) -> None:
        manifests.open.clear()
        asking = asyncio.create_task(routes.find("a", "x"))
        await settle()
        await end(asking)
        manifests.live = {"w": (entry("a", "x"),)}
        manifests.open.set()
        await settle()
        assert await routes.find("a", "x") is not None
        assert manifests.looks == 1

    run(check)
