"""What finds lost work: promotion, takeover, the sweep."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from infra.ledger import keys
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import CallbackStatus, Claim, JobStatus, Retried
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, ERROR, FINISHED, HOUR, Bench, arrival, on


def test_a_due_job_is_queued_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        events = [arrival(run_at=datetime(2020, 1, 1, tzinfo=UTC), queue="high") for _ in range(3)]
        await bench.accept(*events, arrival(run_at=datetime(2100, 1, 1, tzinfo=UTC), queue="low"))
        promoted = await asyncio.gather(*(bench.ledger.jobs.promote(["high", "low"]) for _ in range(3)))
        assert sorted(count for count, _ in promoted) == [0, 0, 3]
        assert await bench.ledger.jobs.promote(["high"]) == (0, None)
        assert sorted(await bench.run_all()) == sorted(event.job_id for event in events)

    on(ledger_store, scenario)


def test_jobs_of_a_dead_worker_go_to_the_front_of_their_queue(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take("w1")
        await bench.accept()
        assert (await bench.ledger.jobs.take_over()).requeued == 0
        await bench.die("w1")
        found = await bench.ledger.jobs.take_over()
        assert (found.requeued, found.failed, found.more) == (1, 0, False)
        job = await bench.job(claim)
        assert (job.status, job.position, job.crashes) == (JobStatus.QUEUED, 1, 1)
        (attempt,) = job.attempts
        assert (attempt.outcome, attempt.worker) == ("crashed", "w1")
        assert attempt.error is not None
        assert attempt.error.type == "WorkerLost"
        assert abs(attempt.started_at - claim.claimed_at) < timedelta(milliseconds=2)
        assert await bench.client.keys("*:w1") == [f"{keys.HELD}w1".encode()]
        assert await bench.client.hkeys(f"{keys.HELD}w1") == [b"lost"]
        assert await bench.client.ttl(f"{keys.HELD}w1") > 0

    on(ledger_store, scenario)


def test_the_third_death_fails_a_job_and_tells_its_caller_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(callback_url=CALLBACK_URL)
        for death in range(1, CRASH_CAP + 1):
            (claim,) = await bench.claim(f"w{death}")
            assert claim.crashes == death - 1
            await bench.die(f"w{death}")
            found = await bench.ledger.jobs.take_over()
            assert (found.requeued, found.failed) == ((1, 0) if death < CRASH_CAP else (0, 1))
        job = await bench.job(event)
        assert (job.status, job.crashes, len(job.attempts)) == (JobStatus.FAILED, CRASH_CAP, CRASH_CAP)
        assert job.error is not None
        assert job.error.type == "WorkerLost"
        assert await bench.run_all() == []
        assert await bench.ledger.jobs.take_over() is not None
        assert await bench.sweep() == 0
        (due,) = await bench.due()
        assert due.job.id == event.job_id

    on(ledger_store, scenario)


def test_a_bystander_of_a_crash_is_not_failed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bystander = await bench.take("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (again,) = await bench.claim("w2")
        await bench.settle(FINISHED, again, worker="w2")
        job = await bench.job(bystander)
        assert (job.status, job.crashes) == (JobStatus.FINISHED, 1)

    on(ledger_store, scenario)


def test_three_sweepers_at_once_give_each_job_back_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in ("w1", "w2"):
            await bench.renew(worker)
            await bench.accept(*(arrival() for _ in range(60)))
            await bench.claim(worker)
            await bench.die(worker)

        async def sweeper() -> int:
            requeued = 0
            while (found := await bench.ledger.jobs.take_over()).more or found.requeued:
                requeued += found.requeued
            return requeued + await bench.sweep()

        assert sum(await asyncio.gather(*(sweeper() for _ in range(3)))) == 120
        assert await bench.client.llen(f"{keys.QUEUE}default") == 120
        assert len(set(await bench.run_all())) == 120
        assert await bench.client.smembers(f"{keys.WORKERS_OF}default") == set()

    on(ledger_store, scenario)


async def _list_deleted(bench: Bench, job_id: str) -> None:
    await bench.client.delete(f"{keys.QUEUE}default")


async def _hash_deleted(bench: Bench, job_id: str) -> None:
    await bench.client.delete(keys.JOB + job_id)


async def _data_deleted(bench: Bench, job_id: str) -> None:
    await bench.client.hdel(keys.JOB + job_id, "data")


async def _status_bogus(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "bogus")


async def _enqueued_at_bogus(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "enqueued_at", "whenever")
    await _list_deleted(bench, job_id)


async def _origin_bogus(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "origin", b"\x00\xff")
    await _list_deleted(bench, job_id)


async def _left_in_the_intermediate_list(bench: Bench, job_id: str) -> None:
    await bench.client.lmove(f"{keys.QUEUE}default", f"{keys.QUEUE}default:intermediate")


async def _scheduled_in_no_registry(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "scheduled")
    await _list_deleted(bench, job_id)


async def _started_without_a_lease(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "started")
    await _list_deleted(bench, job_id)


async def _started_by_a_worker_that_nobody_knows(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, mapping={"status": "started", "lease": "gone-7"})
    await _list_deleted(bench, job_id)


async def _in_the_list_twice(bench: Bench, job_id: str) -> None:
    await bench.client.rpush(f"{keys.QUEUE}default", job_id)


async def _finished_by_a_stock_worker(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "finished")
    await bench.client.expire(keys.JOB + job_id, 500)
    await bench.client.zadd(f"{keys.FINISHED}default", {job_id: 4e9})
    await _list_deleted(bench, job_id)


async def _failed_by_a_stock_worker(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "failed")
    await bench.client.zadd(f"{keys.FAILED}default", {job_id: 4e9})
    await _list_deleted(bench, job_id)


async def _stopped_by_a_stock_worker(bench: Bench, job_id: str) -> None:
    await bench.client.hset(keys.JOB + job_id, "status", "stopped")
    await _list_deleted(bench, job_id)


LOSSES = [
    _list_deleted,
    _hash_deleted,
    _data_deleted,
    _status_bogus,
    _enqueued_at_bogus,
    _origin_bogus,
    _left_in_the_intermediate_list,
    _scheduled_in_no_registry,
    _started_without_a_lease,
    _started_by_a_worker_that_nobody_knows,
    _in_the_list_twice,
    _finished_by_a_stock_worker,
    _failed_by_a_stock_worker,
    _stopped_by_a_stock_worker,
]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_what_was_lost_is_found_and_run_once(
    ledger_store: Store, lose: Callable[[Bench, str], Awaitable[None]]
) -> None:
    async def scenario(bench: Bench) -> None:
        lost = await bench.accept(callback_url=CALLBACK_URL)
        await lose(bench, lost.job_id)
        other = await bench.accept()
        await bench.sweep()
        assert await bench.sweep() == 0
        assert sorted(await bench.run_all()) == sorted([lost.job_id, other.job_id])
        job = await bench.job(lost)
        assert (job.status, job.result) == (JobStatus.FINISHED, {"ok": True})
        assert await bench.client.ttl(keys.JOB + lost.job_id) == -1
        assert await bench.client.keys(f"{keys.QUEUE}*") == []
        (due,) = await bench.due()
        assert due.job.id == lost.job_id

    on(ledger_store, scenario)


def test_a_job_that_only_just_vanished_is_given_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        queued, running = await bench.accept(), await bench.accept()
        await bench.client.delete(f"{keys.QUEUE}default")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        await bench.client.hset(keys.JOB + running.job_id, mapping={"status": "started", "started_at": now})
        assert await bench.ledger.jobs.sweep(patience=HOUR) == 0
        assert await bench.run_all() == []
        assert await bench.sweep() == 2
        assert sorted(await bench.run_all()) == sorted([queued.job_id, running.job_id])

    on(ledger_store, scenario)


def test_a_sweep_leaves_alone_what_is_where_it_should_be(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.sweep()
        await bench.renew("w1")
        await bench.accept(*(arrival() for _ in range(4)))
        claims = await bench.claim("w1", slots=3)
        await bench.settle(FINISHED, claims[0])
        await bench.settle(Retried(delay=HOUR, error=ERROR), claims[1])
        before = await bench.snapshot()
        assert await bench.sweep() == 0
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_job_whose_time_was_lost_waits_for_it_all_the_same(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        at = datetime(2100, 1, 1, tzinfo=UTC)
        planned = await bench.accept(run_at=at)
        rebuilt = await bench.accept(run_at=at)
        claim = await bench.take()
        await bench.settle(Retried(delay=HOUR, error=ERROR), claim)
        await bench.client.delete(f"{keys.SCHEDULED}default", keys.JOB + rebuilt.job_id)
        assert await bench.sweep() == 3
        assert await bench.claim() == []
        assert (await bench.job(planned)).next_attempt_at == at
        assert (await bench.job(rebuilt)).next_attempt_at == at
        assert await bench.status(claim) is JobStatus.SCHEDULED

    on(ledger_store, scenario)


def test_a_mangled_job_that_is_not_due_is_not_run_by_a_claim(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(run_at=datetime(2100, 1, 1, tzinfo=UTC))
        await bench.client.delete(keys.JOB + event.job_id)
        await bench.client.rpush(f"{keys.QUEUE}default", event.job_id)
        assert await bench.claim() == []
        assert await bench.status(event) is JobStatus.SCHEDULED

    on(ledger_store, scenario)


def test_a_rebuilt_job_keeps_its_place_in_time_and_its_counts(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Retried(delay=timedelta(0), error=ERROR), claim)
        before = await bench.job(claim)
        await bench.client.hdel(keys.JOB + claim.job_id, "data")
        (again,) = await bench.claim()
        assert (again.attempt, again.created_at) == (2, before.created_at)

    on(ledger_store, scenario)


def test_a_job_that_an_operator_canceled_with_rq_has_ended(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take("w1", callback_url=CALLBACK_URL)
        await bench.client.hset(keys.JOB + claim.job_id, "status", "canceled")
        await bench.settle(FINISHED, claim)
        assert await bench.sweep() == 1
        job = await bench.job(claim)
        assert (job.status, job.ended_at is not None, job.attempts) == (JobStatus.CANCELED, True, ())
        (due,) = await bench.due()
        assert due.job.status is JobStatus.CANCELED
        assert await bench.sweep() == 0
        assert await bench.client.zcard(f"{keys.STARTED}default") == 0

    on(ledger_store, scenario)


def test_an_old_entry_in_a_list_does_no_harm(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        ended, waiting, running = await bench.take(), await bench.take(), await bench.take()
        await bench.settle(FINISHED, ended)
        await bench.settle(Retried(delay=HOUR, error=ERROR), waiting)
        before = await bench.snapshot()
        await bench.client.rpush(f"{keys.QUEUE}default", ended.job_id, waiting.job_id, running.job_id)
        assert await bench.claim("w2") == []
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_running_job_that_its_worker_forgot_is_found_by_the_takeover(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take("w1")
        await bench.client.delete(f"{keys.RUNNING}w1", f"{keys.STARTED}default")
        assert await bench.sweep() == 1
        assert await bench.client.zrange(f"{keys.STARTED}default", 0, -1) == [
            f"{claim.job_id}:{claim.token}".encode()
        ]
        await bench.die("w1")
        assert (await bench.ledger.jobs.take_over()).requeued == 1

    on(ledger_store, scenario)


def test_lost_leases_make_no_running_job_run_twice(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        claim = await bench.take("w1")
        await bench.client.delete(keys.LEASES)
        assert await bench.sweep() == 0
        assert await bench.status(claim) is JobStatus.STARTED
        assert await bench.renew("w1")
        await bench.settle(FINISHED, claim)
        assert await bench.status(claim) is JobStatus.FINISHED

    on(ledger_store, scenario)


def test_lost_leases_of_a_worker_that_died_do_not_keep_its_jobs(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim: Claim = await bench.take("w1")
        await bench.client.delete(keys.LEASES, f"{keys.HELD}w1")
        assert await bench.sweep() == 1
        assert await bench.client.exists(f"{keys.RUNNING}w1") == 0
        assert await bench.run_all() == [claim.job_id]

    on(ledger_store, scenario)


def test_a_walk_goes_on_where_the_last_one_stopped(
    ledger_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ledger.jobs.PAGES", 1)

    async def scenario(bench: Bench) -> None:
        await bench.sweep()
        for _ in range(3):
            await bench.accept(*(arrival() for _ in range(90)))
        await bench.client.delete(f"{keys.QUEUE}default")
        mended = [await bench.sweep() for _ in range(4)]
        assert sum(mended) == 270
        assert max(mended) < 270
        assert await bench.client.llen(f"{keys.QUEUE}default") == 270

    on(ledger_store, scenario)


def test_a_job_deep_in_a_long_queue_is_not_taken_for_lost(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(11):
            await bench.accept(*(arrival() for _ in range(100)))
        assert await bench.sweep() == 0
        assert await bench.client.llen(f"{keys.QUEUE}default") == 1100

    on(ledger_store, scenario)


@pytest.mark.parametrize("index", [keys.OPEN, keys.JOBS, f"{keys.CALLBACKS_AS}pending"])
def test_a_lost_index_is_made_anew_from_the_events(ledger_store: Store, index: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        waits = [await bench.accept(callback_url=CALLBACK_URL) for _ in range(3)]
        ended = await bench.claim("w1", slots=1)
        await bench.settle(FINISHED, *ended)
        await bench.sweep()
        before = await bench.client.zrange(index, 0, -1, withscores=True)
        await bench.client.delete(index, f"{keys.QUEUE}default", keys.OUTBOX)
        await bench.sweep()
        after = await bench.client.zrange(index, 0, -1, withscores=True)
        assert [member for member, _ in after] == [member for member, _ in before]
        assert sorted(await bench.run_all()) == sorted(event.job_id for event in waits[1:])
        await bench.sweep()
        assert len(await bench.due()) == 3
        assert await bench.client.exists(f"{keys.CURSOR}rebuild") == 0

    on(ledger_store, scenario)


def test_the_work_goes_on_after_everything_but_the_events_was_lost(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        kept = {keys.EVENT.encode() + event.event_id.encode(), keys.JOB.encode() + event.job_id.encode()}
        for key in set(await bench.client.keys("*")) - kept:
            await bench.client.delete(key)
        await bench.sweep()
        assert [job.id for job in await bench.jobs(source="acme", type="order.paid")] == [event.job_id]
        assert await bench.run_all() == [event.job_id]

    on(ledger_store, scenario)


def test_a_patrol_finds_quiet_only_where_no_walk_has_anything_to_do(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        async def quiet() -> bool:
            return (await bench.ledger.jobs.patrol()).quiet

        assert not await quiet()  # the marks are missing
        await bench.sweep()
        assert await quiet()
        claim = await bench.take(callback_url=CALLBACK_URL)
        assert not await quiet()
        await bench.settle(FINISHED, claim)
        assert not await quiet()  # a callback waits
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        assert await quiet()
        await bench.renew("w7")
        assert (await bench.ledger.jobs.patrol()).workers == 2
        await bench.die("w7")
        assert not await quiet()

    on(ledger_store, scenario)


def test_a_patrol_sees_what_is_past_its_retention(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.settle(FINISHED, await bench.take())
        await bench.sweep()
        assert (await bench.ledger.jobs.patrol()).quiet
        await bench.client.zadd(keys.JOBS, {b"job_old": 1})
        assert not (await bench.ledger.jobs.patrol()).quiet

    on(ledger_store, scenario)
