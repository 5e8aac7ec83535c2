"""Requests for single jobs that come together share a round trip, and each gets its own answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from infra.ids import JOB, new_suffix
from infra.ledger import LedgerError, Reading, Seal
from infra.ledger.records import JobRecord
from ingest.glances import BATCH, MOST_WAITING, Glances
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, on


class Counting(Reading):
    """A reading that counts its round trips, holds them, and fails some."""

    sizes: list[int]
    failures = 0
    error: type[Exception] = LedgerError

    async def jobs_of(self, ids: Sequence[str], **options: Any) -> list[JobRecord | None]:
        self.sizes.append(len(ids))
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise self.error("away")
        return await super().jobs_of(ids, **options)


def checking(store: Store, check: Callable[[Bench, Counting, Glances], Awaitable[None]]) -> None:
    async def scenario(bench: Bench) -> None:
        reading = Counting(bench.client, Seal(["a key"]))
        reading.sizes = []
        glances = Glances([reading])
        glances.start()
        await check(bench, reading, glances)
        await glances.stop()

    on(store, scenario)


def test_what_is_asked_together_is_read_together_and_handed_out_apart(ledger_store: Store) -> None:
    async def check(bench: Bench, reading: Counting, glances: Glances) -> None:
        made = [(await bench.accept()).job_id for _ in range(BATCH + 3)]
        unknown = JOB + new_suffix()
        jobs = await asyncio.gather(*(glances.job(job_id) for job_id in [*made, unknown]))
        assert [job.id for job in jobs if job is not None] == made
        assert jobs[-1] is None
        assert [job.position for job in jobs if job is not None] == list(range(1, BATCH + 4))
        assert reading.sizes == [BATCH, 4]

    checking(ledger_store, check)


def test_a_connection_that_broke_is_tried_again(fake_store: Store) -> None:
    async def check(bench: Bench, reading: Counting, glances: Glances) -> None:
        made = await bench.accept()
        reading.failures = 1
        assert await glances.job(made.job_id) is not None
        reading.failures = 2
        with pytest.raises(LedgerError):
            await glances.job(made.job_id)
        assert await glances.job(made.job_id) is not None

    checking(fake_store, check)


def test_a_fault_of_ours_is_told_and_the_lane_goes_on(fake_store: Store) -> None:
    async def check(bench: Bench, reading: Counting, glances: Glances) -> None:
        made = await bench.accept()
        reading.failures, reading.error = 1, ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            await glances.job(made.job_id)
        assert await glances.job(made.job_id) is not None

    checking(fake_store, check)


def test_who_went_away_keeps_nobody_waiting(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, glances: Glances) -> None:
        made = await bench.accept()
        gone = [asyncio.create_task(glances.job(made.job_id)) for _ in range(3)]
        await asyncio.sleep(0)
        for one in gone:
            one.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        assert await glances.job(made.job_id) is not None

    checking(fake_store, check)


def test_too_many_are_refused_at_once(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, glances: Glances) -> None:
        made = await bench.accept()
        asked = [asyncio.create_task(glances.job(made.job_id)) for _ in range(MOST_WAITING + 5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, LedgerError) for answer in answers) == 5

    checking(fake_store, check)


def test_who_still_waits_at_the_end_is_told(fake_store: Store) -> None:
    async def check(bench: Bench, _: Counting, glances: Glances) -> None:
        made = await bench.accept()
        waiting = [asyncio.create_task(glances.job(made.job_id)) for _ in range(3)]
        await asyncio.sleep(0)
        await glances.stop()
        for one in waiting:
            with pytest.raises(LedgerError, match="ends"):
                await one

    checking(fake_store, check)
