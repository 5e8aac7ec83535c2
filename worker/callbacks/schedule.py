"""What to do after one POST of a callback: a decision, by the receiver's answer and the schedule.

Nothing here reads a clock or draws a random number: the caller passes the time and adds the chance.
Source: CONTRACT, section 5.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from infra.ledger.records import CallbackStatus
from worker.callbacks.receivers import Result

SPREAD: Final = 0.2
_THROTTLING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_LONGEST: Final = timedelta(days=36_500)  # what is longer is that long: no step is
_SECONDS = re.compile(r"[0-9]{1,1000}", re.ASCII)
_DATE = re.compile(r"[A-Za-z0-9,: -]{16,40}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The receiver answered; `retry_after` is that header as it came."""

    status: int
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status // 100 == 2

    @property
    def result(self) -> Result:
        """What it says of the receiver."""
        if self.delivered:
            return Result.TAKEN
        return Result.THROTTLED if self.status == HTTPStatus.TOO_MANY_REQUESTS else Result.REFUSED

    def __str__(self) -> str:
        return f"the receiver answered {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """There was no answer, for a reason in words, and as far as the receiver has to do with it."""

    reason: str
    result: Result = Result.SILENT

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The guard did not let it out, for a reason in words."""

    reason: str
    result: Result = Result.UNSENT

    def __str__(self) -> str:
        return self.reason


Outcome = Answered | Unanswered | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where the callback stands now.

    Args:
        wait: until the next attempt, when it is ``pending``.
        exact: the receiver named the wait, so nothing is taken from it or added.
        reason: why it is ``blocked`` or ``dead``.
    """

    status: CallbackStatus
    wait: timedelta | None = None
    exact: bool = False
    reason: str | None = None


def decide(outcome: Outcome, *, attempt: int, now: datetime, schedule: tuple[timedelta, ...]) -> Decision:
    """Decide by what became of attempt number `attempt`, counted from 1.

    A schedule of 7 waits makes 8 attempts. Every status but 2xx and 410 is tried again, redirects too; so is a 400,
    which Make answers while its queue is full.

    >>> waits = (timedelta(seconds=5), timedelta(minutes=5))
    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> decide(Answered(status=500), attempt=2, now=noon, schedule=waits).wait
    datetime.timedelta(seconds=300)
    >>> decide(Answered(status=500), attempt=3, now=noon, schedule=waits).reason
    'given up after 3 attempts: the receiver answered 500'
    """
    if isinstance(outcome, Refused):
        return Decision(status=CallbackStatus.BLOCKED, reason=outcome.reason)
    if isinstance(outcome, Answered) and outcome.delivered:
        return Decision(status=CallbackStatus.DELIVERED)
    if isinstance(outcome, Answered) and outcome.status == HTTPStatus.GONE:
        return Decision(status=CallbackStatus.DEAD, reason="the receiver answered 410: it wants no more")
    if attempt > len(schedule):
        return Decision(status=CallbackStatus.DEAD, reason=f"given up after {attempt} attempts: {outcome}")
    wait = schedule[attempt - 1]
    if isinstance(outcome, Answered) and outcome.status in _THROTTLING and outcome.retry_after is not None:
        asked = read_retry_after(outcome.retry_after, now=now)
        if asked is not None:
            return Decision(status=CallbackStatus.PENDING, wait=min(max(asked, wait), 2 * wait), exact=True)
    return Decision(status=CallbackStatus.PENDING, wait=wait)


def spread(wait: timedelta, chance: float) -> timedelta:
    """The wait, 20 % shorter to 20 % longer, by a chance from 0 to 1.

    >>> [spread(timedelta(seconds=10), chance).total_seconds() for chance in (0.0, 0.5, 1.0)]
    [8.0, 10.0, 12.0]
    """
    return wait * (1 - SPREAD + 2 * SPREAD * chance)


def read_retry_after(value: str, *, now: datetime) -> timedelta | None:
    """The wait that a ``Retry-After`` header asks for, or None if it makes no sense. It may be below zero, and is a hundred years at the most.

    Source: RFC 9110, section 10.2.3: seconds, or a date.

    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> read_retry_after("90", now=noon)
    datetime.timedelta(seconds=90)
    >>> read_retry_after("Sat, 21 Nov 2026 12:01:00 GMT", now=noon)
    datetime.timedelta(seconds=60)
    >>> [read_retry_after(value, now=noon) for value in ("-1", "abc", "1e309")]
    [None, None, None]
    >>> read_retry_after("9" * 100, now=noon).days
    36500
    """
    if _SECONDS.fullmatch(value):
        asked = timedelta(seconds=min(int(value), int(_LONGEST.total_seconds())))
    elif _DATE.fullmatch(value):
        try:
            date = parsedate_to_datetime(value)
            asked = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    else:
        return None
    return min(asked, _LONGEST)
