"""The live stream as the ledger's scripts write it, read over three servers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, Live, Seal, keys
from infra.ledger.jobs import Report
from infra.ledger.live import BEGINNING, Change, LogLine, Position
from infra.ledger.records import Arrival, Claim, Finished, JobStatus, Progress, Settlement
from tests.conftest import Store

LINE = '{"at":"2026-11-22T06:00:00.000Z","level":"info","message":"caf\\u00e9 \\"1\\""}'


class House:
    """A ledger, and what a web and a worker do to it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.live: Live = ledger.live
        self._sequence = 0

    async def accept(self, count: int = 1, **fields: object) -> list[str]:
        made = []
        for _ in range(count):
            suffix = new_suffix()
            made.append(
                Arrival(
                    event_id=EVENT + suffix,
                    job_id=JOB + suffix,
                    source="acme",
                    type="paid",
                    tag="org-7",
                    received_at=datetime.now(UTC),
                    body=b"{}",
                    **fields,  # type: ignore[arg-type]
                )
            )
        await self.ledger.events.accept(made)
        return [arrival.job_id for arrival in made]

    async def claim(self) -> tuple[Claim, ...]:
        self._sequence += 1
        return await self.ledger.jobs.claim(
            "w", sequence=self._sequence, slots=10, queues=["default"], lease=timedelta(minutes=1)
        )

    async def report(self, claim: Claim, *lines: str, current: float | None = None) -> None:
        progress = None if current is None else Progress(current=current, total=4, item="x")
        await self.ledger.jobs.report([Report(claim, progress, lines)])

    async def finish(self, claim: Claim) -> None:
        await self.ledger.jobs.settle("w", [Settlement(claim=claim, outcome=Finished(result="1"))])

    async def since(self, after: Position = BEGINNING) -> list[Change]:
        changes = await self.live.between(after, await self.live.end())
        assert changes is not None
        return changes


@pytest.fixture
def run(ledger_store: Store) -> Callable[[Callable[[House], Awaitable[None]]], None]:
    def running(check: Callable[[House], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with ledger_store.connect() as client:
                await check(House(Ledger(client, seal=Seal(["k"]))))

        asyncio.run(inside())

    return running


Run = Callable[[Callable[[House], Awaitable[None]]], None]


def test_a_job_s_life_is_told_in_order(run: Run) -> None:
    async def check(house: House) -> None:
        (job_id,) = await house.accept()
        (claim,) = await house.claim()
        await house.report(claim, LINE, LINE, current=1)
        await house.finish(claim)
        told = await house.since()
        line = LogLine("2026-11-22T06:00:00.000Z", "info", 'café "1"')
        expected = [
            JobStatus.QUEUED,
            JobStatus.STARTED,
            Progress(current=1, total=4, item="x"),
            line,
            line,
            JobStatus.FINISHED,
        ]
        assert [change.what for change in told] == expected
        assert {change.job_id for change in told} == {job_id}
        assert [change.position for change in told] == sorted({change.position for change in told})
        (about,) = (await house.live.about([job_id])).values()
        assert (about.source, about.type, about.queue, about.tag) == ("acme", "paid", "default", "org-7")

    run(check)


def test_a_reader_goes_on_from_any_place(run: Run) -> None:
    async def check(house: House) -> None:
        await house.accept(3)
        for claim in await house.claim():
            await house.finish(claim)
        whole = await house.since()
        assert len(whole) == 9
        for place, change in enumerate(whole):
            assert await house.since(change.position) == whole[place + 1 :]
            assert await house.live.between(BEGINNING, change.position) == whole[: place + 1]
        assert await house.since(await house.live.end()) == []

    run(check)


@pytest.mark.parametrize("unknown", [Position(1, 0), Position(9_999_999_999_999, 0), Position(1, 0, 3)])
def test_a_place_that_is_not_there_is_a_gap(run: Run, unknown: Position) -> None:
    async def check(house: House) -> None:
        await house.accept()
        end = await house.live.end()
        assert await house.live.between(unknown, max(end, unknown._replace(sequence=1))) is None

    run(check)


def test_what_was_trimmed_is_a_gap(run: Run, ledger_store: Store) -> None:
    async def check(house: House) -> None:
        await house.accept()
        cut = (await house.since())[0].position
        assert await house.since(cut) == []
        await house.accept()
        with ledger_store.connect_sync() as client:
            client.xtrim(keys.LIVE, maxlen=1, approximate=False)
        assert await house.live.between(cut, await house.live.end()) is None

    run(check)


@pytest.mark.slow
@pytest.mark.needs_server
@pytest.mark.parametrize("sizes", [[1] * 6_000 + [100] * 60, [100] * 60 + [1] * 6_000])
def test_ten_thousand_changes_are_kept_however_many_come_at_once(
    valkey_store: Store, sizes: list[int]
) -> None:
    async def check() -> None:
        async with valkey_store.connect() as client:
            house = House(Ledger(client, seal=Seal(["k"])))
            told = [job for size in sizes for job in await house.accept(size)]
            oldest = Position.read((await client.xrange(keys.LIVE, count=1))[0][0].decode())
            assert oldest is not None
            kept = [change.job_id for change in await house.since(oldest)]
            assert kept == told[-len(kept) :]
            assert 10_000 <= len(kept) + 100 <= 11_300

    asyncio.run(check())


def test_pages_join(run: Run) -> None:
    async def check(house: House) -> None:
        jobs = [(await house.accept())[0] for _ in range(50)]
        assert [change.job_id for change in await house.since()] == jobs

    run(check)


def test_a_snapshot_lacks_what_comes_behind_its_place_and_nothing_else(run: Run) -> None:
    async def check(house: House) -> None:
        await house.accept()
        (claim,) = await house.claim()
        await house.report(claim, LINE, current=1)
        job, position = await house.live.snapshot(claim.job_id)
        assert job is not None
        assert (job.status, job.progress and job.progress.current, len(job.logs)) == (JobStatus.STARTED, 1, 1)
        assert await house.since(position) == []
        await house.finish(claim)
        assert [change.what for change in await house.since(position)] == [JobStatus.FINISHED]
        assert (await house.live.snapshot("job_01k00000000000000000000000")).job is None

    run(check)


def test_a_snapshot_is_told_twice_rather_than_missed_where_the_job_never_rests(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(house: House) -> None:
        await house.accept()
        (claim,) = await house.claim()
        reading = house.live._reading
        look = reading.job

        async def restless(job_id: str) -> object:
            job = await look(job_id)
            await house.report(claim, LINE)
            return job

        monkeypatch.setattr(reading, "job", restless)
        job, position = await house.live.snapshot(claim.job_id)
        assert job is not None
        lines = [change for change in await house.since(position) if isinstance(change.what, LogLine)]
        whole = len((await look(claim.job_id)).logs)  # type: ignore[union-attr]
        assert len(job.logs) + len(lines) >= whole

    run(check)
