"""What stopped coming, what grows, what fails: told from numbers alone."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.findings.usual import (
    HOURS_KEPT,
    counted_on,
    facts_of,
    hours_to_count,
    is_growing,
    is_silent,
    of_failures,
    of_history,
    of_troubles,
)
from infra.ledger.troubles import FailureGroup, Trouble

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
FIVE_AN_HOUR = [5] * 24
AT_ELEVEN = [0] * 11 + [1] + [0] * 12  # hours before now: once a day


def week(day: list[int], *, weekend: bool = False) -> list[int]:
    """Eight days; the newest hour first. With `weekend`, the second and third days before today bring nothing."""
    days = [day] * 8
    if weekend:
        days[1:3] = [[0] * 24] * 2
    return [count for one in days for count in one]


@pytest.mark.parametrize(
    ("hours", "silent"),
    [
        (week(FIVE_AN_HOUR), False),
        ([0, *week(FIVE_AN_HOUR)], False),  # the present hour has just begun
        ([0, 0, *week(FIVE_AN_HOUR)], False),
        ([0, 0, 0, *week(FIVE_AN_HOUR)], True),
        ([0] * 3 + [5] * 100, False),  # not yet a week old
        ([0] * 3 + week([1] * 24), False),  # one an hour may well pause for two hours
        ([0] * 8 + week([1] * 24), True),
        (week(AT_ELEVEN), False),
        ([0] * 14 + week(AT_ELEVEN), False),  # a day and an hour: it may be late
        ([0] * 20 + week(AT_ELEVEN), True),
        ([0] * 5 + week([0] * 10 + [9] * 8 + [0] * 6), False),  # the night
        ([0] * 400, False),
        ([], False),
    ],
)
def test_a_silence_is_told_from_a_pause(hours: list[int], silent: bool) -> None:
    assert is_silent(hours) is silent


def test_a_weekend_is_no_silence() -> None:
    """It is Sunday noon; on Saturday and Sunday nothing comes, a week ago neither."""
    weekdays = [6] * 24
    friday_and_before = weekdays * 5 + [0] * 48 + weekdays * 5
    assert not is_silent([0] * 36 + friday_and_before)
    assert is_silent([0] * (48 + 12) + friday_and_before)  # Monday noon


@pytest.mark.parametrize(
    ("depths", "grows"),
    [
        ([120, 118, 116, 114, 112, 110, 108, 106, 104, 100], True),
        ([110, 109, 108, 107, 106, 105, 104, 103, 102, 101], False),  # by less than a fifth
        ([120, 90, 116, 114, 112, 110, 108, 106, 104, 100], False),  # it was shorter in between
        ([99, 90, 80, 70, 60, 50, 40, 30, 20, 10], False),  # no great matter
        ([500, 400, 300], False),  # not looked at for long enough
        ([], False),
    ],
)
def test_a_queue_that_grows_is_told_from_one_that_is_long(depths: list[int], grows: bool) -> None:
    assert is_growing(depths) is grows


def test_each_hour_is_counted_until_it_is_over() -> None:
    assert hours_to_count([], 100) == list(range(100, 76, -1))
    assert hours_to_count([100, 4], 100) == [100]
    assert hours_to_count([98, 4], 100) == [100, 99, 98]
    assert counted_on([], 100, [1, 2]) == [100, 1, 2]
    assert counted_on([100, 4, 7], 100, [5]) == [100, 5, 7]
    assert counted_on([98, 4, 7], 100, [1, 2, 5]) == [100, 1, 2, 5, 7]


def test_hours_in_which_nobody_looked_are_empty() -> None:
    counts = [1] * len(hours_to_count([50, 4, 7], 100))
    remembered = counted_on([50, 4, 7], 100, counts)
    assert remembered[:1] + remembered[25:] == [100, *[0] * 26, 4, 7]
    assert len(remembered) == 1 + (100 - 50) + 2


def test_two_weeks_are_remembered() -> None:
    assert len(counted_on([99, *[1] * HOURS_KEPT], 100, [1, 1])) == 1 + HOURS_KEPT


def test_what_differs_is_a_finding() -> None:
    history = {
        "kind:github:pull_request:closed": [7, 0, 0, 0, *week(FIVE_AN_HOUR)],
        "kind:github:push": [7, *week(FIVE_AN_HOUR)],
        "queue:high": list(range(200, 100, -10)),
        "queue:low": [1] * 10,
        "mangled": [],
    }
    silent, grows = of_history(history)
    assert (silent.key, silent.what) == (
        "silence:github:pull_request:closed",
        "no pull_request:closed has come from github for some hours",
    )
    assert (grows.key, grows.what) == ("queue-grows:high", "queue high grows: 200 jobs wait")


def group(*, given_up_at: datetime | None) -> FailureGroup:
    return FailureGroup(
        id="abc", handler="taking:pushed", type="KeyError", place="taking.py:3", message="a secret", job_id="job_1",
        attempts=7, given_up=2, first=NOW, last=NOW, given_up_at=given_up_at,
    )  # fmt: skip


def test_a_place_where_jobs_were_given_up_lately_is_a_finding_without_what_it_said() -> None:
    assert list(of_failures([group(given_up_at=None)], NOW)) == []
    assert list(of_failures([group(given_up_at=NOW - timedelta(hours=1))], NOW)) == []
    (finding,) = of_failures([group(given_up_at=NOW - timedelta(minutes=59))], NOW)
    assert finding.key == "failing:abc"
    assert (
        finding.text
        == "taking:pushed fails at taking.py:3 with KeyError: 2 jobs given up there, the last job_1"
    )
    assert "secret" not in repr(finding)


def trouble(facts: dict[str, str]) -> Trouble:
    return Trouble(key="k", id="trouble_1", began_at=NOW, ended_at=None, told=True, facts=facts)


def test_doctor_tells_what_takes_time_to_see_and_nothing_twice() -> None:
    (failing,) = of_failures([group(given_up_at=NOW)], NOW)
    kept = [
        trouble(facts_of(failing)),
        trouble(facts_of(failing) | {"code": "no-worker"}),  # doctor looks for itself
        trouble({"code": "silence"}),
        trouble(facts_of(failing) | {"severity": "dire"}),
        trouble(facts_of(failing) | {"unheard": "of"}),
    ]
    assert list(of_troubles(kept)) == [failing]
