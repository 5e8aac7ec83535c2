"""What is past retention goes, oldest first; what is still needed stays."""

import asyncio
from datetime import timedelta

import pytest

from infra.ledger import Ledger, Seal, keys
from infra.ledger.jobs import Report
from infra.ledger.records import CallbackStatus, Ignored, Outcome
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FAILED,
    FINISHED,
    HOUR,
    NOW,
    RETRIED,
    Bench,
    arrival,
    on,
)


async def retire(bench: Bench, *, retention: timedelta = NOW, dead_retention: timedelta = HOUR) -> int:
    """What a ledger with these retentions removes, by Redis's clock."""
    await asyncio.sleep(0.002)  # an end in this same millisecond is not past
    ledger = Ledger(bench.client, seal=Seal(["a key"]), retention=retention, dead_retention=dead_retention)
    return await ledger.jobs.retire()


async def left(bench: Bench) -> set[str]:
    """The names of all keys of records and of their indices, without ids. Workers and receivers stay."""
    gone = {keys.LIVE, keys.QUEUES, keys.LEASES, keys.WORKERS, keys.CURSOR, keys.HELD, keys.COUNTS}
    gone |= {keys.RECEIVER, keys.RECEIVERS}
    found = [key.decode() for key in await bench.client.keys("*")]
    return {key for key in found if not key.startswith(tuple(gone))}


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Ignored()])
def test_nothing_is_left_of_a_job_that_is_past_retention(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(RETRIED, claim)
        (claim,) = await bench.claim()
        await bench.ledger.jobs.report([Report(claim, lines=("{}",))])
        await bench.settle(outcome, claim)
        assert await retire(bench, dead_retention=NOW) == 1
        assert await bench.ledger.reading.job(claim.job_id) is None
        assert await bench.ledger.reading.event(claim.event_id) is None
        assert await left(bench) == set()

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED])
def test_a_delivered_callback_goes_with_its_job(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        await bench.settle(outcome, claim)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        assert await retire(bench, dead_retention=NOW) == 1
        assert await left(bench) == set()

    on(ledger_store, scenario)


def test_a_job_stays_for_its_retention(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        finished, failed = await bench.take(), await bench.take()
        await bench.settle(FINISHED, finished)
        await bench.settle(FAILED, failed)
        assert await retire(bench, retention=HOUR, dead_retention=HOUR) == 0
        assert await retire(bench, retention=NOW, dead_retention=HOUR) == 1
        assert [job.id for job in await bench.jobs()] == [failed.job_id]
        assert await retire(bench, retention=NOW, dead_retention=NOW) == 1

    on(ledger_store, scenario)


def test_a_job_that_has_not_ended_stays(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        running, waiting, queued = await bench.take(), await bench.take(), await bench.accept()
        await bench.settle(type(RETRIED)(delay=HOUR, error=RETRIED.error), waiting)
        assert await retire(bench, dead_retention=NOW) == 0
        assert {job.id for job in await bench.jobs()} == {
            running.job_id,
            waiting.job_id,
            queued.job_id,
        }

    on(ledger_store, scenario)


def test_a_job_whose_callback_waits_stays(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        await bench.settle(FINISHED, claim)
        assert await retire(bench, dead_retention=NOW) == 0
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DEAD, reason="gave up")
        assert await retire(bench, dead_retention=HOUR) == 0, "a dead letter is kept longer"
        assert await retire(bench, dead_retention=NOW) == 1
        assert await left(bench) == set()

    on(ledger_store, scenario)


def test_an_event_goes_with_its_last_job(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.client.hset(keys.EVENT + claim.event_id, f"job:{arrival().job_id}", "another one's birth")
        await bench.settle(FINISHED, claim)
        assert await retire(bench) == 1
        assert await bench.client.hexists(keys.EVENT + claim.event_id, "body")
        assert not await bench.client.hexists(keys.EVENT + claim.event_id, f"job:{claim.job_id}")

    on(ledger_store, scenario)


def test_a_retired_id_is_remembered_for_its_window(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.accept(provider_event_id="ev_1")
        await bench.run_all()
        assert await retire(bench) == 1
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1")])
        assert (receipt.duplicate, receipt.job_id) == (True, first.job_id)

    on(ledger_store, scenario)


def test_many_are_retired_a_page_at_a_time(ledger_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.ledger.jobs.PAGES", 1)

    async def scenario(bench: Bench) -> None:
        failed = await bench.take()
        await bench.settle(FAILED, failed)
        for _ in range(3):
            await bench.accept(*(arrival() for _ in range(100)))
        await bench.run_all()
        removed = [await retire(bench) for _ in range(6)]
        assert sum(removed) == 300
        assert max(removed) <= 200
        assert [job.id for job in await bench.jobs()] == [failed.job_id]

    on(ledger_store, scenario)


def test_three_at_once_remove_each_job_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(100)))
        await bench.run_all()
        assert sum(await asyncio.gather(*(retire(bench) for _ in range(3)))) == 100
        assert await left(bench) == set()

    on(ledger_store, scenario)


def test_leftovers_of_records_that_were_lost_are_removed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.settle(FINISHED, await bench.take())
        (job,) = await bench.client.keys(f"{keys.JOB}*")
        await bench.client.delete(job)
        await bench.client.zadd(keys.JOBS, {b"\xff": 1, "job_gone": 2})
        assert await retire(bench, dead_retention=HOUR) == 1
        assert await retire(bench, dead_retention=NOW) == 1
        assert await left(bench) == set()

    on(ledger_store, scenario)
