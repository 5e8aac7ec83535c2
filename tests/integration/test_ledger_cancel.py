"""Cancel: a job in any state ends at once, stands nowhere any more, and its caller is told."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rq.job import Job
from rq.registry import CanceledJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from infra.ledger import keys
from infra.ledger.records import HandlerEntry, Ignored, JobStatus, Outcome, Retried
from infra.ledger.wire import limits_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    RELEASED,
    RETRIED,
    Bench,
    arrival,
    on,
)

LATER = Retried(delay=HOUR, error=ERROR)
TWO_AT_A_TIME = limits_of([HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=2)])


async def cancel(bench: Bench, one: Any) -> JobStatus | None:
    return await bench.ledger.jobs.cancel(one if isinstance(one, str) else one.job_id)


async def stands_nowhere(bench: Bench, job_id: str) -> bool:
    """Whether no list or set of the living knows the job."""
    dead = (
        keys.JOB,
        keys.JOBS,
        keys.EVENT,
        keys.RESULTS,
        keys.CANCELED,
        keys.LIVE,
        keys.CALLBACK,
        keys.OUTBOX,
    )
    snapshot = await bench.snapshot()
    return not any(
        job_id.encode() in repr(content).encode()
        for key, content in snapshot.items()
        if not key.decode().startswith(dead)
    )


async def _queued(bench: Bench) -> str:
    return (await bench.accept(callback_url=CALLBACK_URL)).job_id


async def _scheduled(bench: Bench) -> str:
    return (await bench.accept(callback_url=CALLBACK_URL, run_at=datetime(2100, 1, 1, tzinfo=UTC))).job_id


async def _waiting_for_its_next_attempt(bench: Bench) -> str:
    claim = await bench.take(callback_url=CALLBACK_URL)
    await bench.settle(LATER, claim)
    return claim.job_id


async def _started(bench: Bench) -> str:
    return (await bench.take(callback_url=CALLBACK_URL)).job_id


async def _in_line(bench: Bench) -> str:
    await bench.accept(arrival(ordering_key="order-1"))
    return (await bench.accept(arrival(ordering_key="order-1", callback_url=CALLBACK_URL))).job_id


async def _without_a_place(bench: Bench) -> str:
    bench.limits = TWO_AT_A_TIME
    await bench.accept(arrival(), arrival())
    await bench.claim()
    job = await bench.accept(callback_url=CALLBACK_URL)
    assert await bench.claim() == []
    return job.job_id


STATES = [_queued, _scheduled, _waiting_for_its_next_attempt, _started, _in_line, _without_a_place]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_job_can_be_canceled_in_every_state(ledger_store: Store, state: Any) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await state(bench)
        assert await cancel(bench, job_id) is JobStatus.CANCELED
        job = await bench.job(job_id)
        assert (job.status, job.error, job.position, job.next_attempt_at) == (
            JobStatus.CANCELED,
            None,
            None,
            None,
        )
        assert job.ended_at is not None
        assert await stands_nowhere(bench, job_id)
        (due,) = await bench.due()
        assert (due.job.id, due.job.status) == (job_id, JobStatus.CANCELED)
        assert job_id not in await bench.run_all()

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Ignored()], ids=lambda outcome: type(outcome).__name__)
def test_a_job_that_has_ended_can_not_be_canceled(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        await bench.settle(outcome, claim)
        ended, before = await bench.status(claim), await bench.snapshot()
        assert await cancel(bench, claim) is ended
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_canceling_twice_changes_nothing_more(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await _started(bench)
        await cancel(bench, job_id)
        before = await bench.snapshot()
        assert await cancel(bench, job_id) is JobStatus.CANCELED
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


@pytest.mark.parametrize("job_id", ["job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "cb_1", "", "job_\x00\xff"])
def test_who_is_not_there_can_not_be_canceled(ledger_store: Store, job_id: str) -> None:
    async def scenario(bench: Bench) -> None:
        assert await cancel(bench, job_id) is None
        assert await bench.snapshot() == {}

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, RETRIED, RELEASED], ids=lambda one: type(one).__name__)
def test_whoever_still_runs_a_canceled_job_changes_nothing(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        await cancel(bench, claim)
        before = await bench.snapshot()
        await bench.settle(outcome, claim)
        assert await bench.snapshot() == before
        await bench.die("w1")
        assert (await bench.ledger.jobs.take_over()).requeued == 0

    on(ledger_store, scenario)


def test_the_attempt_that_was_canceled_is_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await _started(bench)
        await cancel(bench, job_id)
        (attempt,) = (await bench.job(job_id)).attempts
        assert (attempt.number, attempt.outcome, attempt.worker, attempt.error) == (1, "canceled", "w1", None)

    on(ledger_store, scenario)


def test_the_worker_that_runs_it_is_told(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        async with bench.client.pubsub() as channel:
            await channel.subscribe(keys.WAKE)
            await channel.get_message(timeout=5)
            await cancel(bench, claim)
            message = await channel.get_message(timeout=5)
        assert message["data"] == f"cancel {claim.job_id}".encode()

    on(ledger_store, scenario)


def test_a_canceled_job_is_true_to_rq(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await cancel(bench, claim)
        with ledger_store.connect_sync() as client:
            job = Job.fetch(claim.job_id, connection=client, serializer=JSONSerializer)
            assert job.is_canceled
            assert job.latest_result().type is Result.Type.STOPPED
            assert CanceledJobRegistry("default", connection=client).get_job_ids() == [claim.job_id]

    on(ledger_store, scenario)
