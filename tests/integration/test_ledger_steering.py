"""Steering: jobs that are canceled, that wait in line, and that wait for a place under a limit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rq.job import Job
from rq.registry import CanceledJobRegistry, DeferredJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from infra.ledger import keys
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import HandlerEntry, Ignored, JobStatus, Outcome, Retried
from infra.ledger.wire import limits_of, line_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    QUEUES,
    RELEASED,
    RETRIED,
    Bench,
    arrival,
    on,
)

LATER = Retried(delay=HOUR, error=ERROR)
LINE = keys.LINE + line_of("acme", "order-1")
TWO_AT_A_TIME = limits_of([HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=2)])


def ordered(number: int = 1, **changes: Any) -> Any:
    return arrival(ordering_key=f"order-{number}", **changes)


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


# -- cancel ------------------------------------------------------------------------------------------------------------


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
    await bench.accept(ordered())
    return (await bench.accept(ordered(callback_url=CALLBACK_URL))).job_id


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


# -- ordering keys -----------------------------------------------------------------------------------------------------


def test_jobs_of_one_key_run_one_after_the_other(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [(await bench.accept(ordered())).job_id for _ in range(3)]
        other = (await bench.accept(ordered(2))).job_id
        first = await bench.claim()
        assert {claim.job_id for claim in first} == {jobs[0], other}
        assert await bench.claim() == []
        assert [await bench.status(job) for job in jobs[1:]] == [JobStatus.QUEUED] * 2
        assert await bench.run_all() == []
        await bench.settle(FINISHED, *first)
        assert await bench.run_all() == jobs[1:]

    on(ledger_store, scenario)


def test_a_batch_keeps_its_order(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [ordered() for _ in range(20)]
        await bench.accept(*jobs)
        assert await bench.run_all() == [job.job_id for job in jobs]

    on(ledger_store, scenario)


def test_two_sources_share_no_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(ordered(), ordered(source="api"))
        assert len(await bench.claim()) == 2

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [RETRIED, LATER, RELEASED], ids=["again", "later", "released"])
def test_the_head_of_a_line_stays_until_it_has_ended(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = ordered(), ordered()
        await bench.accept(first, second)
        (claim,) = await bench.claim()
        await bench.settle(outcome, claim)
        assert second.job_id not in [claim.job_id for claim in await bench.claim()]
        assert await bench.client.lrange(LINE, 0, -1) == [first.job_id.encode(), second.job_id.encode()]

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Ignored()], ids=lambda outcome: type(outcome).__name__)
def test_a_line_moves_on_however_its_head_has_ended(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = ordered(), ordered(queue="low")
        await bench.accept(first, second)
        await bench.settle(outcome, *(await bench.claim()))
        (claim,) = await bench.claim()
        assert (claim.job_id, claim.queue) == (second.job_id, "low")
        await bench.settle(FINISHED, claim)
        assert not await bench.client.exists(LINE)

    on(ledger_store, scenario)


def test_a_line_outlives_the_workers_of_its_head(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = ordered(), ordered()
        await bench.accept(first, second)
        for crash in range(CRASH_CAP):
            (claim,) = await bench.claim(f"w{crash}")
            assert claim.job_id == first.job_id
            await bench.die(f"w{crash}")
            await bench.ledger.jobs.take_over()
        assert await bench.status(first) is JobStatus.FAILED
        assert await bench.run_all() == [second.job_id]

    on(ledger_store, scenario)


def test_canceling_the_head_or_one_behind_it_moves_the_line_on(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [ordered() for _ in range(4)]
        await bench.accept(*jobs)
        await cancel(bench, jobs[1])
        assert [claim.job_id for claim in await bench.claim()] == [jobs[0].job_id]
        await cancel(bench, jobs[0])
        assert await bench.run_all() == [jobs[2].job_id, jobs[3].job_id]

    on(ledger_store, scenario)


def test_a_job_in_line_waits_for_its_time_too(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = ordered(), ordered(run_at=datetime.now(UTC) + HOUR)
        third = ordered()
        await bench.accept(first, second, third)
        await bench.settle(FINISHED, *(await bench.claim()))
        assert await bench.claim() == []
        assert await bench.status(second) is JobStatus.SCHEDULED
        assert await bench.status(third) is JobStatus.QUEUED

    on(ledger_store, scenario)


def test_a_duplicate_does_not_stand_in_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(3):
            await bench.accept(ordered(provider_event_id="ev_1"))
        assert await bench.client.llen(LINE) == 1

    on(ledger_store, scenario)


def test_a_line_that_was_lost_is_made_anew(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = sorted((ordered() for _ in range(3)), key=lambda job: job.job_id)  # of one moment
        await bench.accept(*jobs)
        claims = await bench.claim("w1", lease=HOUR)
        await bench.client.delete(LINE)
        await bench.sweep()
        await bench.settle(FINISHED, *claims)
        assert await bench.run_all() == [job.job_id for job in jobs[1:]]

    on(ledger_store, scenario)


def test_a_mangled_record_does_not_jump_its_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [ordered() for _ in range(3)]
        await bench.accept(*jobs)
        await bench.client.delete(keys.JOB + jobs[1].job_id)
        await bench.sweep()
        assert [claim.job_id for claim in await bench.claim("w8")] == [jobs[0].job_id]
        await bench.die("w8")
        await bench.ledger.jobs.take_over()
        assert await bench.run_all() == [job.job_id for job in jobs]

    on(ledger_store, scenario)


def test_who_was_lost_at_the_head_of_a_line_does_not_hold_it_up(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [ordered() for _ in range(3)]
        await bench.accept(*jobs)
        await bench.client.delete(keys.JOB + jobs[0].job_id, keys.EVENT + jobs[0].event_id)
        assert await bench.run_all() == []
        await bench.sweep()
        assert await bench.run_all() == [job.job_id for job in jobs[1:]]

    on(ledger_store, scenario)


def test_the_parked_are_deferred_to_rq(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = ordered(), ordered()
        await bench.accept(first, second)
        with ledger_store.connect_sync() as client:
            registry = DeferredJobRegistry("default", connection=client)
            assert registry.get_job_ids() == [second.job_id]
            assert Job.fetch(second.job_id, connection=client, serializer=JSONSerializer).is_deferred
            await bench.settle(FINISHED, *(await bench.claim()))
            assert registry.get_job_ids() == []

    on(ledger_store, scenario)


# -- limits ------------------------------------------------------------------------------------------------------------


def limited(bench: Bench, most: int = 2, **changes: Any) -> None:
    entry = {"source": "acme", "type": "*", "handler": HANDLER, "concurrency": most}
    bench.limits = limits_of(
        [HandlerEntry(**(entry | changes)), HandlerEntry(source="api", type="*", handler="m:api")]
    )


def test_no_more_run_than_the_limit_allows_whoever_claims(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench)
        await bench.accept(*(arrival() for _ in range(5)))
        held = await bench.claim("w1", slots=1) + await bench.claim("w2")
        assert len(held) == 2
        assert await bench.claim("w3") == []
        assert (
            await bench.client.llen(keys.PARKED + HANDLER),
            await bench.client.llen(keys.QUEUE + "default"),
        ) == (3, 0)
        await bench.settle(FINISHED, held[0], worker="w1")
        assert len(await bench.claim("w3")) == 1

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "outcome",
    [FINISHED, FAILED, Ignored(), RETRIED, LATER],
    ids=["finished", "failed", "ignored", "again", "later"],
)
def test_a_place_is_given_back_with_the_attempt(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(arrival(), arrival())
        (first,) = await bench.claim()
        await bench.settle(outcome, first)
        (second,) = await bench.claim()
        assert second.job_id != first.job_id
        assert await bench.client.smembers(keys.HOLDING + HANDLER) == {second.job_id.encode()}

    on(ledger_store, scenario)


def test_who_has_waited_longest_is_let_in_first(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        jobs = [arrival() for _ in range(12)]
        await bench.accept(*jobs)
        assert await bench.run_all() == [job.job_id for job in jobs]

    on(ledger_store, scenario)


def test_a_place_is_given_back_when_the_worker_dies_or_the_job_is_canceled(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(3)))
        (first,) = await bench.claim("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (second,) = await bench.claim("w2")
        await cancel(bench, second)
        ran = await bench.run_all()
        assert len({*ran, first.job_id, second.job_id}) == 3

    on(ledger_store, scenario)


def test_a_claim_looks_past_those_that_have_no_place(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(10)), arrival(source="api"))
        assert [claim.source for claim in await bench.claim(slots=5)] == ["acme", "api"]

    on(ledger_store, scenario)


def test_another_handler_of_the_source_has_no_part_in_the_limit(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = limits_of([
            HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=1),
            HandlerEntry(source="acme", type="order.paid", handler="handlers.acme:other"),
        ])  # fmt: skip
        await bench.accept(*(arrival() for _ in range(3)), *(arrival(type="other") for _ in range(3)))
        assert sorted(claim.type for claim in await bench.claim()) == ["order.paid"] * 3 + ["other"]
        assert await bench.client.scard(keys.HOLDING + HANDLER) == 1

    on(ledger_store, scenario)


def test_a_raised_limit_lets_all_in_that_it_can(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(8)))
        (first,) = await bench.claim()
        limited(bench, 4)
        await bench.accept(arrival())
        held = await bench.claim()
        await bench.settle(FINISHED, first)
        assert len(held) + len(await bench.claim()) == 4

    on(ledger_store, scenario)


def test_without_the_limit_those_that_waited_run(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(4)))
        (first,) = await bench.claim()
        bench.limits = ()
        await bench.settle(FINISHED, first)
        ran = await bench.run_all()
        await bench.sweep()
        assert len(ran + await bench.run_all()) == 3

    on(ledger_store, scenario)


def test_places_that_nobody_holds_any_more_are_found(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(3)))
        await bench.claim()
        await bench.client.sadd(keys.HOLDING + HANDLER, "job_gone")
        await bench.client.delete(keys.PARKED + HANDLER)
        await bench.die("w1")
        for _ in range(3):
            await bench.ledger.jobs.take_over()
            await bench.sweep()
            await bench.run_all()
        assert await bench.client.zcard(keys.OPEN) <= 1  # the mark

    on(ledger_store, scenario)


def test_limits_and_lines_go_together(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 2)
        jobs = [ordered(number % 3) for number in range(12)]
        await bench.accept(*jobs)
        ran: list[str] = []
        while claims := await bench.claim():
            assert len(claims) <= 2
            await bench.settle(FINISHED, *claims)
            ran += [claim.job_id for claim in claims]
        for line in range(3):
            of_line = [job.job_id for number, job in enumerate(jobs) if number % 3 == line]
            assert [job for job in ran if job in of_line] == of_line

    on(ledger_store, scenario)


def test_a_wait_between_lookups_is_not_needed_for_what_workers_told(ledger_store: Store) -> None:
    """What was handled is known while no worker lives, for as long as nobody lives who handles something else."""

    async def scenario(bench: Bench) -> None:
        entry = HandlerEntry(
            source="acme",
            type="*",
            handler=HANDLER,
            concurrency=2,
            ordering_key="json:$.order",
            timeout=timedelta(minutes=7),
        )
        await bench.renew("w1", manifest=[entry])
        await bench.ledger.workers.depart("w1", queues=QUEUES)
        told = await bench.ledger.workers.told()
        assert (told.live, told.remembered) == ({}, (entry,))

    on(ledger_store, scenario)
