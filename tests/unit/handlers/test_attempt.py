import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers import Context, Reject, RetryLater
from handlers.attempt import Runner, never
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from handlers.rehearsal import Rehearsal
from handlers.testing import START, RecordedEffects
from infra.clock import ManualClock
from infra.ledger.records import Claim, Failed, Finished, Ignored, Outcome, Retried

CLAIM = Claim(
    job_id="job_1",
    event_id="evt_1",
    token="w-1",
    queue="default",
    attempt=1,
    crashes=0,
    claimed_at=START,
    created_at=START,
    source="acme",
    type="order.paid",
    received_at=START,
    headers={},
    content_type="application/json",
    body=b'{"id":7}',
    metadata={},
)


def attempt(
    function: Callable[..., Any],
    *,
    claim: Claim = CLAIM,
    canceled: Callable[[], bool] = never,
    chance: float = 0.5,
    effects: RecordedEffects | None = None,
    around: Callable[[Any], Any] = lambda running: running,
    **declared: Any,
) -> Outcome:
    """One attempt with a function, declared with the given words; `around` wraps the coroutine."""
    registry = Registry()
    registry.handler("acme", **declared)(function)
    executor = ThreadPoolExecutor(2)

    async def main() -> Outcome:
        runner = Runner(
            registry,
            executor=executor,
            effects=effects or RecordedEffects(),
            services=Rehearsal(ManualClock(START)),
            http=HTTPClients(),
            clock=ManualClock(START),
            jitter=lambda: chance,
        )
        return await around(runner.run(claim, canceled=canceled))

    try:
        return asyncio.run(main())
    finally:
        executor.shutdown(wait=False)


def both(act: Callable[[], Any]) -> list[Any]:
    """The same act as an ``async def`` and as a ``def`` handler."""

    async def in_the_loop() -> Any:
        return act()

    def in_a_thread() -> Any:
        return act()

    return [pytest.param(in_the_loop, id="async"), pytest.param(in_a_thread, id="def")]


def fail_with(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


@pytest.mark.parametrize("function", both(lambda: {"ok": True}))
def test_what_a_handler_returns_is_the_result(function: Any) -> None:
    assert attempt(function) == Finished(result='{"ok":true}')


@pytest.mark.parametrize("function", both(lambda: None))
def test_nothing_is_a_result_too(function: Any) -> None:
    assert attempt(function) == Finished(result="null")


def test_an_event_without_a_handler_is_ignored() -> None:
    assert attempt(lambda context: 1, type="order.lost") == Ignored()


@pytest.mark.parametrize("function", both(fail_with(Reject("no such order"))))
def test_a_reject_fails_at_once(function: Any) -> None:
    outcome = attempt(function)

    assert isinstance(outcome, Failed)
    assert outcome.error.public() == {"type": "Reject", "message": "no such order"}


@pytest.mark.parametrize("function", both(fail_with(RetryLater("90s", "not yet"))))
def test_a_handler_chooses_when_to_come_back(function: Any) -> None:
    outcome = attempt(function)

    assert isinstance(outcome, Retried)
    assert (outcome.delay, outcome.counted) == (timedelta(seconds=90), True)
    assert outcome.error.public() == {"type": "RetryLater", "message": "not yet"}


@pytest.mark.parametrize(
    ("count", "number", "age", "expected"),
    [
        (True, 4, timedelta(0), "counted"),
        (True, 5, timedelta(0), "failed"),
        (False, 5, timedelta(days=6), "uncounted"),
        (False, 4, timedelta(days=7), "counted"),
        (False, 5, timedelta(days=7), "failed"),
    ],
)
def test_coming_back_uses_attempts_unless_it_asks_not_to(
    count: bool, number: int, age: timedelta, expected: str
) -> None:
    async def later() -> None:
        raise RetryLater("90s", count=count)

    outcome = attempt(later, claim=replace(CLAIM, attempt=number, created_at=START - age))

    if expected == "failed":
        assert isinstance(outcome, Failed)
        assert outcome.error.type == "RetryLater"
    else:
        assert isinstance(outcome, Retried)
        assert outcome.counted is (expected == "counted")


@pytest.mark.parametrize("bad", ["0s", "soon", timedelta(seconds=-1), timedelta(days=400)])
def test_a_wait_that_is_none_is_a_failure_like_any_other(bad: Any) -> None:
    async def later() -> None:
        raise RetryLater(bad)

    outcome = attempt(later)

    assert isinstance(outcome, Retried)
    assert outcome.error.type == "ValueError"


ERRORS = [
    ValueError("broken"),
    StopIteration("ran out"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError("by itself"),
    TimeoutError("theirs"),
    ExceptionGroup("two", [ValueError("a"), ValueError("b")]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("in_a_thread", [False, True], ids=["async", "def"])
def test_whatever_a_handler_raises_is_retried_by_the_backoff(error: BaseException, in_a_thread: bool) -> None:
    in_the_loop, blocking = (case.values[0] for case in both(fail_with(error)))

    outcome = attempt(blocking if in_a_thread else in_the_loop, backoff="10s")

    assert isinstance(outcome, Retried)
    assert outcome.delay == timedelta(seconds=10)
    assert outcome.counted
    assert str(error) in outcome.error.message + outcome.error.trace
    assert "test_attempt.py" in outcome.error.trace


@pytest.mark.parametrize(
    ("number", "crashes", "seconds"),
    [(1, 0, 15), (2, 0, 30), (3, 0, 60), (5, 0, None), (5, 3, 30), (7, 2, None)],
)
def test_the_backoff_goes_by_failures_not_by_crashes(number: int, crashes: int, seconds: int | None) -> None:
    outcome = attempt(
        both(fail_with(ValueError()))[0].values[0], claim=replace(CLAIM, attempt=number, crashes=crashes)
    )

    if seconds is None:
        assert isinstance(outcome, Failed)
    else:
        assert isinstance(outcome, Retried)
        assert outcome.delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 8), (0.5, 10), (0.999, 11.996)])
def test_chance_moves_the_backoff(chance: float, seconds: float) -> None:
    outcome = attempt(both(fail_with(ValueError()))[0].values[0], backoff="10s", chance=chance)

    assert isinstance(outcome, Retried)
    assert outcome.delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("function", both(lambda: float("nan")))
def test_a_result_that_is_no_json_fails_for_good(function: Any) -> None:
    outcome = attempt(function)

    assert isinstance(outcome, Failed)
    assert outcome.error.type == "ResultNotJSON"


@pytest.mark.parametrize("function", both(lambda: "x" * (9 << 20)))
def test_a_result_that_is_too_large_fails_for_good(function: Any) -> None:
    outcome = attempt(function)

    assert isinstance(outcome, Failed)
    assert outcome.error.type == "ResultTooLarge"


def test_a_slow_async_handler_is_stopped() -> None:
    stopped = []

    async def slow(context: Context) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.append(context.attempt)

    outcome = attempt(slow, timeout="10ms")

    assert isinstance(outcome, Retried)
    assert outcome.error.public() == {"type": "TimeoutError", "message": "the attempt took longer than 0.01s"}
    assert stopped == [1]


def test_a_slow_thread_is_left_behind_told_so_and_no_longer_heard() -> None:
    release, done, effects = threading.Event(), threading.Event(), RecordedEffects()
    seen = []

    def slow(context: Context) -> None:
        context.log.info("before")
        release.wait(10)
        seen.append(context.canceled)
        context.log.info("after")
        done.set()

    outcome = attempt(slow, timeout="10ms", effects=effects)
    release.set()

    assert isinstance(outcome, Retried)
    assert outcome.error.type == "TimeoutError"
    assert done.wait(10)
    assert seen == [True]
    assert effects.lines == [("info", "before")]


def test_a_handler_that_fails_while_it_is_stopped_says_how() -> None:
    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            raise ValueError("while stopping")

    outcome = attempt(slow, timeout="10ms")

    assert isinstance(outcome, Retried)
    assert outcome.error.public() == {"type": "ValueError", "message": "while stopping"}


def test_a_timeout_of_the_last_attempt_fails() -> None:
    async def slow() -> None:
        await asyncio.sleep(30)

    outcome = attempt(slow, timeout="10ms", max_attempts=1)

    assert isinstance(outcome, Failed)
    assert outcome.error.type == "TimeoutError"


@pytest.mark.parametrize("cleanup", ["none", "fails"])
def test_a_cancellation_from_outside_goes_through(cleanup: str) -> None:
    async def waiting() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            if cleanup == "fails":
                raise ValueError("while stopping")

    async def cancel(running: Any) -> Any:
        task = asyncio.ensure_future(running)
        await asyncio.sleep(0)
        task.cancel()
        return await task

    with pytest.raises(asyncio.CancelledError):
        attempt(waiting, around=cancel)


def test_a_handler_can_ask_whether_its_job_was_canceled() -> None:
    assert attempt(lambda context: context.canceled, canceled=lambda: True) == Finished(result="true")


def test_a_thread_sees_the_context_variables_of_its_attempt() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def read() -> str:
        return variable.get()

    async def around(running: Any) -> Any:
        variable.set("job_1")
        return await running

    assert attempt(read, around=around) == Finished(result='"job_1"')


@dataclass
class Order:
    id: int


def test_a_payload_is_checked_before_the_call() -> None:
    def doubled(context: Context, payload: Order) -> int:
        return payload.id * 2

    outcome = attempt(doubled, claim=replace(CLAIM, body=b'{"id":"seven"}'))

    assert attempt(doubled) == Finished(result="14")
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "Reject"
    assert "$.id" in outcome.error.message


async def fail() -> None:
    raise ValueError("no")


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


def test_a_task_group_that_fails_is_a_failure_and_no_cancellation() -> None:
    outcome = attempt(in_a_group)

    assert isinstance(outcome, Retried)
    assert outcome.error.type == "ExceptionGroup"


def test_a_timeout_after_a_task_group_that_failed_is_a_timeout() -> None:
    async def handler() -> None:
        with suppress(ExceptionGroup):
            await in_a_group()
        await asyncio.sleep(10)

    outcome = attempt(handler, timeout="50ms")

    assert isinstance(outcome, Retried)
    assert outcome.error.message == "the attempt took longer than 0.05s"
