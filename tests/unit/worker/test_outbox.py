"""The loop that sends callbacks, over a ledger that is played."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from infra.ledger import LedgerError
from infra.ledger.callbacks import Neighbours
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery, DueCallback
from infra.metrics import Metrics
from tests.unit.worker.callback_jobs import due as due_to
from worker.callbacks.deliver import Sent
from worker.callbacks.outbox import AWAY, WAITING_MOST, Outbox
from worker.callbacks.receivers import WINDOW_FIRST, WINDOW_MOST, Receivers, Result

SECOND = timedelta(seconds=1)


def due(number: int, url: str = "https://example.com/hook") -> DueCallback:
    return due_to(url, number=number)


ALONE = Neighbours(1, frozenset())


@dataclass
class Played:
    """A ledger's callbacks: gives what waits, keeps what is recorded, fails as often as told."""

    waiting: list[DueCallback] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    failures: int = 0
    asked: int = 0
    reply: asyncio.Event | None = None
    postponed: list[tuple[str, timedelta]] = field(default_factory=list)
    pausing: set[str] = field(default_factory=set)
    withdrawn: list[str] = field(default_factory=list)
    others: Neighbours = ALONE

    def dedicated(self) -> "Played":
        return self

    async def neighbours(self) -> Neighbours:
        return self.others

    async def withdraw(self, url: str) -> None:
        self.withdrawn.append(url)

    async def due(
        self, sender: str, *, sequence: int, most: int, hold: timedelta
    ) -> tuple[list[DueCallback], timedelta | None]:
        self.asked += 1
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        if self.reply is not None:
            await self.reply.wait()
        return taken, (timedelta(0) if self.waiting else None)

    async def record(self, deliveries: list[Delivery]) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise LedgerError("away")
        self.recorded += [delivery.callback.id for delivery in deliveries]
        return [delivery.callback.url for delivery in deliveries if delivery.callback.id in self.pausing]

    async def postpone(self, callbacks: list[DueCallback], wait: timedelta) -> None:
        self.postponed += [(callback.id, wait) for callback in callbacks]


@dataclass
class Sends:
    """A world of receivers: each takes what it gets, but for those that hang until `hold` is set."""

    hold: asyncio.Event | None = None
    hanging: str = ""
    at_once: int = 0
    most_at_once: int = 0
    sent: list[str] = field(default_factory=list)
    closed: bool = False

    async def send(self, callback: DueCallback) -> Sent:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.sent.append(callback.id)
        if self.hold is not None and callback.url.startswith(self.hanging):
            await self.hold.wait()
        else:
            await asyncio.sleep(0)
        self.at_once -= 1
        attempt = CallbackAttempt(number=1, at=datetime.now(UTC), duration=timedelta(0), status=200)
        return Sent(
            Delivery(callback=callback, attempt=attempt, status=CallbackStatus.DELIVERED), Result.TAKEN
        )

    async def aclose(self) -> None:
        self.closed = True


def outbox(ledger: Played, sends: Sends, *, look_every: timedelta = SECOND) -> Outbox:
    return Outbox(
        SimpleNamespace(callbacks=ledger, pausing=ledger), sends, Receivers(probe_every=1.0),
        metrics=Metrics(), sender="s", attempt_limit=SECOND, look_every=look_every,
    )  # type: ignore[arg-type]  # fmt: skip


def in_loop(test: Callable[[], Awaitable[Any]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


def test_everything_due_is_sent_and_recorded_a_bounded_number_at_a_time() -> None:
    async def test() -> None:
        ledger, sends = Played([due(number) for number in range(200)]), Sends()
        await outbox(ledger, sends).empty()
        assert sorted(ledger.recorded) == sorted(f"cb_{number}" for number in range(200))
        assert sends.most_at_once <= WINDOW_MOST
        assert sends.closed

    in_loop(test)


def test_what_hangs_holds_up_nobody_else_however_much_of_it_is_due_before() -> None:
    """F65: 1,000 callbacks to a receiver that hangs, and behind them one to another."""

    async def test() -> None:
        hanging = [due(number, f"https://dead.example/hook?job={number}") for number in range(1000)]
        ledger = Played([*hanging, due(1000, "https://alive.example/hook")])
        sends = Sends(asyncio.Event(), hanging="https://dead.example/")
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        while ledger.recorded != ["cb_1000"]:
            await asyncio.sleep(0.001)
        assert sends.at_once == WINDOW_FIRST
        assert len(box._lanes) <= WAITING_MOST
        running.cancel()

    in_loop(test)


def test_what_was_let_go_to_make_room_is_given_back_and_is_no_attempt() -> None:
    async def test() -> None:
        ledger = Played([due(number) for number in range(1000)])
        sends = Sends(asyncio.Event())
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        while ledger.waiting:
            await asyncio.sleep(0.01)
        sends.hold.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await box.drain()
        assert sorted(ledger.recorded) == sorted(sends.sent)
        assert len(sends.sent) < 1000
        given_back = [one for one, _ in ledger.postponed]
        assert sorted([*sends.sent, *given_back]) == sorted(f"cb_{number}" for number in range(1000))
        assert {wait for _, wait in ledger.postponed} == {AWAY}

    in_loop(test)


def test_draining_gives_back_at_once_what_waits_for_a_slow_receiver() -> None:
    async def test() -> None:
        ledger, sends = Played([due(number) for number in range(WINDOW_FIRST + 5)]), Sends(asyncio.Event())
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        while not any(lane.slow for lane in box._lanes._lanes.values()):
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        draining = asyncio.create_task(box.drain())
        while not ledger.postponed:
            await asyncio.sleep(0)
        sends.hold.set()
        await draining
        assert ledger.postponed == [(f"cb_{WINDOW_FIRST + number}", timedelta(0)) for number in range(5)]
        assert len(ledger.recorded) == WINDOW_FIRST

    in_loop(test)


def test_a_delivery_that_could_not_be_recorded_is_recorded_later_and_not_sent_again() -> None:
    async def test() -> None:
        ledger, sends = Played([due(1)], failures=2), Sends()
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        async with asyncio.timeout(10):
            while not ledger.recorded:
                await asyncio.sleep(0.01)
        running.cancel()
        assert ledger.recorded == ["cb_1"]
        assert ledger.failures == 0

    in_loop(test)


def test_a_look_finds_what_came_meanwhile_without_waiting() -> None:
    async def test() -> None:
        ledger, sends = Played(), Sends()
        box = outbox(ledger, sends, look_every=timedelta(hours=1))
        running = asyncio.create_task(box.run())
        while not ledger.asked:
            await asyncio.sleep(0)
        ledger.waiting.append(due(1))
        box.look()
        while not ledger.recorded:
            await asyncio.sleep(0)
        running.cancel()

    in_loop(test)


def test_draining_finishes_what_is_under_way_and_takes_nothing_more() -> None:
    async def test() -> None:
        hold = asyncio.Event()
        ledger, sends = Played([due(1)]), Sends(hold)
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        while not sends.at_once:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        ledger.waiting.append(due(2))
        draining = asyncio.create_task(box.drain())
        await asyncio.sleep(0)
        hold.set()
        await draining
        assert ledger.recorded == ["cb_1"]
        assert [one.id for one in ledger.waiting] == ["cb_2"]

    in_loop(test)


def test_what_was_being_taken_when_the_worker_stopped_is_still_sent() -> None:
    async def test() -> None:
        ledger = Played([due(1)], reply=asyncio.Event())
        box = outbox(ledger, Sends())
        running = asyncio.create_task(box.run())
        while not ledger.asked:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        asyncio.get_running_loop().call_soon(ledger.reply.set)
        await box.drain()
        assert ledger.recorded == ["cb_1"]

    in_loop(test)


def test_what_waits_for_a_receiver_that_is_paused_is_withdrawn() -> None:
    async def test() -> None:
        ledger = Played([due(1), due(2, "https://gone.example/hook")], pausing={"cb_2"})
        await outbox(ledger, Sends()).empty()
        assert ledger.withdrawn == ["https://gone.example/hook"]

    in_loop(test)


def test_what_other_workers_have_met_is_heeded() -> None:
    async def test() -> None:
        ledger, sends = (
            Played([due(1)], others=Neighbours(4, frozenset({"example.com"}))),
            Sends(asyncio.Event()),
        )
        box = outbox(ledger, sends)
        running = asyncio.create_task(box.run())
        while not box._receivers._hosts:
            await asyncio.sleep(0)
        box.look()
        host = box._receivers._hosts["example.com"]
        while host.learned is None:
            await asyncio.sleep(0.01)
        assert box._receivers._workers == 4
        running.cancel()

    in_loop(test)
