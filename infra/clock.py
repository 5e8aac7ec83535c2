"""Time is passed in, never taken: a test moves its own clock.

Leases and due times do not use this clock at all; the ledger's scripts ask Redis.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the code asks for the time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved.

    >>> clock = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))
    >>> clock.advance(timedelta(minutes=1))
    >>> clock.now().isoformat()
    '2026-11-21T00:01:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move forward, or back with a negative duration."""
        self._now += by


def unix_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970.

    >>> unix_milliseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    """
    return round(moment.timestamp() * 1000)


def from_unix_milliseconds(value: int) -> datetime:
    """The moment that many milliseconds after 1970, in UTC.

    >>> from_unix_milliseconds(1000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return datetime.fromtimestamp(value / 1000, UTC)


def rfc3339(moment: datetime) -> str:
    """The text that callbacks and the API carry: UTC, milliseconds, ``Z``.

    >>> rfc3339(datetime(2026, 11, 21, 20, 41, 11, 123456, tzinfo=UTC))
    '2026-11-21T20:41:11.123Z'
    """
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def wall_milliseconds() -> int:
    """Milliseconds since 1970 by the machine's clock, without building a datetime."""
    return time.time_ns() // 1_000_000
