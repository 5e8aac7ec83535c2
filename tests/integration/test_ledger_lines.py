"""Lines: jobs with the same ordering key run one after the other, in the order in which they came."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rq.job import Job
from rq.registry import DeferredJobRegistry
from rq.serializers import JSONSerializer

from infra.ledger import keys
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import Ignored, JobStatus, Outcome, Retried
from infra.ledger.wire import line_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    ERROR,
    FAILED,
    FINISHED,
    HOUR,
    RELEASED,
    RETRIED,
    Bench,
    arrival,
    on,
)

LATER = Retried(delay=HOUR, error=ERROR)
LINE = keys.LINE + line_of("acme", "order-1")


def ordered(number: int = 1, **changes: Any) -> Any:
    return arrival(ordering_key=f"order-{number}", **changes)


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
        await bench.ledger.jobs.cancel(jobs[1].job_id)
        assert [claim.job_id for claim in await bench.claim()] == [jobs[0].job_id]
        await bench.ledger.jobs.cancel(jobs[0].job_id)
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
