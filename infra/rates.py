"""Rates as people write them: ``30/s``, ``300/10s``, ``600/m``."""

import re
from dataclasses import dataclass
from datetime import timedelta

from infra.durations import parse_duration

_COUNT = re.compile(r"[0-9]{1,7}", re.ASCII)
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long; all of them may come at once."""

    count: int
    period: timedelta

    @property
    def per_second(self) -> float:
        """The same, as a number a second."""
        return self.count / self.period.total_seconds()

    def __str__(self) -> str:
        seconds = self.period.total_seconds()
        return f"{self.count}/s" if seconds == 1 else f"{self.count}/{seconds:g}s"


def parse_rate(text: str) -> Rate:
    """Read one rate: 1 to 1,000,000 in a period, whose number may be left out.

    Raises:
        ValueError: the text is none.

    >>> parse_rate("300/10s").per_second, parse_rate("90/m").per_second
    (30.0, 1.5)
    >>> parse_rate("100")
    Traceback (most recent call last):
        ...
    ValueError: needs a rate such as 30/s, 300/10s or 100/m
    """
    count, _, period = text.strip().partition("/")
    try:
        every = parse_duration(period if period[:1].isdigit() else f"1{period}")
    except ValueError:
        every = timedelta(0)
    if not _COUNT.fullmatch(count) or not 1 <= int(count) <= _MOST or not every:
        raise ValueError("needs a rate such as 30/s, 300/10s or 100/m")
    return Rate(int(count), every)
