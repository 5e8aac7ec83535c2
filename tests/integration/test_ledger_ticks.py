"""Recurring handlers over the ledger: each time gives one job, whoever looks and however often."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from handlers.registry import Registry
from infra.ledger import Ledger, LedgerError, keys
from infra.ledger.records import JobRecord, JobStatus
from infra.ledger.ticks import Recurrence
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, on
from worker.ticks import Ticker

NOON = datetime(2020, 11, 21, 12, tzinfo=UTC)


def report() -> None:
    """Recurs."""


def each_quarter(**options: str) -> Registry:
    registry = Registry()
    registry.handler.every("15m", **options)(report)
    return registry


class At:
    """A ledger that says which moment it is."""

    def __init__(self, ledger: Ledger, now: datetime) -> None:
        self.events, self.ticks, self.reading = ledger.events, ledger.ticks, self
        self.moment = now

    async def now(self) -> datetime:
        return self.moment


async def made(bench: Bench) -> list[JobRecord]:
    return list(reversed(await bench.jobs(source="schedule")))


async def look(bench: Bench, now: datetime, registry: Registry | None = None) -> timedelta:
    """What a worker that has just started does."""
    return await Ticker(At(bench.ledger, now), registry or each_quarter()).look()  # type: ignore[arg-type]


def test_a_new_schedule_begins_with_its_next_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await look(bench, NOON + timedelta(minutes=14, seconds=30)) == timedelta(seconds=30)
        assert await made(bench) == []
        await look(bench, NOON + timedelta(minutes=15))

        (job,) = await made(bench)
        assert (job.type, job.status, job.queue) == (f"{__name__}:report", JobStatus.QUEUED, "default")
        event = await bench.ledger.reading.event(job.event_id)
        assert event is not None
        assert json.loads(event.body) == {"due": "2020-11-21T12:15:00.000Z", "schedule": "every 15m"}

    on(ledger_store, scenario)


def test_two_workers_make_one_job_of_a_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, other = (At(bench.ledger, NOON) for _ in range(2))
        tickers = [Ticker(at, each_quarter()) for at in (one, other)]  # type: ignore[arg-type]
        for minutes in range(0, 61, 5):
            one.moment = other.moment = NOON + timedelta(minutes=minutes)
            await asyncio.gather(*(ticker.look() for ticker in tickers))

        assert len(await made(bench)) == 4

    on(ledger_store, scenario)


def test_of_the_times_that_were_missed_the_newest_is_made_up_for(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await look(bench, NOON)
        await look(bench, NOON + timedelta(days=30, minutes=7))

        (job,) = await made(bench)
        event = await bench.ledger.reading.event(job.event_id)
        assert event is not None
        assert json.loads(event.body)["due"] == "2020-12-21T12:00:00.000Z"

    on(ledger_store, scenario)


def test_another_schedule_of_the_same_function_begins_anew(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await look(bench, NOON)
        hourly = Registry()
        hourly.handler.cron("0 * * * *", queue="low")(report)
        await look(bench, NOON + timedelta(hours=2), hourly)
        assert await made(bench) == []
        await look(bench, NOON + timedelta(hours=3), hourly)

        assert [job.queue for job in await made(bench)] == ["low"]

    on(ledger_store, scenario)


def test_a_job_whose_time_could_not_be_noted_is_not_made_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await look(bench, NOON)
        at = At(bench.ledger, NOON + timedelta(minutes=15))

        class Forgetful:
            last = bench.ledger.ticks.last

            async def note(self, told: Recurrence, due: datetime) -> None:
                raise LedgerError("Redis did not confirm")

        at.ticks = Forgetful()  # type: ignore[assignment]
        ticker = Ticker(at, each_quarter())  # type: ignore[arg-type]
        for _ in range(2):
            with pytest.raises(LedgerError):
                await ticker.look()
        await look(bench, at.moment)

        assert len(await made(bench)) == 1

    on(ledger_store, scenario)


def test_a_clock_that_was_set_back_repeats_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for minutes in (0, 30, 15, 30):
            await look(bench, NOON + timedelta(minutes=minutes))

        assert len(await made(bench)) == 1
        assert (await bench.ledger.ticks.last(f"{__name__}:report every 15m")) == NOON + timedelta(minutes=30)

    on(ledger_store, scenario)


@pytest.mark.parametrize("garbage", ["garbage", "", "nan", "inf", "-1", "1e300", "9" * 400])
def test_what_nobody_has_noted_does_not_stop_a_schedule(ledger_store: Store, garbage: str) -> None:
    async def scenario(bench: Bench) -> None:
        now = await bench.ledger.reading.now()
        await bench.client.hset(keys.TICKS, f"{__name__}:report every 15m", garbage)
        await look(bench, now)
        await look(bench, now + timedelta(minutes=15))

        assert len(await made(bench)) in (1, 2)

    on(ledger_store, scenario)


def test_it_is_told_when_a_schedule_is_next(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await look(bench, NOON + timedelta(minutes=1))
        (one,) = await bench.ledger.ticks.recurring()
        assert (one.handler, one.schedule) == (f"{__name__}:report", "every 15m")
        assert one.next == tuple(NOON + timedelta(minutes=minutes) for minutes in (15, 30, 45))

    on(ledger_store, scenario)


@pytest.mark.parametrize("told", ["", "no JSON", "[]", '{"handler":1}', '{"handler":"m:f","type":"m:f","schedule":"s","due":[1e300]}',
    '{"handler":"m:f","type":"m:f","schedule":"s","due":[99999999999999999]}'])  # fmt: skip
def test_what_can_not_be_read_hides_no_other_schedule(ledger_store: Store, told: str) -> None:
    async def scenario(bench: Bench) -> None:
        await look(bench, NOON)
        await bench.client.hset(keys.SCHEDULES, "m:f", told)
        assert len(await bench.ledger.ticks.recurring()) == 1

    on(ledger_store, scenario)


def test_a_worker_without_recurring_handlers_asks_nothing() -> None:
    asyncio.run(Ticker(None, Registry()).run())  # type: ignore[arg-type]
