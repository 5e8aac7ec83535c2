"""Small numbers and moments in words, for whoever reads what Hookline found."""

from datetime import datetime, timedelta
from typing import Final

_UNITS: Final = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
)


def length(duration: timedelta) -> str:
    """A duration, in the largest unit that fits.

    >>> length(timedelta(hours=30)), length(timedelta(milliseconds=3))
    ('1 d', '0 s')
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if duration >= unit), _UNITS[-1])
    return f"{duration // unit} {name}"


def relative(moment: datetime | None, now: datetime) -> str:
    """How long ago, or until when, in the largest unit that fits; nothing for None.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
    >>> relative(now - timedelta(seconds=95), now), relative(now + timedelta(hours=30), now), relative(now, now)
    ('1 min ago', 'in 1 d', 'now')
    """
    if moment is None:
        return ""
    away = abs(now - moment)
    if away < _UNITS[-1][0]:
        return "now"
    return f"{length(away)} ago" if moment < now else f"in {length(away)}"


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "job"), counted(1200, "job")
    ('1 job', '1,200 jobs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
