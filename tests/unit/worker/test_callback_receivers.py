"""Who may be called now: windows, rates, breakers, on a clock that the test moves."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.callbacks.receivers import (
    FAILURES,
    HOST_MOST,
    LEAST_RATE,
    WINDOW_FIRST,
    WINDOW_MOST,
    Receiver,
    Receivers,
    Result,
)

HOOK = Receiver.of("https://hooks.example/one")
OTHER = Receiver.of("https://hooks.example/other")
ELSEWHERE = Receiver.of("https://elsewhere.example/")
EVERY = 4.0


class World:
    """Receivers, and a clock."""

    def __init__(self, **options: float) -> None:
        self.now = 1000.0
        self.receivers = Receivers(probe_every=EVERY, **options)

    def wait(self, receiver: Receiver = HOOK) -> float:
        return self.receivers.wait(receiver, self.now)

    def begin(self, receiver: Receiver = HOOK) -> None:
        assert self.wait(receiver) == 0
        self.receivers.begin(receiver, self.now)

    def end(self, result: Result, receiver: Receiver = HOOK, *, pause: float = 0.0) -> None:
        self.receivers.end(receiver, result, self.now, pause=pause)

    def send(self, result: Result, receiver: Receiver = HOOK, *, pause: float = 0.0) -> None:
        """One after the other, as soon as it may be."""
        self.now += self.wait(receiver)
        self.begin(receiver)
        self.end(result, receiver, pause=pause)

    def room(self, receiver: Receiver = HOOK) -> int:
        """How many begin at once."""
        count = 0
        while self.wait(receiver) == 0:
            self.begin(receiver)
            count += 1
        return count

    def sent_within(self, seconds: float, receiver: Receiver = HOOK) -> int:
        """How many a receiver that takes each at once gets in that time."""
        end, count = self.now + seconds, 0
        while self.now + self.wait(receiver) < end:
            self.send(Result.TAKEN, receiver)
            count += 1
            self.now += 0.0001
        self.now = end
        return count


def test_a_new_receiver_gets_a_few_and_one_that_takes_them_gets_more() -> None:
    world = World()
    assert world.room() == WINDOW_FIRST
    for _ in range(WINDOW_FIRST):
        world.end(Result.TAKEN)
    assert world.room() == 2 * WINDOW_FIRST
    for _ in range(1000):
        world.end(Result.TAKEN)
        world.begin()
    assert world.room() + 2 * WINDOW_FIRST == WINDOW_MOST


@pytest.mark.parametrize("result", [Result.SILENT, Result.UNREACHABLE])
def test_a_receiver_that_leaves_us_waiting_soon_holds_one_line(result: Result) -> None:
    world = World()
    for _ in range(4):  # a quarter of what it got at once
        world.send(result)
    assert world.room() == 1
    assert world.wait() == inf


def test_a_receiver_that_answers_wrongly_is_not_slowed_down_before_its_breaker() -> None:
    world = World()
    for _ in range(FAILURES - 1):
        world.send(Result.REFUSED)
    assert world.room() == WINDOW_FIRST


def test_a_host_has_a_bounded_number_of_lines_and_its_neighbour_others() -> None:
    world = World()
    receivers = [Receiver.of(f"https://hooks.example/{number}") for number in range(HOST_MOST)]
    assert sum(world.room(receiver) for receiver in receivers) == HOST_MOST
    assert world.wait(ELSEWHERE) == 0


def fail(world: World, result: Result = Result.REFUSED, receiver: Receiver = HOOK) -> None:
    for _ in range(FAILURES):
        world.send(result, receiver)


def test_a_receiver_that_keeps_failing_is_sent_one_at_a_time_to_see() -> None:
    world = World()
    fail(world)
    assert world.wait() == EVERY
    world.now += EVERY
    assert world.room() == 1
    assert world.wait() == inf
    world.end(Result.REFUSED)
    assert world.wait() == EVERY


@pytest.mark.parametrize("result", [Result.REFUSED, Result.SILENT])
def test_one_dead_hook_does_not_stop_the_others_of_its_host(result: Result) -> None:
    world = World()
    fail(world, result)
    assert world.wait() > 0
    assert world.wait(OTHER) == 0


def test_a_host_that_can_not_be_reached_stops_all_its_hooks_and_no_other_host() -> None:
    world = World()
    fail(world, Result.UNREACHABLE)
    assert world.wait(OTHER) == EVERY
    assert world.wait(ELSEWHERE) == 0
    world.now += EVERY
    world.send(Result.REFUSED, OTHER)  # an answer: the host is there
    assert world.wait(OTHER) < EVERY


def test_a_receiver_that_recovers_is_not_trampled() -> None:
    """F66: of 200 that waited, no second gets half; and it ends."""
    world = World()
    fail(world)
    world.now += EVERY
    world.send(Result.TAKEN)
    seconds = []
    while sum(seconds) < 200:
        seconds.append(world.sent_within(1))
    assert max(seconds) < 100
    assert seconds[0] <= 10
    assert world.sent_within(20) > 5000
    assert world.wait() == 0


def test_a_receiver_that_fails_while_it_recovers_begins_anew() -> None:
    world = World()
    fail(world)
    world.now += EVERY
    world.send(Result.TAKEN)
    fail(world)
    assert world.wait() == EVERY


@pytest.mark.parametrize("host", ["hook.eu1.make.com", "hook.us2.make.com", "hooks.zapier.com"])
def test_make_and_zapier_get_what_they_take(host: str) -> None:
    """300 in 10 s, over all hooks of a host."""
    world = World()
    world.send(Result.TAKEN, Receiver.of(f"https://{host}/other"))
    assert 295 <= world.sent_within(10, Receiver.of(f"https://{host}/one")) <= 300


def test_the_operators_rate_counts_for_every_host() -> None:
    world = World(rate=5.0)
    assert 49 <= world.sent_within(10) <= 50
    assert 49 <= world.sent_within(10, Receiver.of("https://hook.eu1.make.com/x")) <= 50


def test_a_429_halves_the_rate_of_the_host_which_then_doubles_until_it_is_none() -> None:
    world = World()
    for _ in range(100):
        world.send(Result.TAKEN)
        world.now += 0.01
    world.send(Result.THROTTLED)
    assert 30 <= world.sent_within(1) <= 55
    assert 30 <= world.sent_within(1, OTHER) <= 55
    world.now += 60
    assert world.room() > WINDOW_FIRST
    assert world.receivers._hosts["hooks.example"].learned is None


def test_workers_share_a_known_rate() -> None:
    """Make's 30 a second are for all of them together."""
    make = Receiver.of("https://hook.eu1.make.com/x")
    worlds = [World(), World(), World()]
    for world in worlds:
        world.receivers.share(3)
    assert 290 <= sum(world.sent_within(10, make) for world in worlds) <= 303
    worlds[0].receivers.share(1)
    assert 295 <= worlds[0].sent_within(10, make) <= 301


def test_a_429_to_another_worker_slows_this_one_down_too_and_once() -> None:
    world = World()
    for _ in range(100):
        world.send(Result.TAKEN)
        world.now += 0.01
    for _ in range(3):
        world.receivers.throttle("hooks.example", world.now)
        world.receivers.throttle("unknown.example", world.now)
    assert 30 <= world.sent_within(1) <= 55


def test_what_a_worker_has_met_itself_does_not_slow_it_down_twice() -> None:
    world = World()
    for _ in range(100):
        world.send(Result.TAKEN)
        world.now += 0.01
    world.send(Result.THROTTLED)
    world.receivers.throttle("hooks.example", world.now + 1)
    assert 30 <= world.sent_within(1) <= 55


def test_one_429_does_not_silence_a_host() -> None:
    world = World()
    world.send(Result.THROTTLED)
    assert world.wait() <= 1 / LEAST_RATE


def test_a_wait_that_the_receiver_asks_for_is_a_pause_for_all_that_goes_to_it() -> None:
    world = World()
    world.send(Result.THROTTLED, pause=7)
    assert world.wait() == 7
    assert world.wait(OTHER) < 1
    world.send(Result.THROTTLED, pause=36_000)
    assert world.wait() == 60


def test_what_was_not_sent_says_nothing_of_the_receiver() -> None:
    world = World()
    for _ in range(100):
        world.send(Result.UNSENT)
    assert world.room() == WINDOW_FIRST


def test_a_query_makes_no_other_receiver() -> None:
    assert Receiver.of("https://a.example/x?job=1") == Receiver.of("https://a.example/x?job=2")
    assert Receiver.of("https://a.example:8443/x") != Receiver.of("https://a.example/x")
    assert Receiver.of("http://[nonsense").url == "http://[nonsense"


def test_receivers_that_went_well_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.callbacks.receivers.KNOWN_MOST", 10)
    world = World()
    world.begin(HOOK)
    world.send(Result.REFUSED, OTHER)
    for number in range(100):
        world.send(Result.TAKEN, Receiver.of(f"https://{number}.example/"))
    known = world.receivers._receivers
    assert len(known) <= 11
    assert {HOOK.url, OTHER.url} <= set(known)
    assert len(world.receivers._hosts) <= 11


DUST = 1e-6  # of sums of floating-point seconds


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Result)), st.floats(0, 100), st.floats(0, 100), st.booleans()),
        max_size=60,
    )
)
def test_whatever_happens_a_receiver_is_called_again_within_a_minute(
    history: list[tuple[Result, float, float, bool]],
) -> None:
    world = World()
    for result, later, pause, other in history:
        world.now += later
        receiver = OTHER if other else HOOK
        if world.wait(receiver) == 0:
            world.send(result, receiver, pause=pause)
    assert world.wait(HOOK) <= 60 + DUST
    assert world.wait(OTHER) <= 60 + DUST
