"""What a list is narrowed to, as words: of an address, of the command line, of a JSON body.

HooklineError
└── FilterError (ValueError)   a word can't be understood; says what is wrong, and which
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from infra.durations import parse_duration
from infra.errors import HooklineError
from infra.ledger.lists import Filter
from infra.ledger.records import CallbackStatus, JobStatus

FILTERS: Final = ("status", "source", "type", "queue", "tag", "since", "until")

_LONGEST: Final = 200


class FilterError(HooklineError, ValueError):
    """A word can't be understood.

    Args:
        name: of the filter.
    """

    def __init__(self, words: str, name: str) -> None:
        super().__init__(f"{words} - at `{name}`")


def read_filter(
    words: Mapping[str, str], statuses: type[JobStatus] | type[CallbackStatus], *, now: datetime
) -> Filter:
    """What is wanted; names beside `FILTERS` are passed over.

    Args:
        statuses: those that there are.

    Raises:
        FilterError: with the first fault.

    >>> now = datetime(2026, 11, 21, 20, tzinfo=UTC)
    >>> read_filter({"status": "failed", "since": "2h"}, JobStatus, now=now).since.isoformat()
    '2026-11-21T18:00:00+00:00'
    >>> read_filter({"status": "lost"}, CallbackStatus, now=now)
    Traceback (most recent call last):
        ...
    infra.filters.FilterError: Needs one of pending, delivered, blocked, dead - at `status`
    """
    for name in FILTERS:
        if name in words and not 0 < len(words[name]) <= _LONGEST:
            raise FilterError(f"Needs 1 to {_LONGEST} characters", name)
    return Filter(
        status=_status(words["status"], statuses) if "status" in words else None,
        source=words.get("source"),
        type=words.get("type"),
        queue=words.get("queue"),
        tag=words.get("tag"),
        since=_moment("since", words["since"], now) if "since" in words else None,
        until=_moment("until", words["until"], now) if "until" in words else None,
    )


def _status(text: str, statuses: type[JobStatus] | type[CallbackStatus]) -> JobStatus | CallbackStatus:
    try:
        return statuses(text)
    except ValueError:
        raise FilterError(f"Needs one of {', '.join(statuses)}", "status") from None


def _moment(name: str, text: str, now: datetime) -> datetime:
    """A time, or how long ago it was."""
    try:
        if text[:1].isdigit() and text[-1:].isalpha() and text[-1:] not in "Zz":
            return now - parse_duration(text)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise FilterError("Needs a time such as 2026-11-21T20:00:00Z, or how long ago, such as 2h", name)
