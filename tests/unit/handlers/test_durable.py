"""What a handler does once: its steps, the jobs that it makes, the events that it waits for; in a loop and in a thread."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers import Context, Reject, RetryLater
from handlers.durable import KEPT_LIMIT, MOST_KEPT, STEP_LIMIT
from handlers.errors import AttemptOver, CallRefused, WaitTimeout
from handlers.registry import Registry
from handlers.testing import Attempt, run
from infra.ledger.records import Failed, Retried, Waiting

Work = Callable[..., Any]


def both(in_the_loop: Work, in_a_thread: Work) -> Any:
    """The same handler, written both ways."""
    return pytest.mark.parametrize("handler", [in_the_loop, in_a_thread], ids=["async def", "def"])


def refusal(attempt: Attempt) -> str:
    """The text of the error that an attempt ended with."""
    outcome = attempt.outcome
    assert isinstance(outcome, Failed | Retried)
    return outcome.error.message


# -- steps -------------------------------------------------------------------------------------------------------------

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    calls.clear()


async def fetch(number: int) -> dict[str, Any]:
    calls.append(("fetch", number))
    return {"number": number, "pair": (1, 2)}


def count(number: int) -> int:
    calls.append(("count", number, threading.current_thread() is threading.main_thread()))
    return number + 1


async def in_steps(context: Context) -> Any:
    fetched = await context.step("fetch", fetch, 7)
    counted = await context.step("count", count, 7)
    if context.attempt == 1:
        raise RetryLater("1s")
    return [fetched, counted]


def in_steps_plain(context: Context) -> Any:
    fetched = context.step("fetch", fetch, 7)
    counted = context.step("count", count, 7)
    if context.attempt == 1:
        raise RetryLater("1s")
    return [fetched, counted]


@both(in_steps, in_steps_plain)
def test_a_step_that_was_done_is_not_done_again(handler: Work) -> None:
    done = run(handler, None).again()

    assert done.result == [{"number": 7, "pair": [1, 2]}, 8]
    assert calls == [("fetch", 7), ("count", 7, False)]


async def sees_json(context: Context) -> bool:
    return await context.step("a", lambda: (1, {2: None})) == [1, {"2": None}]


def sees_json_plain(context: Context) -> bool:
    return context.step("a", lambda: (1, {2: None})) == [1, {"2": None}]


@both(sees_json, sees_json_plain)
def test_the_first_attempt_sees_what_later_ones_will(handler: Work) -> None:
    assert run(handler, None).result is True


async def by_lambda(context: Context) -> Any:
    return (await context.step("fetch", lambda: fetch(3)))["number"]


def test_a_lambda_around_a_coroutine_function_is_awaited() -> None:
    assert run(by_lambda, None).result == 3


def test_a_plain_step_of_an_async_handler_does_not_block_its_loop() -> None:
    gate = threading.Event()

    async def handler(context: Context) -> str:
        waiting = asyncio.create_task(context.step("wait", gate.wait, 10))
        await asyncio.sleep(0)
        gate.set()
        return "through" if await waiting else "blocked"

    assert run(handler, None).result == "through"


def fails_once() -> int:
    calls.append("tried")
    if len(calls) == 1:
        raise ValueError("not yet")
    return len(calls)


async def failing(context: Context) -> int:
    return int(await context.step("a", fails_once))


def failing_plain(context: Context) -> int:
    return int(context.step("a", fails_once))


@both(failing, failing_plain)
def test_a_step_that_raised_is_done_again(handler: Work) -> None:
    first = run(handler, None)

    assert refusal(first) == "not yet"
    assert first.again().result == 2


async def twice(context: Context) -> None:
    await context.step("same", count, 1)
    await context.step("same", count, 2)


def twice_plain(context: Context) -> None:
    context.step("same", count, 1)
    context.step("same", count, 2)


@both(twice, twice_plain)
def test_two_steps_need_two_names(handler: Work) -> None:
    assert refusal(run(handler, None)) == "there are two steps 'same': each needs a name of its own"
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "\x1b[31m", "\ud800"])
def test_a_name_that_can_not_be_shown_is_refused(name: str) -> None:
    async def handler(context: Context) -> None:
        await context.step(name, count, 1)

    assert refusal(run(handler, None)) == "a step's name has 1 to 128 printable characters"
    assert calls == []


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (float("nan"), "ResultNotJSON", "what the step 'a' returned is not JSON"),
        ({1, 2}, "ResultNotJSON", "what the step 'a' returned is not JSON"),
        ("x" * STEP_LIMIT, "ResultTooLarge", f"what the step 'a' returned has {STEP_LIMIT + 2} bytes"),
    ],
)
def test_what_a_step_returns_has_the_bounds_of_a_result(value: Any, kind: str, words: str) -> None:
    async def handler(context: Context) -> None:
        await context.step("a", lambda: value)

    outcome = run(handler, None).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.type == kind
    assert outcome.error.message.startswith(words)


def test_a_job_keeps_so_many_steps() -> None:
    async def handler(context: Context) -> None:
        for number in range(MOST_KEPT + 1):
            await context.step(str(number), lambda: None)

    assert refusal(run(handler, None)) == f"a job keeps at most {MOST_KEPT} steps, jobs and waits"


def test_a_job_keeps_so_much() -> None:
    async def handler(context: Context) -> None:
        for number in range(KEPT_LIMIT // STEP_LIMIT + 1):
            await context.step(str(number), lambda: "é" * (STEP_LIMIT // 2 - 1))
            calls.append(number)

    assert refusal(run(handler, None)) == f"a job keeps at most {KEPT_LIMIT} bytes of what its steps returned"
    assert calls == list(range(8))


def test_a_thread_that_was_left_behind_keeps_nothing() -> None:
    gate, told = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def handler(context: Context) -> None:
        gate.wait(10)
        for call in (lambda: context.step("late", count, 1), lambda: context.enqueue("late")):
            try:
                call()
            except AttemptOver as error:
                errors.append(error)
        told.set()

    attempt = run(handler, None, registry=timing_out(handler))
    gate.set()

    assert told.wait(10)
    assert refusal(attempt) == "the attempt took longer than 0.05s"
    assert [str(error) for error in errors] == ["this attempt is over: what it does is no longer kept"] * 2
    assert calls == []


def timing_out(function: Work) -> Registry:
    registry = Registry()
    registry.handler("test", "test", timeout="50ms")(function)
    return registry


# -- jobs --------------------------------------------------------------------------------------------------------------


async def making(context: Context) -> Any:
    ids = [await context.enqueue("mail", {"to": to}, run_in="5m", tag="blue") for to in ("a", "b")]
    ids.append(await context.enqueue("mail", {"to": "c"}, idempotency_key="c"))
    if context.attempt == 1:
        raise RetryLater("1s")
    return ids


def making_plain(context: Context) -> Any:
    ids = [context.enqueue("mail", {"to": to}, run_in=timedelta(minutes=5), tag="blue") for to in ("a", "b")]
    ids.append(context.enqueue("mail", {"to": "c"}, idempotency_key="c"))
    if context.attempt == 1:
        raise RetryLater("1s")
    return ids


@both(making, making_plain)
def test_a_job_is_made_once(handler: Work) -> None:
    first = run(handler, None)
    again = first.again()

    assert [(made.type, made.payload, made.tag) for made in first.enqueued] == [
        ("mail", {"to": "a"}, "blue"),
        ("mail", {"to": "b"}, "blue"),
        ("mail", {"to": "c"}, None),
    ]
    assert first.enqueued[0].due(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert again.enqueued == []
    assert len(set(again.result)) == 3


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"type": ""}, "Needs 1 to 128 printable characters - at `$.type`"),
        ({"type": "a", "queue": "a b"}, "Needs at most 63 letters, digits, - and _ - at `$.queue`"),
        ({"type": "a", "run_in": "soon"}, "Needs seconds, or a duration such as 15m - at `$.run_in`"),
        (
            {"type": "a", "run_at": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)},
            "Needs an offset from UTC, such as Z - at `$.run_at`",
        ),
        ({"type": "a", "metadata": {"a": "x" * 20_000}}, "Takes at most 16384 bytes - at `$.metadata`"),
        ({"type": "a", "ordering_key": ""}, "Needs 1 to 128 printable characters - at `$.ordering_key`"),
        ({"type": "a", "payload": {1, 2}}, "the payload is not JSON: "),
    ],
)
def test_a_job_that_can_not_be_made_is_refused_with_its_place(words: dict[str, Any], fault: str) -> None:
    async def handler(context: Context) -> None:
        await context.enqueue(**words)

    attempt = run(handler, None)
    assert refusal(attempt).startswith(fault)
    assert attempt.enqueued == []


def test_two_jobs_need_two_keys() -> None:
    async def handler(context: Context) -> None:
        for _ in range(2):
            await context.enqueue("mail", idempotency_key="same")

    assert refusal(run(handler, None)) == "there are two jobs with the idempotency_key 'same'"


def test_one_job_is_made_of_all_calls_with_a_shared_key() -> None:
    async def handler(context: Context) -> list[str]:
        first = await context.enqueue("sum", 1, shared_key="all", idempotency_key="a")
        return [first, await context.enqueue("sum", 2, shared_key="all"), await context.enqueue("sum", 3)]

    done = run(handler, None)
    first, second, third = done.result
    assert first == second != third
    assert [job.payload for job in done.enqueued] == [1, 3]


# -- events ------------------------------------------------------------------------------------------------------------


async def waiting(context: Context) -> Any:
    await context.step("order", count, 1)
    event = await context.wait_for("payments", "pay_1", "30m")
    return [event.payload, event.source, context.attempt]


def waiting_plain(context: Context) -> Any:
    context.step("order", count, 1)
    event = context.wait_for("payments", "pay_1", timedelta(minutes=30))
    return [event.payload, event.source, context.attempt]


@both(waiting, waiting_plain)
def test_the_handler_starts_again_when_the_event_comes(handler: Work) -> None:
    first = run(handler, None)

    assert first.outcome == Waiting(
        source="payments", key="pay_1", until=first.clock.now() + timedelta(minutes=30)
    )
    assert first.with_event({"paid": True}).result == [{"paid": True}, "payments", 1]
    assert len(calls) == 1


@both(waiting, waiting_plain)
def test_an_event_that_came_before_the_wait_is_there_at_once(handler: Work) -> None:
    assert run(handler, None, events={("payments", "pay_1"): 7}).result == [7, "payments", 1]


@both(waiting, waiting_plain)
def test_a_wait_that_was_in_vain_fails_the_job(handler: Work) -> None:
    outcome = run(handler, None).again().outcome

    assert isinstance(outcome, Failed)
    assert outcome.error.public() == {
        "type": "WaitTimeout",
        "message": "the event pay_1 of payments did not come in time",
    }


def test_the_end_of_a_wait_is_that_of_its_first_attempt_and_what_came_of_it_stays() -> None:
    async def handler(context: Context) -> str:
        try:
            await context.wait_for("payments", "pay_1", "30m")
        except WaitTimeout:
            if context.attempt == 1:
                raise RetryLater("1h") from None
            return "too late"
        return "paid"

    first = run(handler, None)
    first.clock.advance(timedelta(minutes=10))
    again = first._run(first._claim)
    assert again.outcome == first.outcome

    late = again.again()
    assert isinstance(late.outcome, Retried)
    late._rehearsal.receive("payments", "pay_1", "late")
    assert late.again().result == "too late"


def test_a_timeout_error_is_one() -> None:
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(WaitTimeout, Reject)


async def careless(context: Context) -> str:
    try:
        await context.wait_for("payments", "pay_1", "30m")
    except Exception:  # noqa: BLE001
        return "caught"
    return "came"


def careless_plain(context: Context) -> str:
    try:
        context.wait_for("payments", "pay_1", "30m")
    except Exception:  # noqa: BLE001
        return "caught"
    return "came"


@both(careless, careless_plain)
def test_a_handler_that_catches_every_exception_waits_all_the_same(handler: Work) -> None:
    assert isinstance(run(handler, None).outcome, Waiting)


async def greedy(context: Context) -> str:
    try:
        await context.wait_for("payments", "pay_1", "30m")
    except BaseException:  # noqa: BLE001
        return "swallowed"
    return "came"


def greedy_plain(context: Context) -> str:
    try:
        context.wait_for("payments", "pay_1", "30m")
    except BaseException:  # noqa: BLE001
        return "swallowed"
    return "came"


@both(greedy, greedy_plain)
def test_a_handler_that_swallows_its_wait_is_told(handler: Work) -> None:
    assert refusal(run(handler, None)) == (
        "the handler caught what wait_for raises to end the attempt: let BaseException pass, and catch Exception"
    )


def test_waits_in_a_task_group_are_waits() -> None:
    async def handler(context: Context) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(context.wait_for("payments", key, "30m")) for key in ("a", "b")]
        return sum([task.result().payload for task in tasks])

    first = run(handler, None)
    assert isinstance(first.outcome, Waiting)
    second = first.with_event(1)
    assert isinstance(second.outcome, Waiting)
    assert {first.outcome.key, second.outcome.key} == {"a", "b"}
    assert second.with_event(2).result == 3


def test_a_failure_beside_a_wait_is_a_failure() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def handler(context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(context.wait_for("payments", "a", "30m"))

    assert isinstance(run(handler, None).outcome, Retried)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("Payments", "a", "1m"), "a source's name has only a-z, 0-9 and -"),
        (("payments", "", "1m"), "an event is waited for by its key, which is not empty"),
        (("payments", "a", "soon"), "the timeout is not a duration"),
        (("payments", "a", "0s"), "the timeout must be more than zero and at most 365d"),
        (("payments", "a", timedelta(days=366)), "the timeout must be more than zero and at most 365d"),
    ],
)
def test_a_wait_that_means_nothing_is_refused(words: tuple[Any, ...], fault: str) -> None:
    async def handler(context: Context) -> None:
        await context.wait_for(*words)

    assert refusal(run(handler, None)).startswith(fault)


def test_the_same_event_is_not_waited_for_twice() -> None:
    async def handler(context: Context) -> None:
        for _ in range(2):
            await context.wait_for("payments", "a", "1m")

    attempt = run(handler, None, events={("payments", "a"): 1})
    assert refusal(attempt) == "the event a of payments is waited for twice"


def test_a_refused_call_is_a_value_error() -> None:
    assert issubclass(CallRefused, ValueError)
