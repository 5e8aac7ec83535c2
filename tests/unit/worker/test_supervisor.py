"""When a worker process that died is started again, and when it is given up: decisions only."""

from datetime import timedelta

import pytest

from worker.supervisor import QUICK, QUICK_DEATHS, quick_deaths, wait_before_start


@pytest.mark.parametrize(
    ("lives", "waits"),
    [
        ([3600], [0]),
        ([3600, 3600, 3600, 3600, 3600, 3600], [0, 0, 0, 0, 0, 0]),
        ([0, 0, 0, 0, 0], [0, 0.5, 1, 2, None]),
        ([4.9, 4.9, 4.9, 4.9, 4.9], [0, 0.5, 1, 2, None]),
        ([0, 0, 0, 0, 5, 0, 0], [0, 0.5, 1, 2, 0, 0, 0.5]),
    ],
)
def test_a_process_starts_again_at_once_then_later_then_never(
    lives: list[float], waits: list[float | None]
) -> None:
    quick, decided = 0, []
    for seconds in lives:
        quick = quick_deaths(quick, lived=timedelta(seconds=seconds))
        wait = wait_before_start(quick)
        decided.append(None if wait is None else wait.total_seconds())

    assert decided == waits


def test_it_is_given_up_within_seconds_not_minutes() -> None:
    waits = [wait_before_start(quick) for quick in range(QUICK_DEATHS)]

    assert sum((wait for wait in waits if wait is not None), timedelta(0)) < QUICK
    assert wait_before_start(QUICK_DEATHS) is None
