"""What differs from the usual: a type of event that stopped coming, a queue that grows, a place in the code that fails.

All of it reads numbers that the worker whose turn it is keeps in the ledger (`worker.alerts`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from infra.findings.finding import Finding, Severity, warning
from infra.ledger.troubles import FailureGroup, Trouble
from infra.words import counted

HOURS_KEPT: Final = 14 * 24
HOURS_LOOKED_BACK: Final = 24  # where nobody looked for a while
LOOKS_KEPT: Final = 10

_DAY: Final = 24
_WEEK: Final = 7
_DEEP: Final = 100
_KIND, _QUEUE = "kind:", "queue:"
_OVER_TIME: Final = ("silence", "queue-grows", "failing")


def is_silent(hours: Sequence[int]) -> bool:
    """Whether what usually comes at this time has stopped coming.

    The silence, without its last hour and the present one, is compared with the same hours of each of the last seven days. Something must
    have come on the same day of the week, and either on five of the seven days and 35 times in all, or, where nothing has come for 30
    hours, on every one. So nights and weekends are no silence, and neither is what comes once in a while.

    Args:
        hours: how much came in each, the present one first.

    >>> day = [0] * 12 + [6] * 12  # comes in the morning
    >>> is_silent(day * 8), is_silent([0] * 24 + day * 8)
    (False, True)
    """
    quiet = next((place for place, count in enumerate(hours) if count), len(hours))
    days = [sum(hours[day * _DAY + 2 : day * _DAY + quiet]) for day in range(1, _WEEK + 1)]
    busy = sum(count > 0 for count in days)
    return days[-1] > 0 and ((busy >= 5 and sum(days) >= 35) or (quiet >= 30 and busy == _WEEK))


def is_growing(depths: Sequence[int]) -> bool:
    """Whether a queue grew from look to look, and by a fifth in all.

    Args:
        depths: at each look, the last one first.

    >>> is_growing(range(120, 20, -10)), is_growing([120] * 10), is_growing([9000] * 3)
    (True, False, False)
    """
    return (
        len(depths) >= LOOKS_KEPT
        and depths[0] >= _DEEP
        and depths[0] >= 1.2 * depths[-1]
        and all(newer >= older for newer, older in pairwise(depths))
    )


def hours_to_count(before: Sequence[int], hour: int) -> list[int]:
    """The hours whose counts are not known, or were not over at the last look; the present one first.

    Args:
        before: what was remembered of a kind: an hour since 1970, and how much came in it and in each before.

    >>> hours_to_count([10, 1, 5, 5], 12), len(hours_to_count([], 12))
    ([12, 11, 10], 24)
    """
    since = max(before[0], hour - HOURS_LOOKED_BACK + 1) if before else hour - HOURS_LOOKED_BACK + 1
    return list(range(hour, since - 1, -1))


def counted_on(before: Sequence[int], hour: int, counts: Sequence[int]) -> list[int]:
    """What is remembered of a kind after another look. Hours in which nobody could look count as empty.

    >>> counted_on([10, 1, 5, 5], 12, [0, 2, 3])
    [12, 0, 2, 3, 5, 5]
    """
    missed = max(0, hour - before[0] + 1 - len(counts)) if before else 0
    known = before[2:] if not missed else before[1:]
    return [hour, *counts, *[0] * (missed - 1), *known][: 1 + HOURS_KEPT]


def of_history(history: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    """What stopped coming, and what grows.

    Args:
        history: as `docs/ledger.md` tells of ``hookline:history``.
    """
    for name, numbers in sorted(history.items()):
        if name.startswith(_KIND) and is_silent(numbers[1:]):
            source, _, type_ = name.removeprefix(_KIND).partition(":")
            yield warning(
                "silence",
                f"no {type_} has come from {source} for some hours",
                subject=f"{source}:{type_}",
                why="on the days before, it came at this time",
                cure=f"ask the sender; `GET /sources/{source}/diagnose` tells whether it was refused",
            )
        elif name.startswith(_QUEUE) and is_growing(numbers):
            queue = name.removeprefix(_QUEUE)
            yield warning(
                "queue-grows",
                f"queue {queue} grows: {counted(numbers[0], 'job')} wait",
                subject=queue,
                why="more comes in than is run",
                cure="start more workers, or raise HOOKLINE_CONCURRENCY",
            )


def of_failures(groups: Sequence[FailureGroup], now: datetime) -> Iterator[Finding]:
    """Places in the code at which jobs were given up within the last hour."""
    for group in groups:
        if group.given_up_at is not None and now - group.given_up_at < timedelta(hours=1):
            where = f" at {group.place}" if group.place else ""
            yield warning(
                "failing",
                f"{group.handler} fails{where} with {group.type}",
                subject=group.id,
                why=f"{counted(group.given_up, 'job')} given up there, the last {group.job_id}",
                cure="`hookline jobs show` has its traceback; once it is mended, `hookline jobs retry` runs it again",
            )


def facts_of(finding: Finding) -> dict[str, str]:
    """A finding as the ledger keeps it."""
    names = ("severity", "code", "subject", "what", "why", "cure")
    return {name: str(getattr(finding, name)) for name in names}


def of_troubles(troubles: Sequence[Trouble]) -> Iterator[Finding]:
    """What the rules of this module found at the last look: they need more than what stands in Redis at one moment."""
    for trouble in troubles:
        if trouble.facts.get("code") in _OVER_TIME:
            with suppress(KeyError, TypeError, ValueError):  # a record that is mangled
                yield Finding(**{**trouble.facts, "severity": Severity(trouble.facts["severity"])})  # type: ignore[arg-type]
