"""What is remembered, and for how long."""

from infra.remembered import Remembered


def test_what_was_made_counts_for_an_equal_thing_only() -> None:
    remembered: Remembered[object] = Remembered(most=10, fits=lambda *_: True)
    first, second = object(), object()
    assert remembered.of("a", [b"1"], lambda: first) is first
    assert remembered.of("a", [b"1"], lambda: second) is first
    assert remembered.of("a", [b"2"], lambda: second) is second
    assert remembered.of("a", [b"1"], lambda: second) is second


def test_what_was_wanted_last_stays() -> None:
    remembered: Remembered[int] = Remembered(most=2, fits=lambda *_: True)
    for key in ("a", "b", "a", "c"):
        remembered.of(key, 0, lambda: 1)
    assert [remembered.of(key, 0, lambda: 2) for key in ("a", "c", "b")] == [1, 1, 2]


def test_what_is_large_is_made_anew_and_what_was_there_before_is_gone() -> None:
    remembered: Remembered[int] = Remembered(most=10, fits=lambda made_of, _: len(made_of) < 3)
    assert remembered.of("a", "xx", lambda: 1) == 1
    assert remembered.of("a", "xxx", lambda: 2) == 2
    assert remembered.of("a", "xxx", lambda: 3) == 3
    assert remembered.of("a", "xx", lambda: 4) == 4
