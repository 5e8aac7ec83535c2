"""A handler that makes jobs and goes on when they have ended."""

from typing import Any

import pytest

from handlers import Context
from handlers.services import JobState
from handlers.testing import run
from infra.ledger.records import Finished, Waiting


async def sums(context: Context) -> Any:
    ids = [await context.enqueue("square", number) for number in context.payload]
    states = await context.outcomes(ids, lambda seen: told(context, seen))
    return [state.error.message if state.error else state.result for state in states]


def sums_in_a_thread(context: Context) -> Any:
    ids = [context.enqueue("square", number) for number in context.payload]
    states = context.outcomes(ids, lambda seen: told(context, seen))
    return [state.error.message if state.error else state.result for state in states]


def told(context: Context, seen: list[JobState]) -> None:
    context.progress(sum(not state.open for state in seen), len(seen))


@pytest.mark.parametrize("handler", [sums, sums_in_a_thread])
def test_it_goes_on_when_all_of_them_have_ended(handler: Any) -> None:
    first = run(handler, [2, 3])
    assert isinstance(first.outcome, Waiting)
    assert [job.payload for job in first.enqueued] == [2, 3]

    second = first.with_results(4)
    assert isinstance(second.outcome, Waiting)
    assert (second.progress[-1].current, second.progress[-1].total) == (1, 2)
    assert not second.enqueued

    third = second.with_results(ValueError("no number"))
    assert third.result == [4, "no number"]


def test_the_more_there_are_the_less_often_it_looks() -> None:
    pauses = []
    for count in (1, 50, 1000):
        waits = run(sums, list(range(count)))
        assert isinstance(waits.outcome, Waiting)
        pauses.append((waits.outcome.until - waits.clock.now()).total_seconds())
    assert pauses == [0.3, 1.0, 2.0]


def test_no_jobs_are_no_wait() -> None:
    assert isinstance(run(sums, []).outcome, Finished)


def test_how_jobs_stand_can_be_asked_at_any_time() -> None:
    async def asks(context: Context) -> Any:
        job_id = await context.enqueue("square", 2)
        (state,) = await context.jobs([job_id])
        return [state.status, state.open]

    assert run(asks, {}).result == ["queued", True]
