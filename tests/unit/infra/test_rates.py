"""Rates as text."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rates import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, timedelta(seconds=1))),
        ("600/m", Rate(600, timedelta(minutes=1))),
        (" 5/h ", Rate(5, timedelta(hours=1))),
        ("1000000/d", Rate(1_000_000, timedelta(days=1))),
        ("300/10s", Rate(300, timedelta(seconds=10))),
        ("1/0.5s", Rate(1, timedelta(milliseconds=500))),
    ],
)
def test_a_rate_is_so_many_in_so_long(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "100", "100/", "/s", "0/s", "-1/s", "1.5/s", "1/0s", "100/second", "100 per s", "1000001/s", "\u0661/s", "1/s/s", "1/5"],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="needs a rate such as 30/s"):
        parse_rate(text)


@given(st.integers(1, 1_000_000), st.integers(1, 3600))
def test_a_rate_reads_as_it_is_written(count: int, seconds: int) -> None:
    rate = Rate(count, timedelta(seconds=seconds))
    assert parse_rate(str(rate)) == rate


@given(st.text())
def test_whatever_is_written_the_only_failure_is_the_documented_one(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError:
        return
    assert rate.per_second > 0
