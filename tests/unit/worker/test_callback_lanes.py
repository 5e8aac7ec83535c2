"""Callbacks that wait in the process: whose turn it is, and who makes room."""

from math import inf

from infra.ledger.records import DueCallback
from tests.unit.worker.callback_jobs import due
from worker.callbacks.lanes import Lanes
from worker.callbacks.receivers import STILL_SECONDS, WINDOW_FIRST, Receiver, Receivers, Result

DEAD, ALIVE = "https://dead.example/hook", "https://alive.example/hook"


def lanes_with(dead: int, alive: int = 0) -> tuple[Lanes, Receivers]:
    receivers = Receivers(probe_every=1.0)
    lanes = Lanes(receivers)
    for number in range(dead):
        lanes.put(due(DEAD, number=number), until=100.0)
    for number in range(alive):
        lanes.put(due(ALIVE, number=1000 + number), until=100.0)
    return lanes, receivers


def urls(begun: list[tuple[Receiver, DueCallback]]) -> list[str]:
    return [callback.url for _, callback in begun]


def test_each_receiver_has_a_lane_of_its_own() -> None:
    lanes, _ = lanes_with(50, 2)
    assert urls(lanes.begin(0.0, most=100)) == [DEAD] * WINDOW_FIRST + [ALIVE] * 2
    assert len(lanes) == 50 - WINDOW_FIRST


def test_the_lanes_take_turns_when_lines_are_few() -> None:
    lanes, _ = lanes_with(3, 3)
    assert urls(lanes.begin(0.0, most=1)) == [DEAD]
    assert urls(lanes.begin(0.0, most=1)) == [ALIVE]
    assert urls(lanes.begin(0.0, most=1)) == [DEAD]


def test_what_waits_too_long_is_let_go_unsent() -> None:
    lanes, _ = lanes_with(3)
    assert lanes.begin(100.0, most=100) == []
    assert len(lanes) == 0
    assert [one.id for one in lanes.let_go] == ["cb_0", "cb_1", "cb_2"]


def test_a_lane_that_moves_is_hurried_and_one_that_stands_still_is_slow() -> None:
    lanes, receivers = lanes_with(WINDOW_FIRST + 5)
    begun = lanes.begin(0.0, most=100)
    assert (lanes.hurried, lanes.soonest) == (5, STILL_SECONDS)
    lanes.begin(STILL_SECONDS + 0.01, most=100)
    assert (lanes.hurried, lanes.soonest) == (0, inf)
    receivers.end(begun[0][0], Result.TAKEN, STILL_SECONDS + 0.02)
    assert len(lanes.begin(STILL_SECONDS + 0.02, most=100)) == 2
    assert lanes.hurried == 3


def test_a_lane_with_a_rate_says_when_to_come_back() -> None:
    lanes = Lanes(Receivers(probe_every=1.0, rate=10.0))
    for number in range(3):
        lanes.put(due(DEAD, number=number), until=100.0)
    assert len(lanes.begin(0.0, most=100)) == 1
    assert (lanes.hurried, round(lanes.soonest, 3)) == (0, 0.1)
    assert len(lanes.begin(0.1, most=100)) == 1


def test_the_longest_slow_lane_makes_room_with_its_newest() -> None:
    lanes, _ = lanes_with(60, 20)
    lanes.begin(0.0, most=100)
    lanes.trim(20)
    assert len(lanes) == 80 - 2 * WINDOW_FIRST, "nobody is slow yet"
    lanes.begin(1.0, most=100)
    lanes.trim(20)
    assert len(lanes) == 20
    assert lanes.begin(50.0, most=100) == []
    lanes.clear(slow_only=True)
    assert len(lanes) == 0
    assert len(lanes.let_go) == 80 - 2 * WINDOW_FIRST


def test_a_lane_that_moves_is_kept_until_all_is_cleared() -> None:
    lanes, _ = lanes_with(WINDOW_FIRST + 5)
    lanes.begin(0.0, most=100)
    lanes.clear(slow_only=True)
    assert (len(lanes), lanes.let_go) == (5, [])
    lanes.clear()
    assert (len(lanes), len(lanes.let_go)) == (0, 5)
