from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.retry_policy import RetryPolicy, counts_as_attempt, with_jitter


def policy(*, max_attempts: int = 5, seconds: tuple[float, ...] = (15, 30, 60)) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=max_attempts, delays=tuple(timedelta(seconds=number) for number in seconds)
    )


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 15), (2, 30), (3, 60), (4, 60), (5, None), (6, None)])
def test_the_last_delay_repeats_until_the_attempts_are_spent(attempt: int, seconds: int | None) -> None:
    delay = policy().delay_after(attempt=attempt)

    assert delay == (None if seconds is None else timedelta(seconds=seconds))


def test_one_attempt_means_no_second() -> None:
    assert policy(max_attempts=1).delay_after(attempt=1) is None


@pytest.mark.parametrize(
    "bad",
    [{"max_attempts": 0}, {"max_attempts": -1}, {"seconds": ()}, {"seconds": (0,)}, {"seconds": (5, -1)}],
)
def test_numbers_out_of_range_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=r"max_attempts|backoff"):
        policy(**bad)


@given(st.floats(min_value=0, max_value=1, exclude_max=True), st.floats(min_value=0.001, max_value=1e6))
def test_jitter_moves_a_delay_by_at_most_a_fifth(chance: float, seconds: float) -> None:
    moved = with_jitter(timedelta(seconds=seconds), chance) / timedelta(seconds=seconds)

    assert moved == pytest.approx(1, abs=0.201)


@pytest.mark.parametrize(
    ("asked_to_count", "days", "counts"),
    [(True, 0, True), (False, 0, False), (False, 6.99, False), (False, 7, True)],
)
def test_an_uncounted_retry_is_believed_for_seven_days(
    asked_to_count: bool, days: float, counts: bool
) -> None:
    assert counts_as_attempt(asked_to_count=asked_to_count, age=timedelta(days=days)) is counts
