"""Progress on its way to the caller: the newest state, one POST at a time, nothing behind the job's end."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from infra.clock import ManualClock
from infra.ledger import LedgerError
from infra.ledger.records import AS_USUAL, CallbackOptions, Claim, Progress
from tests.unit.worker.callback_jobs import NOW
from worker.callbacks import progress as module
from worker.callbacks.payload import Message
from worker.callbacks.progress import ProgressCallbacks
from worker.callbacks.receivers import FAILURES, Receiver, Receivers, Result
from worker.callbacks.schedule import Answered, Outcome
from worker.reports import Reports

URL = "https://example.com/hook"


def claim(job_id: str = "job_1", *, url: str | None = URL, options: CallbackOptions = AS_USUAL) -> Claim:
    return Claim(
        job_id=job_id, event_id="evt_1", token="w1-1", queue="high", attempt=1, crashes=0, claimed_at=NOW,
        created_at=NOW, source="acme", type="report", received_at=NOW, headers={}, content_type="application/json",
        body=b"{}", metadata={}, progress_url=url, callback_options=options,
    )  # fmt: skip


@dataclass
class Caller:
    """A receiver that keeps what it got; with `hold` it answers once that is set."""

    answer: int = 204
    hold: asyncio.Event | None = None
    got: list[tuple[str, Any]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    secrets_of: set[str | None] = field(default_factory=set)

    async def __call__(
        self, message: Message, *, url: str, source: str, secret_of: str | None, message_id: str, at: datetime
    ) -> tuple[Outcome, str]:
        self.secrets_of.add(secret_of)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.got.append((message_id, json.loads(message.body)["data"]["progress"]["current"]))
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.at_once -= 1
        return Answered(status=self.answer), ""


async def nobody(_: set[str]) -> set[str]:
    return set()


def callbacks(
    caller: Caller, receivers: Receivers | None = None, *, paused: Any = nobody
) -> ProgressCallbacks:
    return ProgressCallbacks(
        caller,
        receivers or Receivers(probe_every=60.0),
        paused=paused,
        clock=ManualClock(NOW),
        status_url=lambda _: None,
    )  # type: ignore[arg-type]


def in_loop(test: Callable[[], Awaitable[Any]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.02)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)


def test_the_newest_state_is_told_one_at_a_time_each_with_an_id_of_its_own() -> None:
    async def test() -> None:
        caller = Caller(hold=asyncio.Event())
        told = callbacks(caller)
        told.tell(claim(), Progress(current=1))
        await until(lambda: caller.got)
        for current in range(2, 10):
            told.tell(claim(), Progress(current=current))
        assert caller.hold is not None
        caller.hold.set()
        await until(lambda: len(caller.got) == 2)
        assert [current for _, current in caller.got] == [1, 9]
        assert len({message_id for message_id, _ in caller.got}) == 2
        assert all(message_id.startswith("msg_") for message_id, _ in caller.got)
        assert caller.most_at_once == 1

    in_loop(test)


def test_it_is_told_no_oftener_than_agreed() -> None:
    async def test() -> None:
        caller, clock = Caller(), asyncio.get_running_loop().time
        told, begun = callbacks(caller), clock()
        while len(caller.got) < 4:
            told.tell(claim(), Progress(current=len(caller.got)))
            await asyncio.sleep(0)
        assert clock() - begun >= 3 * module.EVERY

    in_loop(test)


def test_nothing_follows_the_end_and_what_is_under_way_is_cut_off() -> None:
    async def test() -> None:
        caller = Caller(hold=asyncio.Event())
        receivers = Receivers(probe_every=60.0)
        told = callbacks(caller, receivers)
        told.tell(claim(), Progress(current=1))
        await until(lambda: caller.at_once)
        told.tell(claim(), Progress(current=2))
        told.end(claim())
        await until(lambda: not caller.at_once)
        await asyncio.sleep(3 * module.EVERY)
        assert len(caller.got) == 1
        assert receivers.wait(Receiver.of(URL), 0.0) == 0, "what we cut off was not the receiver's fault"

    in_loop(test)


def test_progress_is_signed_as_the_outcome_will_be() -> None:
    async def test() -> None:
        caller = Caller()
        callbacks(caller).tell(claim(options=CallbackOptions(secret_of="crm")), Progress(current=1))
        await until(lambda: caller.got)
        assert caller.secrets_of == {"crm"}

    in_loop(test)


def test_who_did_not_ask_is_told_nothing() -> None:
    async def test() -> None:
        caller = Caller()
        told = callbacks(caller)
        told.tell(claim(url=None), Progress(current=1))
        told.end(claim(url=None))
        await asyncio.sleep(0)
        assert caller.got == []

    in_loop(test)


@pytest.mark.parametrize(("answer", "counts"), [(400, False), (410, False), (429, True)])
def test_an_answer_that_refuses_progress_does_not_hold_up_the_outcome(answer: int, counts: bool) -> None:
    async def test() -> None:
        caller, receivers = Caller(answer), Receivers(probe_every=60.0)
        told = callbacks(caller, receivers)
        told.tell(claim(), Progress(current=1))
        await until(lambda: caller.got and not caller.at_once)
        await asyncio.sleep(0)
        receiver = Receiver.of(URL)
        receivers.begin(receiver, 0.0)
        assert (receivers.wait(receiver, 0.0) > 0) is counts

    in_loop(test)


def test_a_receiver_that_may_not_be_called_now_gets_the_newest_state_later() -> None:
    async def test() -> None:
        caller, receivers = Caller(), Receivers(probe_every=0.1)
        receiver, clock = Receiver.of(URL), asyncio.get_running_loop().time
        for _ in range(FAILURES):
            receivers.begin(receiver, clock())
            receivers.end(receiver, Result.SILENT, clock())
        told = callbacks(caller, receivers)
        for current in (1, 2, 3):
            told.tell(claim(), Progress(current=current))
            await asyncio.sleep(0.01)
        assert caller.got == []
        await until(lambda: caller.got)
        assert [current for _, current in caller.got] == [3]

    in_loop(test)


def test_a_paused_receiver_is_told_nothing_nor_is_anybody_without_redis() -> None:
    async def test() -> None:
        async def away(_: set[str]) -> set[str]:
            raise LedgerError("away")

        async def all_of_them(urls: set[str]) -> set[str]:
            return urls

        caller = Caller()
        for paused in (all_of_them, away):
            told = callbacks(caller, paused=paused)
            told.tell(claim(), Progress(current=1))
            await asyncio.sleep(2 * module.EVERY)
        assert caller.got == []

    in_loop(test)


def test_what_a_handler_reports_is_told_until_its_attempt_is_closed() -> None:
    async def test() -> None:
        caller = Caller()
        reports = Reports(ManualClock(NOW), callbacks(caller))
        reports.open(claim())
        reports.progress("job_1", Progress(current=1))
        assert len(reports.take()) == 1
        await until(lambda: caller.got)
        reports.progress("job_1", Progress(current=2))
        assert reports.close(claim()) is not None
        await asyncio.sleep(2 * module.EVERY)
        assert [current for _, current in caller.got] == [1]

    in_loop(test)
