"""Waiting for a job to end, with a hub that tells of it, or none."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, LedgerError, Seal, keys
from infra.ledger.records import Arrival, Finished, JobStatus, Settlement
from infra.redis_client import memory
from infra.tasks import end
from ingest.live.hub import Hub
from ingest.live.watch import Watch

LONG = 60.0
AT_ONCE = 1.0  # far below `look_every` and `LONG`


@dataclass(frozen=True)
class House:
    """A ledger with jobs to end, and a watch over it.

    Args:
        server: of everything; `connected` may be taken away.
    """

    watch: Watch
    hub: Hub
    ledger: Ledger
    redis: redis.Redis
    server: fakeredis.FakeServer

    async def job(self) -> str:
        suffix = new_suffix()
        made = Arrival(
            event_id=EVENT + suffix,
            job_id=JOB + suffix,
            source="a",
            type="b",
            received_at=datetime.now(UTC),
            body=b"",
        )
        await self.ledger.events.accept([made])
        return made.job_id

    async def end(self, *job_ids: str) -> None:
        claims = await self.ledger.jobs.claim(
            "w", sequence=time.monotonic_ns(), slots=100, queues=["default"], lease=timedelta(minutes=1)
        )
        ended = [claim for claim in claims if claim.job_id in job_ids]
        assert len(ended) == len(job_ids)
        await self.ledger.jobs.settle(
            "w", [Settlement(claim=claim, outcome=Finished(result="1")) for claim in ended]
        )

    async def waiters(self, count: int) -> None:
        """Return once so many wait."""
        async with asyncio.timeout(10):
            while sum(map(len, self.hub._bells.values())) < count:
                await asyncio.sleep(0.001)


def run(check: Callable[[House], Awaitable[None]], *, look_every: float = LONG, started: bool = True) -> None:
    async def running() -> None:
        server = fakeredis.FakeServer()
        async with memory(server).asynchronous as client:
            ledger = Ledger(client, seal=Seal(["k"]))
            hub = Hub(ledger.live, memory(server).asynchronous)
            watch = Watch(ledger.reading, hub, look_every=look_every)
            if started:
                hub.start()
            try:
                await check(House(watch, hub, ledger, memory(server).synchronous, server))
                assert not hub._bells
            finally:
                server.connected = True
                await hub.stop()
                assert all(task.done() for task in hub._tasks)

    asyncio.run(running())


def test_a_job_that_has_ended_is_told_at_once() -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        await house.end(job_id)
        async with asyncio.timeout(AT_ONCE):
            job = await house.watch.ended(job_id, seconds=LONG)
        assert job is not None
        assert job.status is JobStatus.FINISHED

    run(check)


def test_a_job_that_is_not_there_is_told_at_once() -> None:
    async def check(house: House) -> None:
        async with asyncio.timeout(AT_ONCE):
            assert await house.watch.ended("job_none", seconds=LONG) is None

    run(check)


def test_when_the_time_is_over_the_job_is_told_as_it_stands() -> None:
    async def check(house: House) -> None:
        job = await house.watch.ended(await house.job(), seconds=0.01)
        assert job is not None
        assert job.status is JobStatus.QUEUED

    run(check)


def test_the_stream_says_when_a_job_ends() -> None:
    async def check(house: House) -> None:
        for _ in range(10):  # a reader comes and goes with those who wait
            job_id = await house.job()
            waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
            await house.waiters(1)
            await house.end(job_id)
            async with asyncio.timeout(AT_ONCE):
                job = await waiting
            assert job is not None
            assert job.status is JobStatus.FINISHED

    run(check)


def test_everyone_hears_of_their_own_job_alone() -> None:
    async def check(house: House) -> None:
        jobs = [await house.job() for _ in range(5)]
        waiting = {
            job: [asyncio.create_task(house.watch.ended(job, seconds=LONG)) for _ in range(3)] for job in jobs
        }
        await house.waiters(15)
        await house.end(jobs[2])
        async with asyncio.timeout(AT_ONCE):
            told = await asyncio.gather(*waiting.pop(jobs[2]))
        assert {job.id for job in told if job is not None} == {jobs[2]}
        others = [task for tasks in waiting.values() for task in tasks]
        assert not any(task.done() for task in others)
        await end(*others)

    run(check)


@pytest.mark.parametrize(
    "fields",
    [
        {"changes": "{"},
        {"changes": "7"},
        {"changes": '[{"job_id":[]},{}]'},
        {"changes": "[null]"},
        {"x": "y"},
    ],
)
def test_nonsense_in_the_stream_ends_no_reader(fields: dict[Any, Any]) -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
        await house.waiters(1)
        for _ in range(3):
            house.redis.xadd(keys.LIVE, fields)
            await asyncio.sleep(0.01)
        await house.end(job_id)
        async with asyncio.timeout(AT_ONCE):
            assert await waiting is not None

    run(check)


def test_without_a_stream_who_waits_looks_now_and_then() -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
        await house.waiters(1)
        await house.end(job_id)
        async with asyncio.timeout(AT_ONCE):
            assert await waiting is not None

    run(check, look_every=0.01, started=False)


def test_a_stream_of_the_wrong_kind_costs_time_and_no_answer() -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        house.redis.delete(keys.LIVE)
        house.redis.set(keys.LIVE, "not a stream")
        waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
        await house.waiters(1)
        await house.end(job_id)
        async with asyncio.timeout(AT_ONCE):
            assert await waiting is not None
        assert not any(task.done() for task in house.hub._tasks)

    run(check, look_every=0.01)


def test_a_redis_that_goes_away_is_told_and_one_that_comes_back_is_followed() -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        house.server.connected = False
        with pytest.raises(LedgerError):
            await house.watch.ended(job_id, seconds=LONG)
        house.server.connected = True
        waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
        await house.waiters(1)
        await house.end(job_id)
        async with asyncio.timeout(AT_ONCE):
            assert await waiting is not None

    run(check)


def test_nobody_is_read_for_when_nobody_waits() -> None:
    async def check(house: House) -> None:
        job_id = await house.job()
        waiting = asyncio.create_task(house.watch.ended(job_id, seconds=LONG))
        await house.waiters(1)
        await house.end(job_id)
        await waiting
        house.redis.xadd(keys.LIVE, {"changes": "[]"})  # the reader looks up, and sees that nobody is there
        async with asyncio.timeout(AT_ONCE):
            while house.hub._wanted.is_set():
                await asyncio.sleep(0.001)

    run(check)


def test_a_wait_that_is_cancelled_is_forgotten() -> None:
    async def check(house: House) -> None:
        waiting = asyncio.create_task(house.watch.ended(await house.job(), seconds=LONG))
        await house.waiters(1)
        await end(waiting)
        assert not house.hub._bells

    run(check)


def test_nobody_waits_for_a_process_that_stops() -> None:
    async def check(house: House) -> None:
        waiting = asyncio.create_task(house.watch.ended(await house.job(), seconds=LONG))
        await house.waiters(1)
        house.hub.dismiss()
        async with asyncio.timeout(AT_ONCE):
            job = await waiting
        assert job is not None
        assert job.status is JobStatus.QUEUED

    run(check)
