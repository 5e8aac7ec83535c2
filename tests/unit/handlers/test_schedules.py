"""When recurring handlers are due, also where the clocks jump, and what is wrong with a schedule."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import Context
from handlers.errors import HandlerError
from handlers.registry import Registry
from handlers.schedules import Cron, Every, Schedule
from handlers.testing import run

BERLIN = "Europe/Berlin"
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
schedules = st.sampled_from(
    [
        Every.of("1s"),
        Every.of("7m"),
        Every.of("15m"),
        Every.of("1d"),
        Cron.of("*/5 * * * *", "UTC"),
        Cron.of("30 2 * * *", BERLIN),
        Cron.of("30 * * * *", BERLIN),
        Cron.of("0 7 * * 1-5", BERLIN),
        Cron.of("0 0 1 * *", "Pacific/Auckland"),
    ]
)


def due(schedule: Schedule, start: str, count: int) -> list[str]:
    """The next times after a start, in UTC."""
    moment, found = datetime.fromisoformat(start).replace(tzinfo=UTC), []
    for _ in range(count):
        moment = schedule.next_due(moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@given(schedules, moments)
def test_nothing_lies_between_the_last_time_and_the_next(schedule: Schedule, now: datetime) -> None:
    last, following = schedule.latest_due(now), schedule.next_due(now)

    assert last <= now < following
    assert schedule.latest_due(last) == last
    assert schedule.next_due(last) == following
    assert schedule.latest_due(following) == following
    assert schedule.latest_due(following - timedelta(microseconds=1)) == last
    assert last.utcoffset() == following.utcoffset() == timedelta(0)


def test_an_interval_counts_from_1970_for_all_workers_alike() -> None:
    assert due(Every.of("15m"), "2026-11-21T20:41:11", 3) == ["11-21 20:45", "11-21 21:00", "11-21 21:15"]
    assert due(Every.of(timedelta(hours=5)), "1970-01-01T00:00", 2) == ["01-01 05:00", "01-01 10:00"]


@pytest.mark.parametrize(
    ("expression", "start", "times"),
    [
        ("0 7 * * 1-5", "2026-11-20T12:00", ["11-23 06:00", "11-24 06:00"]),
        ("30 2 * * *", "2026-03-28T00:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),  # skipped: at the jump
        ("30 2 * * *", "2026-10-24T00:00", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),  # repeated: once
        ("*/30 2 * * *", "2026-10-25T00:00", ["10-25 00:30", "10-26 01:00"]),
        ("30 * * * *", "2026-10-24T23:00", ["10-24 23:30", "10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ("30 * * * *", "2026-03-29T00:00", ["03-29 00:30", "03-29 01:30", "03-29 02:30"]),
        ("0 0 29 2 *", "2026-01-01T00:00", ["02-28 23:00"]),
        ("0 12 l * *", "2026-02-01T00:00", ["02-28 11:00"]),
    ],
)  # fmt: skip
def test_an_expression_is_read_on_the_clocks_of_its_zone(
    expression: str, start: str, times: list[str]
) -> None:
    assert due(Cron.of(expression, BERLIN), start, len(times)) == times


def test_another_offset_is_the_same_moment() -> None:
    cron, now = Cron.of("0 7 * * *", BERLIN), datetime(2026, 11, 21, 20, 41, tzinfo=UTC)

    assert cron.next_due(now.astimezone(timezone(timedelta(hours=-11)))) == cron.next_due(now)


def test_a_schedule_has_one_name_however_it_is_spaced() -> None:
    assert Cron.of(" 0  7 * *  1-5", BERLIN).text == "cron 0 7 * * 1-5 Europe/Berlin"
    assert (Every.of(" 15m").text, Every.of(timedelta(minutes=15)).text) == ("every 15m", "every 900s")


# -- declaring ---------------------------------------------------------------------------------------------------------


def report(context: Context) -> Any:
    return context.payload


@pytest.mark.parametrize(
    ("interval", "fault"),
    [
        ("soon", "every 'soon': not a duration"),
        (15, "every 15: not a duration"),
        ("0s", "every '0s': must be at least 1s and at most 365d"),
        ("999ms", "every '999ms': must be at least 1s"),
        ("366d", "every '366d': must be at least 1s and at most 365d"),
    ],
)
def test_an_interval_that_means_nothing_is_named_with_the_function(interval: Any, fault: str) -> None:
    with pytest.raises(HandlerError, match=re.escape(fault)) as caught:
        Registry().handler.every(interval)(report)

    assert "test_schedules:report (" in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "zone", "fault"),
    [
        ("0 7 * *", "UTC", "cron '0 7 * *': needs five fields: minute, hour, day, month and weekday"),
        ("* * * * * *", "UTC", "needs five fields"),
        ("@daily", "UTC", "needs five fields"),
        ("H 7 * * *", "UTC", "needs five fields"),
        ("R(0-9) 7 * * *", "UTC", "needs five fields"),
        (7, "UTC", "cron 7: needs five fields"),
        ("61 * * * *", "UTC", "cron '61 * * * *': "),
        ("a b c d e", "UTC", "cron 'a b c d e': "),
        ("0 0 30 2 *", "UTC", "cron '0 0 30 2 *': "),
        ("0 7 * * *", "Europe/Atlantis", "there is no time zone 'Europe/Atlantis'"),
        ("0 7 * * *", "../../etc/passwd", "there is no time zone '../../etc/passwd'"),
        ("0 7 * * *", None, "there is no time zone None"),
    ],
)
def test_an_expression_that_means_nothing_is_named_with_the_function(
    expression: Any, zone: Any, fault: str
) -> None:
    with pytest.raises(HandlerError, match=re.escape(fault)) as caught:
        Registry().handler.cron(expression, timezone=zone)(report)

    assert "test_schedules:report (" in str(caught.value)


def test_a_recurring_handler_is_one_of_the_source_schedule() -> None:
    registry = Registry()
    registry.handler.cron("0 7 * * *", queue="low", max_attempts=1)(report)

    (entry,) = registry.manifest()
    assert (entry.source, entry.queue, entry.max_attempts) == ("schedule", "low", 1)
    assert entry.type == entry.handler == f"{__name__}:report"


def test_a_function_has_one_schedule() -> None:
    registry = Registry()
    registry.handler.every("15m")(report)

    with pytest.raises(HandlerError, match="two handlers for"):
        registry.handler.cron("0 7 * * *")(report)


def test_the_words_of_a_recurring_handler_are_those_of_any() -> None:
    with pytest.raises(HandlerError, match="concurrency 0: needs a whole number"):
        Registry().handler.every("15m", concurrency=0)(report)


def test_a_recurring_handler_runs_in_tests() -> None:
    registry = Registry()
    registry.handler.every("15m")(report)

    due_now = {"due": "2026-11-21T20:45:00.000Z", "schedule": "every 15m"}
    assert run(report, due_now, registry=registry).result == due_now
