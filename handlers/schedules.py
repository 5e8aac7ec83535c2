"""When a recurring handler is due. Pure: the moment is passed in, and every worker gets the same answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

from handlers.errors import LONGEST_WAIT
from infra.durations import as_duration

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST: Final = timedelta(seconds=1)
_BY_CHANCE: Final = re.compile(r"(?<![a-z])[hr](?![a-z])", re.ASCII | re.IGNORECASE)  # croniter's H and R


class Schedule(Protocol):
    """Moments, one after the other, in UTC."""

    @property
    def text(self) -> str:
        """How it was written, such as ``every 15m``."""

    def latest_due(self, now: datetime) -> datetime:
        """The last moment that is not after now."""

    def next_due(self, now: datetime) -> datetime:
        """The first moment after now."""


@dataclass(frozen=True, slots=True)
class Every:
    """The multiples of an interval since 1970, in UTC.

    >>> Every.of("15m").next_due(datetime(2026, 11, 21, 20, 41, tzinfo=UTC)).isoformat()
    '2026-11-21T20:45:00+00:00'
    """

    interval: timedelta
    text: str

    @classmethod
    def of(cls, interval: Any) -> "Every":
        """Read an interval.

        Raises:
            ValueError: it is none, or shorter than a second, or longer than a year.
        """
        if not isinstance(interval, str | timedelta):
            raise ValueError("not a duration: write it as '15m' or as a timedelta")  # noqa: TRY004 - one kind of fault
        length = as_duration(interval)
        if not _SHORTEST <= length <= LONGEST_WAIT:
            raise ValueError("must be at least 1s and at most 365d")
        shown = interval.strip() if isinstance(interval, str) else f"{length.total_seconds():g}s"
        return cls(length, f"every {shown}")

    def latest_due(self, now: datetime) -> datetime:
        return now - (now - _EPOCH) % self.interval

    def next_due(self, now: datetime) -> datetime:
        return self.latest_due(now) + self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes that a cron expression of five fields names, on the clocks of a time zone.

    A time that the clocks skip is due when they have jumped. A time that they repeat is due once, the first time; but where
    the hour is ``*``, each time.

    >>> cron = Cron.of("0 7 * * mon-fri", "Europe/Berlin")
    >>> cron.next_due(datetime(2026, 11, 21, 20, 41, tzinfo=UTC)).isoformat()
    '2026-11-23T06:00:00+00:00'
    """

    expression: str
    zone: ZoneInfo

    @classmethod
    def of(cls, expression: Any, timezone: Any) -> "Cron":
        """Read an expression.

        Raises:
            ValueError: it is none, or no day is such a day, or there is no such time zone.
        """
        if not isinstance(expression, str) or len(expression.split()) != 5 or _BY_CHANCE.search(expression):
            raise ValueError("needs five fields: minute, hour, day, month and weekday")
        try:
            cron = cls(" ".join(expression.split()), ZoneInfo(timezone))
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ValueError(f"there is no time zone {timezone!r}") from None
        cron.next_due(_EPOCH)
        return cron

    @property
    def text(self) -> str:
        return f"cron {self.expression} {self.zone.key}"

    def latest_due(self, now: datetime) -> datetime:
        minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        return next(self._moments(minute, back=True))

    def next_due(self, now: datetime) -> datetime:
        return next(self._moments(now, back=False))

    def _moments(self, start: datetime, *, back: bool) -> Iterator[datetime]:
        """Those after the start, or before it, the nearest first."""
        moments = croniter(self.expression, start.astimezone(self.zone))
        every_hour = self.expression.split()[1].startswith("*")
        while True:
            local: datetime = moments.get_prev(datetime) if back else moments.get_next(datetime)
            if every_hour or not _repeated(local):
                yield local.astimezone(UTC)


def _repeated(local: datetime) -> bool:
    """Whether the clocks showed this time before, an hour ago."""
    return local.utcoffset() != local.replace(fold=0).utcoffset()
