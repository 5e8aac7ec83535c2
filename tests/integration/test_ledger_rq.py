"""RQ's own tools tell the truth about our jobs, and do them no harm."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import clean_registries
from rq.results import Result
from rq.serializers import JSONSerializer

from infra.ledger import keys
from infra.ledger.jobs import Report
from infra.ledger.records import Ignored, JobStatus, Progress
from tests.conftest import Spawned, Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FAILED,
    FINISHED,
    HOUR,
    QUEUES,
    RETRIED,
    Bench,
    Claim,
    Retried,
    arrival,
    on,
)


def rq_job(client: Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=client, serializer=JSONSerializer)


def rq_queue(client: Redis, name: str = "default") -> Queue:
    return Queue(name, connection=client, serializer=JSONSerializer)


async def _queued(bench: Bench) -> str:
    return (await bench.accept()).job_id


async def _scheduled(bench: Bench) -> str:
    return (await bench.accept(run_at=datetime(2100, 1, 1, tzinfo=UTC))).job_id


async def _waiting(bench: Bench) -> str:
    claim = await bench.take()
    await bench.settle(Retried(delay=HOUR, error=RETRIED.error), claim)
    return claim.job_id


async def _started(bench: Bench) -> str:
    return (await bench.take()).job_id


async def _finished(bench: Bench) -> str:
    claim = await bench.take()
    await bench.settle(FINISHED, claim)
    return claim.job_id


async def _failed(bench: Bench) -> str:
    claim = await bench.take()
    await bench.settle(FAILED, claim)
    return claim.job_id


async def _ignored(bench: Bench) -> str:
    claim = await bench.take()
    await bench.settle(Ignored(), claim)
    return claim.job_id


async def _canceled(bench: Bench) -> str:
    event = await bench.accept()
    await bench.client.hset(keys.JOB + event.job_id, "status", "canceled")
    await bench.client.delete(f"{keys.QUEUE}default")
    await bench.sweep()
    return event.job_id


async def _rebuilt(bench: Bench) -> str:
    event = await bench.accept()
    await bench.client.delete(keys.JOB + event.job_id)
    await bench.sweep()
    return event.job_id


STATES = {
    _queued: ("queued", "queued"),
    _scheduled: ("scheduled", "scheduled"),
    _waiting: ("scheduled", "scheduled"),
    _started: ("started", "started"),
    _finished: ("finished", "finished"),
    _failed: ("failed", "failed"),
    _rebuilt: ("queued", "queued"),
    _ignored: ("finished", "finished"),
    _canceled: ("canceled", "canceled"),
}


def places(client: Redis, job_id: str) -> list[str]:
    """Where RQ finds a job."""
    queue = rq_queue(client)
    registries = {
        "scheduled": queue.scheduled_job_registry,
        "started": queue.started_job_registry,
        "finished": queue.finished_job_registry,
        "failed": queue.failed_job_registry,
        "deferred": queue.deferred_job_registry,
        "canceled": queue.canceled_job_registry,
    }
    found = ["queued"] if job_id in queue.get_job_ids() else []
    return found + [name for name, registry in registries.items() if job_id in registry.get_job_ids()]


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_a_job_is_where_its_status_says(
    ledger_store: Store, reach: Callable[[Bench], Awaitable[str]]
) -> None:
    status, place = STATES[reach]

    async def scenario(bench: Bench) -> None:
        job_id = await reach(bench)
        with ledger_store.connect_sync() as client:
            job = rq_job(client, job_id)
            assert job.get_status() == status
            assert places(client, job_id) == [place]
            assert (job.origin, job.func_name, job.args, job.kwargs) == (
                "default",
                "worker.entry.run",
                [job_id],
                {},
            )
            assert job.created_at is not None
            assert job.enqueued_at is not None
            assert (job.started_at is not None) == (reach not in (_queued, _scheduled, _rebuilt, _canceled))
            assert (job.ended_at is not None) == (reach in (_finished, _failed, _ignored, _canceled))
            assert job.description in ("acme order.paid", "rebuilt")
            assert (job.get_position() == 0) == (place == "queued")

    on(ledger_store, scenario)


def test_results_can_be_read(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        for outcome in (RETRIED, RETRIED, FINISHED):
            await bench.settle(outcome, *(await bench.claim()))
        failed = await _failed(bench)
        with ledger_store.connect_sync() as client:
            job = rq_job(client, event.job_id)
            assert job.return_value() == {"ok": True}
            assert [result.type for result in job.results()] == [
                Result.Type.SUCCESSFUL,
                Result.Type.RETRIED,
                Result.Type.RETRIED,
            ]
            latest = job.latest_result()
            assert latest is not None
            assert (latest.worker_name, latest.execution_started_at is not None) == ("w1", True)
            failure = rq_job(client, failed).latest_result()
            assert failure is not None
            assert (failure.type, failure.exc_string) == (Result.Type.FAILED, "Traceback: no total")

    on(ledger_store, scenario)


def test_progress_stands_in_meta(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.ledger.jobs.report([Report(claim, Progress(current=1, total=4, message="ü"))])
        with ledger_store.connect_sync() as client:
            progress = rq_job(client, claim.job_id).meta["progress"]
        assert (progress["current"], progress["total"], progress["message"]) == (1, 4, "ü")

    on(ledger_store, scenario)


def test_workers_can_be_seen(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        await bench.accept(*(arrival() for _ in range(3)))
        finished, failed, _ = await bench.claim("w1")

        def seen() -> Any:
            with ledger_store.connect_sync() as client:
                (worker,) = Worker.all(connection=client)
                assert worker.queue_names() == list(QUEUES)
                assert Worker.count(queue=rq_queue(client, "low")) == 1
                assert worker.last_heartbeat is not None
                assert worker.birth_date is not None
                return (
                    worker.get_state(),
                    worker.successful_job_count,
                    worker.failed_job_count,
                    worker.hostname,
                )

        assert seen() == ("busy", 0, 0, "box")
        await bench.settle(FINISHED, finished)
        await bench.settle(FAILED, failed)
        assert seen() == ("busy", 1, 1, "box")
        assert await bench.ledger.workers.depart("w1", queues=QUEUES) == 1
        with ledger_store.connect_sync() as client:
            assert Worker.all(connection=client) == []

    on(ledger_store, scenario)


def test_a_dead_worker_is_no_longer_seen(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        with ledger_store.connect_sync() as client:
            assert Worker.all(connection=client) == []
            assert Worker.count(queue=rq_queue(client)) == 0

    on(ledger_store, scenario)


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_the_clean_ups_of_rq_do_no_harm(
    ledger_store: Store, reach: Callable[[Bench], Awaitable[str]]
) -> None:
    async def scenario(bench: Bench) -> None:
        await reach(bench)
        before = await bench.snapshot()
        with ledger_store.connect_sync() as client:
            for name in QUEUES:
                clean_registries(rq_queue(client, name))
            assert (
                rq_queue(client).started_job_registry.get_expired_job_ids(datetime.now(UTC).timestamp() + 3e8)
                == []
            )
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_queues_can_be_listed_and_counted(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(arrival(), arrival(), arrival(queue="media"))
        with ledger_store.connect_sync() as client:
            assert {queue.name: queue.count for queue in Queue.all(connection=client)} == {
                "default": 2,
                "media": 1,
            }

    on(ledger_store, scenario)


def test_a_job_that_rq_deletes_runs_all_the_same(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        with ledger_store.connect_sync() as client:
            rq_job(client, event.job_id).delete()
        await bench.sweep()
        assert await bench.run_all() == [event.job_id]

    on(ledger_store, scenario)


def test_a_job_that_rq_cancels_is_canceled(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(callback_url=CALLBACK_URL)
        with ledger_store.connect_sync() as client:
            rq_job(client, event.job_id).cancel()
        await bench.sweep()
        assert await bench.status(event) is JobStatus.CANCELED
        assert await bench.run_all() == []
        assert len(await bench.due()) == 1

    on(ledger_store, scenario)


def test_a_failed_job_that_rq_requeues_runs_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await _failed(bench)
        with ledger_store.connect_sync() as client:
            rq_queue(client).failed_job_registry.requeue(job_id)
        assert await bench.run_all() == [job_id]
        assert await bench.status(job_id) is JobStatus.FINISHED

    on(ledger_store, scenario)


# -- other processes ---------------------------------------------------------------------------------------------------


@pytest.mark.needs_server
def test_rq_info_tells_of_queues_and_workers(valkey_store: Store, spawn: Callable[..., Spawned]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        await bench.accept(arrival(queue="high"), arrival(queue="high"))
        await bench.claim("w1", slots=1)

    on(valkey_store, scenario)
    told = spawn("rq", "info", "--url", valkey_store.url, "--raw")
    told.process.wait(60)
    assert "queue high 1, 1 executing" in told.output()
    assert "worker w1 (box None 7) busy high, default, low" in told.output()


@pytest.mark.needs_server
def test_a_stock_worker_gives_our_jobs_back(valkey_store: Store, spawn: Callable[..., Spawned]) -> None:
    claims: list[Claim] = []

    async def accept(bench: Bench) -> None:
        claims.append(await bench.take("w1"))
        await bench.settle(RETRIED, claims[0])

    async def take_back(bench: Bench) -> None:
        job_id = claims[0].job_id
        assert await bench.status(job_id) is JobStatus.SCHEDULED
        assert await bench.sweep() == 0
        await bench.client.zadd(f"{keys.SCHEDULED}default", {job_id: 1})
        assert await bench.ledger.jobs.promote(QUEUES) == (1, None)
        (again,) = await bench.claim("w2")
        assert (again.job_id, again.attempt, again.body) == (job_id, 2, claims[0].body)
        await bench.settle(FINISHED, again, worker="w2")
        job = await bench.job(job_id)
        assert (job.status, job.result) == (JobStatus.FINISHED, {"ok": True})
        assert await bench.client.ttl(keys.JOB + job_id) == -1
        assert job.ended_at is not None
        assert job.ended_at - job.created_at < timedelta(minutes=5)

    on(valkey_store, accept)
    stock = spawn(
        "rq", "worker", "--url", valkey_store.url, "--burst", "--serializer", "rq.serializers.JSONSerializer", "default",
    )  # fmt: skip
    assert stock.process.wait(60) == 0
    assert "a stock rq worker took" in stock.output()
    on(valkey_store, take_back)


@pytest.mark.needs_server
def test_a_job_that_a_stock_worker_broke_runs_all_the_same(
    valkey_store: Store, spawn: Callable[..., Spawned]
) -> None:
    """A stock worker that can't import our entry point fails the job, after its own fashion."""
    events: list[str] = []

    async def accept(bench: Bench) -> None:
        events.append((await bench.accept(callback_url=CALLBACK_URL)).job_id)
        await bench.client.hset(keys.JOB + events[0], "data", json.dumps(["no.such.function", None, [], {}]))

    async def take_back(bench: Bench) -> None:
        assert await bench.status(events[0]) is JobStatus.FAILED
        assert await bench.sweep() == 1
        assert await bench.run_all() == events
        job = await bench.job(events[0])
        assert (job.status, job.result) == (JobStatus.FINISHED, {"ok": True})
        assert len(await bench.due()) == 1
        assert await bench.client.ttl(keys.JOB + events[0]) == -1
        assert await bench.client.ttl(keys.RESULTS + events[0]) == -1

    on(valkey_store, accept)
    stock = spawn(
        "rq",
        "worker",
        "--url",
        valkey_store.url,
        "--burst",
        "--serializer",
        "rq.serializers.JSONSerializer",
        "default",
    )
    assert stock.process.wait(60) == 0
    on(valkey_store, take_back)
