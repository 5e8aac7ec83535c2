"""Outcomes on their way to the ledger, and a ledger that is away."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from infra.clock import ManualClock
from infra.ledger import Jobs, LedgerError
from infra.ledger.jobs import Report
from infra.ledger.records import Claim, Finished, Progress, Settlement
from infra.ledger.scripts import BATCH
from infra.tasks import end
from worker import settling
from worker.reports import Reports
from worker.settling import Settling

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def settlement(number: int) -> Settlement:
    claim = Claim(
        job_id=f"job_{number}", event_id=f"evt_{number}", token="w-1", queue="default", attempt=1, crashes=0, claimed_at=NOW,
        created_at=NOW, source="acme", type="t", received_at=NOW, headers={}, content_type="", body=b"", metadata={},
    )  # fmt: skip
    return Settlement(claim=claim, outcome=Finished(result="1"))


class Told:
    """A ledger that notes what it is told, in order; it is away for as often as it is asked to be."""

    def __init__(self, *, away: int = 0) -> None:
        self.away = away
        self.told: list[str] = []
        self.batches: list[int] = []
        self.confirmed: list[bool] = []
        self.reports = Reports(ManualClock(NOW))
        self.settling = Settling(
            cast("Jobs", self),
            self.reports,
            worker="w",
            settled=self.confirmed.append,
        )

    async def settle(self, worker: str, ending: Sequence[Settlement]) -> bool:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise LedgerError("away")
        self.batches.append(len(ending))
        self.told += [f"{worker} ended {one.claim.job_id}" for one in ending]
        return True

    async def report(self, reports: Sequence[Report]) -> set[str]:
        if self.away:
            self.away -= 1
            raise LedgerError("away")
        self.told += [f"said {one.claim.job_id}" for one in reports]
        return set()

    def run(self, test: Callable[[], Any]) -> None:
        async def main() -> None:
            running = asyncio.create_task(self.settling.run())
            await test()
            await end(running)

        asyncio.run(main())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_PAUSE", 0.01)
    monkeypatch.setattr(settling, "_PATIENCE", 0.05)


def test_what_ends_meanwhile_goes_together_and_never_too_much_at_once() -> None:
    told = Told()

    async def test() -> None:
        for number in range(BATCH + 50):
            told.settling.add(settlement(number))
        await asyncio.sleep(0)
        await told.settling.drain()

    told.run(test)
    assert told.batches == [BATCH, 50]
    assert (told.settling.waiting, told.settling.count, told.confirmed) == (0, BATCH + 50, [True, True])


def test_what_ends_while_others_are_on_their_way_is_behind() -> None:
    told = Told()
    behind = []

    async def test() -> None:
        told.settling.add(settlement(1))
        behind.append(told.settling.behind)  # it leaves as soon as the loop turns
        await asyncio.sleep(0)
        told.settling.add(settlement(2))
        behind.append(told.settling.behind)
        await told.settling.drain()
        behind.append(told.settling.behind)

    told.run(test)
    assert behind == [0, 1, 0]
    assert told.batches == [1, 1]


def test_the_last_words_of_a_handler_come_before_the_end_of_its_lease() -> None:
    told = Told(away=2)

    async def test() -> None:
        ended = settlement(1)
        told.reports.open(ended.claim)
        told.reports.progress("job_1", Progress(current=1))
        told.settling.add(ended)
        await told.settling.drain()

    told.run(test)
    assert told.told == ["said job_1", "w ended job_1"]


def test_while_redis_is_away_nothing_is_forgotten() -> None:
    told = Told(away=3)

    async def test() -> None:
        told.settling.add(settlement(1))
        await told.settling.drain()

    told.run(test)
    assert told.told == ["w ended job_1"]


def test_a_worker_that_is_to_stop_waits_for_redis_only_so_long(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(away=1_000)

    async def test() -> None:
        told.settling.add(settlement(1))
        await told.settling.drain()

    told.run(test)
    assert told.told == []
    assert "1 outcomes could not be recorded" in caplog.text


def test_an_end_does_not_overtake_what_its_handler_said() -> None:
    told = Told()

    async def test() -> None:
        ended = settlement(1)
        told.reports.open(ended.claim)
        async with told.reports.on_the_way:
            told.settling.add(ended)
            for _ in range(10):
                await asyncio.sleep(0)
            assert told.told == []
        await told.settling.drain()

    told.run(test)
    assert told.told == ["w ended job_1"]
