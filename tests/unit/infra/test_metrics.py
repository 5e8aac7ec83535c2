import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from infra.ids import new_suffix
from infra.ledger import LedgerError
from infra.ledger.measures import Pulse
from infra.ledger.records import (
    Claim,
    ErrorInfo,
    Failed,
    Finished,
    JobStatus,
    Outcome,
    Receipt,
    Retried,
    Settlement,
)
from infra.metrics import ACK, FAMILIES, MOST_VALUES, RECEIVED, Count, Durations, Metrics, Publisher, Series

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


class Kept:
    """Stands in for the ledger's `Measures`: adds up, and can be away, before or after it has added."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.calls: list[tuple[str, int]] = []
        self.away = ""

    async def add(self, process: str, sequence: int, numbers: dict[str, int], _: Pulse) -> None:
        if self.away == "before":
            raise LedgerError("away")
        if (process, sequence) not in self.calls:
            self.calls.append((process, sequence))
            for field, number in numbers.items():
                self.totals[field] = self.totals.get(field, 0) + number
        if self.away == "after":
            raise LedgerError("away")


def receipt(*, duplicate: bool = False) -> Receipt:
    suffix = new_suffix()
    return Receipt(
        event_id=f"evt_{suffix}", job_id=f"job_{suffix}", status=JobStatus.QUEUED, duplicate=duplicate
    )


def settlement(outcome: Outcome, *, attempt: int = 1, waited: float = 2) -> Settlement:
    claim = Claim(
        job_id="job_1", event_id="evt_1", token="w-1", queue="high", attempt=attempt, crashes=0,
        claimed_at=NOW, created_at=NOW - timedelta(seconds=waited), source="acme", type="paid",
        received_at=NOW, headers={}, content_type="application/json", body=b"{}", metadata={},
    )  # fmt: skip
    return Settlement(claim=claim, outcome=outcome, handler="handlers.acme:paid", max_attempts=5)


def test_a_request_counts_its_new_events_its_duplicates_and_one_duration() -> None:
    metrics = Metrics()

    metrics.accepted("acme", [receipt(), receipt(duplicate=True), receipt()], 0.004)

    assert metrics.take() == {
        '["events_received","acme"]': 2,
        '["events_duplicate","acme"]': 1,
        '["ack","acme","0.005"]': 1,
        '["ack","acme","sum"]': 4000,
    }
    assert metrics.take() == {}


def test_a_refusal_without_a_source_is_of_one_that_is_unknown() -> None:
    metrics = Metrics()
    for name in (None, None, "acme"):
        metrics.refused(name, "source_unknown")

    assert metrics.take() == {
        '["requests_refused","unknown","source_unknown"]': 2,
        '["requests_refused","acme","source_unknown"]': 1,
    }


def test_a_first_attempt_tells_of_its_wait_and_an_end_of_the_whole_way() -> None:
    metrics = Metrics()

    metrics.attempted(settlement(Finished(result="1")), 0.02)

    assert metrics.take() == {
        '["attempts","acme","handlers.acme:paid","finished"]': 1,
        '["run","acme","handlers.acme:paid","0.025"]': 1,
        '["run","acme","handlers.acme:paid","sum"]': 20_000,
        '["queue_wait","high","2.5"]': 1,
        '["queue_wait","high","sum"]': 2_000_000,
        '["end_to_end","acme","handlers.acme:paid","2.5"]': 1,
        '["end_to_end","acme","handlers.acme:paid","sum"]': 2_020_000,
    }


def test_a_later_attempt_has_no_wait_and_one_that_is_repeated_no_end() -> None:
    error = ErrorInfo(type="ValueError", message="odd")
    metrics = Metrics()

    metrics.attempted(settlement(Retried(delay=timedelta(seconds=1), error=error), attempt=2), 1)
    assert {field.split('"')[1] for field in metrics.take()} == {"attempts", "run"}
    metrics.attempted(settlement(Failed(error=error), attempt=3), 1)
    assert {field.split('"')[1] for field in metrics.take()} == {"attempts", "run", "end_to_end"}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (5, "5"), (5.1, "+Inf")]
)
def test_a_bucket_holds_what_is_not_above_its_bound(seconds: float, bucket: str) -> None:
    ack = Series(ACK, Durations)
    ack.of("acme").observe(seconds)
    assert ack.take()[f'["ack","acme","{bucket}"]'] == 1


def test_values_beyond_the_bound_are_one_value_and_stay_so() -> None:
    received = Series(RECEIVED, Count)
    for number in range(MOST_VALUES + 10):
        received.of(f"source-{number}").value += 1
    assert len(received.take()) == MOST_VALUES + 1
    received.of("yet-another").value += 1
    received.of("source-7").value += 1
    assert received.take() == {'["events_received","other"]': 1, '["events_received","source-7"]': 1}


def test_durations_beyond_the_bound_are_one_value_too() -> None:
    ack = Series(ACK, Durations)
    for number in range(MOST_VALUES + 10):
        ack.of(f"source-{number}").observe(1)
    assert ack.take()['["ack","other","1"]'] == 10


def test_bounds_rise_and_names_are_one_of_a_kind() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert [family.name for family in FAMILIES if list(family.bounds) != sorted(set(family.bounds))] == []


@pytest.mark.parametrize("away", ["before", "after"])
def test_what_was_not_confirmed_is_sent_again_and_counts_once(away: str) -> None:
    kept, metrics = Kept(), Metrics()
    publisher = Publisher(metrics, kept)  # type: ignore[arg-type]

    async def scenario() -> None:
        metrics.refused("acme", "body_malformed")
        kept.away = away
        with pytest.raises(LedgerError):
            await publisher.send()
        metrics.refused("acme", "body_malformed")
        kept.away = ""
        await publisher.send()
        await publisher.send()

    asyncio.run(scenario())
    assert kept.totals == {'["requests_refused","acme","body_malformed"]': 2}


def test_many_numbers_go_in_several_calls() -> None:
    kept, metrics = Kept(), Metrics()
    for number in range(MOST_VALUES):
        metrics.accepted(f"source-{number}", [receipt(), receipt(duplicate=True)], 1)

    asyncio.run(Publisher(metrics, kept).send())  # type: ignore[arg-type]

    assert [sequence for _, sequence in kept.calls] == [0, 1]
    assert len(kept.totals) == MOST_VALUES * 4


def test_it_sends_by_itself_and_the_rest_at_the_end() -> None:
    kept, metrics = Kept(), Metrics()

    async def scenario() -> None:
        publisher = Publisher(metrics, kept, every=0.001)  # type: ignore[arg-type]
        publisher.start()
        metrics.refused(None, "a")
        while not kept.totals:
            await asyncio.sleep(0.001)
        metrics.refused(None, "b")
        await publisher.stop()

    asyncio.run(scenario())
    assert len(kept.totals) == 2


def test_a_redis_that_is_away_at_the_end_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    kept, metrics = Kept(), Metrics()
    kept.away = "before"

    async def scenario() -> None:
        publisher = Publisher(metrics, kept)  # type: ignore[arg-type]
        metrics.refused(None, "a")
        await publisher.stop()

    asyncio.run(scenario())
    assert "are lost" in caplog.text


@pytest.mark.parametrize("count", ["accepted", "attempted"])
def test_counting_costs_next_to_nothing(count: str) -> None:
    """A webhook takes a hundred microseconds and more; the bound is loose, for machines are slow and shared."""
    metrics, receipts, settled = Metrics(), [receipt()], settlement(Finished(result="1"))
    calls = {
        "accepted": lambda: metrics.accepted("acme", receipts, 0.004),
        "attempted": lambda: metrics.attempted(settled, 0.02),
    }

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(1000):
            calls[count]()
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) / 1000 < 20e-6
