"""How long a job will take, by its handler's past; and how rarely that is looked up."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from infra.ledger import Durations, LedgerError, Seal
from infra.ledger.records import HandlerEntry, JobRecord
from ingest.estimates import MOST_KNOWN, Estimates
from tests.conftest import Store
from tests.integration.ledger_bench import FAILED, FINISHED, HANDLER, Bench, on

OTHER = "handlers.acme:another"


class Counting(Durations):
    """Durations that count how often they are asked."""

    looks = 0
    fails = False

    async def usual(self, job: JobRecord, handler: str) -> timedelta | None:
        self.looks += 1
        if self.fails:
            raise LedgerError("Redis did not answer")
        return await super().usual(job, handler)


def checking(
    store: Store, check: Callable[[Bench, Counting, Estimates, list[float]], Awaitable[None]]
) -> None:
    async def scenario(bench: Bench) -> None:
        durations, now = Counting(bench.client, Seal(["a key"])), [0.0]
        estimates = Estimates(durations, monotonic=lambda: now[0])
        await check(bench, durations, estimates, now)
        await estimates.stop()

    on(store, scenario)


async def took(bench: Bench, seconds: float, **changes: Any) -> None:
    """A job whose attempt took so long."""
    claim = await bench.take(**changes)
    await bench.settle(FINISHED, replace(claim, claimed_at=claim.claimed_at - timedelta(seconds=seconds)))


def entry(handler: str = HANDLER) -> HandlerEntry:
    return HandlerEntry(source="acme", type="order.paid", handler=handler)


def test_it_is_what_lies_in_the_middle_of_the_past(ledger_store: Store) -> None:
    async def check(bench: Bench, _: Counting, estimates: Estimates, __: list[float]) -> None:
        for seconds in (1, 2, 60):
            await took(bench, seconds)
        await bench.settle(FAILED, await bench.take())
        estimate = await estimates.of(await bench.job(await bench.accept()), entry())
        assert estimate is not None
        assert timedelta(seconds=2) <= estimate < timedelta(seconds=4)

    checking(ledger_store, check)


def test_the_past_of_others_does_not_count(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, estimates: Estimates, __: list[float]) -> None:
        await took(bench, 9)
        job = await bench.job(await bench.accept())
        assert await estimates.of(job, entry(OTHER)) is None
        assert await estimates.of(job, None) is None

    checking(fake_store, check)


def test_a_past_behind_a_long_queue_is_found(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, estimates: Estimates, __: list[float]) -> None:
        await took(bench, 9)
        for _number in range(60):
            job = await bench.accept()
        assert await estimates.of(await bench.job(job), entry()) is not None

    checking(fake_store, check)


def test_what_has_ended_needs_no_estimate(fake_store: Store) -> None:
    async def check(bench: Bench, durations: Counting, estimates: Estimates, _: list[float]) -> None:
        claim = await bench.take()
        await bench.settle(FINISHED, claim)
        assert await estimates.of(await bench.job(claim), entry()) is None
        assert durations.looks == 0

    checking(fake_store, check)


def test_it_is_looked_up_once_in_a_while_and_nobody_waits_for_that(fake_store: Store) -> None:
    async def check(bench: Bench, durations: Counting, estimates: Estimates, now: list[float]) -> None:
        await took(bench, 5)
        job = await bench.job(await bench.accept())
        first = await asyncio.gather(*(estimates.of(job, entry()) for _ in range(50)))
        assert (len(set(first)), durations.looks) == (1, 1)
        await bench.claim()
        await took(bench, 500)
        await took(bench, 500)
        now[0] = 16
        assert await estimates.of(job, entry()) == first[0]
        while durations.looks < 2 or await estimates.of(job, entry()) == first[0]:
            await asyncio.sleep(0)
        assert durations.looks == 2

    checking(fake_store, check)


def test_without_redis_there_is_none(fake_store: Store) -> None:
    async def check(bench: Bench, durations: Counting, estimates: Estimates, _: list[float]) -> None:
        job = await bench.job(await bench.accept())
        durations.fails = True
        assert await estimates.of(job, entry()) is None

    checking(fake_store, check)


def test_a_bounded_number_is_remembered(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, estimates: Estimates, __: list[float]) -> None:
        job = await bench.job(await bench.accept())
        for number in range(MOST_KNOWN + 5):
            await estimates.of(job, entry(f"m:f{number}"))
        assert len(estimates._known) == MOST_KNOWN

    checking(fake_store, check)
