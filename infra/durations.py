"""Durations as people write them: ``250ms``, ``15s``, ``5m``, ``2h``, ``7d``."""

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_WORDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_PATTERN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read one duration.

    Raises:
        ValueError: the text is not a number followed by ms, s, m, h or d.

    >>> parse_duration("1.5h")
    datetime.timedelta(seconds=5400)
    >>> parse_duration("15")
    Traceback (most recent call last):
        ...
    ValueError: not a duration: write a number and a unit, such as 250ms, 15s, 5m, 2h or 7d
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a duration: write a number and a unit, such as 250ms, 15s, 5m, 2h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def parse_durations(text: str) -> tuple[timedelta, ...]:
    """Read a comma-separated list, at least one.

    >>> [wait.total_seconds() for wait in parse_durations("15s,30s,1m")]
    [15.0, 30.0, 60.0]
    """
    return tuple(parse_duration(part) for part in text.split(","))


def as_duration(value: timedelta | str) -> timedelta:
    """Take a duration either way; arguments of the author API accept both.

    >>> as_duration("2m") == as_duration(timedelta(minutes=2))
    True
    """
    return value if isinstance(value, timedelta) else parse_duration(value)


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds, which is how Redis counts.

    >>> milliseconds(timedelta(seconds=1.5))
    1500
    """
    return round(duration / timedelta(milliseconds=1))


def in_words(duration: timedelta) -> str:
    """A duration for people: its two largest units.

    >>> [in_words(timedelta(seconds=seconds)) for seconds in (0.0123, 7.26, 75, 7260, 200_000)]
    ['12 ms', '7.3 s', '1 min 15 s', '2 h 1 min', '2 d 7 h']
    """
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{round(max(seconds, 0) * 1000)} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    parts: list[str] = []
    for unit, size in _WORDS:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))
