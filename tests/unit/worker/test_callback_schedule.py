"""The decision after one POST of a callback."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.durations import parse_durations
from infra.ledger.records import CallbackStatus
from worker.callbacks.schedule import (
    Answered,
    Decision,
    Outcome,
    Refused,
    Unanswered,
    decide,
    read_retry_after,
    spread,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEDULE = parse_durations("5s,5m,30m,2h,5h,10h,10h")
STEP = timedelta(minutes=5)  # the wait after attempt 2


def after(outcome: Outcome, attempt: int = 2) -> Decision:
    return decide(outcome, attempt=attempt, now=NOW, schedule=SCHEDULE)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
@pytest.mark.parametrize("attempt", [1, 8, 9])
def test_any_2xx_is_delivered(status: int, attempt: int) -> None:
    assert after(Answered(status=status), attempt) == Decision(status=CallbackStatus.DELIVERED)


@pytest.mark.parametrize("attempt", [1, 7, 8])
def test_410_is_given_up_at_once(attempt: int) -> None:
    decision = after(Answered(status=410, retry_after="5"), attempt)
    assert (decision.status, decision.wait) == (CallbackStatus.DEAD, None)
    assert "410" in (decision.reason or "")


@pytest.mark.parametrize("attempt", [1, 8])
def test_what_the_guard_refuses_is_blocked_at_once(attempt: int) -> None:
    refused = after(Refused(reason="the address is not a public one"), attempt)
    assert refused == Decision(status=CallbackStatus.BLOCKED, reason="the address is not a public one")


@pytest.mark.parametrize(
    "outcome",
    [
        *[Answered(status=status) for status in (100, 101, 300, 301, 302, 307, 308, 400, 401, 404, 409, 418)],
        *[Answered(status=status) for status in (429, 500, 501, 502, 503, 504, 599)],
        Unanswered(reason="the name has no address"),
        Unanswered(reason="no TLS: the handshake failed"),
    ],
    ids=str,
)
def test_everything_else_is_tried_again_by_the_schedule_and_then_dead(outcome: Outcome) -> None:
    waits = [after(outcome, attempt).wait for attempt in range(1, 8)]
    assert waits == list(SCHEDULE)
    last = after(outcome, attempt=8)
    assert (last.status, last.wait) == (CallbackStatus.DEAD, None)
    assert last.reason == f"given up after 8 attempts: {outcome}"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("0", STEP),
        ("299", STEP),
        ("301", timedelta(seconds=301)),
        ("600", 2 * STEP),
        ("86400", 2 * STEP),
        ("86401", 2 * STEP),
        ("999999999", 2 * STEP),
        ("9" * 40, 2 * STEP),
        ("Sat, 21 Nov 2099 12:00:00 GMT", 2 * STEP),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 2 * STEP),
        ("Sat, 21 Nov 2026 12:07:00 GMT", timedelta(minutes=7)),
        ("Saturday, 21-Nov-26 12:07:00 GMT", timedelta(minutes=7)),
        ("Sat, 21 Nov 2026 11:00:00 GMT", STEP),
        ("Sat, 21 Nov 2026 23:00:00 GMT", 2 * STEP),
    ],
)
def test_retry_after_is_kept_within_the_step_and_twice_it(
    status: int, retry_after: str, wait: timedelta
) -> None:
    """F63."""
    decision = after(Answered(status=status, retry_after=retry_after))
    assert decision == Decision(status=CallbackStatus.PENDING, wait=wait, exact=True)


@pytest.mark.parametrize(
    "retry_after",
    ["-1", "abc", "1e309", "9" * 5000, "", " ", "1.5", "+5", "1_0", "\u0665", "nan",
     "Sat, 99 Nov 2026 12:00:00 GMT", "0000-00-00 00:00:00", "x" * 30],
    ids=lambda value: value[:12],
)  # fmt: skip
def test_a_senseless_retry_after_is_ignored(retry_after: str) -> None:
    """F63."""
    assert after(Answered(status=429, retry_after=retry_after)) == after(Answered(status=429))


def test_retry_after_counts_for_429_and_503_only() -> None:
    assert after(Answered(status=500, retry_after="400")).wait == STEP
    assert after(Answered(status=302, retry_after="400")).wait == STEP


def test_after_the_schedule_no_retry_after_helps() -> None:
    assert after(Answered(status=503, retry_after="5"), attempt=8).status is CallbackStatus.DEAD


def test_an_empty_schedule_makes_one_attempt() -> None:
    decision = decide(Answered(status=500), attempt=1, now=NOW, schedule=())
    assert decision.status is CallbackStatus.DEAD


@given(st.text(max_size=60))
def test_any_retry_after_is_a_wait_or_nothing(value: str) -> None:
    asked = read_retry_after(value, now=NOW)
    assert asked is None or asked <= timedelta(days=36_500)


@given(
    st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{2,5} [0-9:]{1,9} [-+A-Z0-9]{1,6}", fullmatch=True
    )
)
def test_any_date_like_retry_after_is_a_wait_or_nothing(value: str) -> None:
    asked = read_retry_after(value, now=NOW)
    assert asked is None or asked <= timedelta(days=36_500)


@given(st.floats(0, 1))
def test_the_spread_is_a_fifth_either_way(chance: float) -> None:
    assert 0.8 * STEP <= spread(STEP, chance) <= 1.2 * STEP
