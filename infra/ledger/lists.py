"""Lists of jobs, events and callbacks: a page at a time, newest first, narrowed as asked for.

A page costs the same whatever else is kept: ``list.lua`` walks the narrowest index from where the page before ended, and looks
at `SEARCHED` records at the most. So a page may be short, or empty, though there are more; then it says where to go on.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from infra.clock import unix_milliseconds
from infra.ids import EVENT, JOB
from infra.ledger import keys
from infra.ledger.kept import status_of
from infra.ledger.parsing import text
from infra.ledger.reading import Reading, told_of
from infra.ledger.records import CallbackStatus, EventSummary, JobRecord, JobStatus
from infra.ledger.wire import plain, seen_key, unsealed

MOST_ON_A_PAGE: Final = 100
SEARCHED: Final = 1_000

_CURSOR: Final = re.compile(
    r"(time|kind|status)\.([0-9]{1,15}(?:\.[0-9]{1,9})?)\.([A-Za-z0-9_:.-]{0,128})", re.ASCII
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list is narrowed to; None: any.

    Args:
        status: of the job; of an event's newest job; of the callback.
        since, until: when it was made: not before the one, and before the other.
    """

    status: JobStatus | CallbackStatus | None = None
    source: str | None = None
    type: str | None = None
    queue: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_ANY: Final = Filter()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended; its text is what callers get as a cursor.

    Args:
        walk: the kind of index, as ``list.lua`` names it.

    >>> str(Place("time", "1795293671123", "job_1")), Place.read("time.1795293671123.job_1"), Place.read("nonsense")
    ('time.1795293671123.job_1', Place(walk='time', score='1795293671123', member='job_1'), None)
    """

    walk: str
    score: str
    member: str

    def __str__(self) -> str:
        return f"{self.walk}.{self.score}.{self.member}"

    @classmethod
    def read(cls, cursor: str) -> "Place | None":
        """The place that a cursor names, or None where it names none."""
        known = _CURSOR.fullmatch(cursor)
        return None if known is None else cls(known[1], known[2], known[3])

    def is_on_the_way_of(self, wanted: Filter) -> bool:
        """Whether a list that is narrowed like that may come by here."""
        needed = {"kind": (wanted.source, wanted.type), "status": (wanted.status,)}.get(self.walk)
        return needed is None or any(needed)


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """A part of a list, and where the next one begins; None: there is no more."""

    items: list[_T]
    next: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvent(EventSummary):
    """An event on a list.

    Args:
        status: of its newest job.
    """

    status: JobStatus


async def gather(
    read: "Callable[[Filter, int, Place | None], Awaitable[Page[_T]]]",
    wanted: Filter = _ANY,
    limit: int | None = None,
    after: Place | None = None,
    *,
    pages: int | None = None,
) -> Page[_T]:
    """Page after page of a list as one: up to `limit` items, or all of them.

    Args:
        read: a method of `Lists`.
        pages: at most so many of them are read, however few items they have; None: as many as it takes.
    """
    found: list[_T] = []
    read_yet = 0
    while (limit is None or len(found) < limit) and (pages is None or read_yet < pages):
        left = MOST_ON_A_PAGE if limit is None else min(MOST_ON_A_PAGE, limit - len(found))
        page = await read(wanted, left, after)
        read_yet += 1
        found += page.items
        after = page.next
        if after is None:
            break
    return Page(found, after)


class Lists(Reading):
    """The lists. Everything here raises `LedgerError` where Redis does not answer."""

    async def jobs(
        self, wanted: Filter = _ANY, limit: int = 50, after: Place | None = None
    ) -> Page[JobRecord]:
        """Jobs as `Reading.jobs_of` gives them when they are to be lean: by creation, or by when they reached the status."""
        ids, place = await self._page("jobs", wanted, limit, after)
        found = await self.jobs_of(ids, lean=True)
        return Page([job for job in found if job is not None], place)

    async def callbacks(
        self, wanted: Filter = _ANY, limit: int = 50, after: Place | None = None
    ) -> Page[JobRecord]:
        """The jobs of callbacks, likewise."""
        ids, place = await self._page("callbacks", wanted, limit, after)
        return Page([job for job in await self.called(ids, lean=True) if job is not None], place)

    async def known_events(self, source: str, provider_event_id: str) -> list[ListedEvent]:
        """The event that has this id with its sender, as long as that is remembered for deduplication."""
        (event_id,) = await self._fetch([("GET", keys.SEEN + seen_key(source, provider_event_id))])
        found = [] if event_id is None else await self._listed([JOB + text(event_id).removeprefix(EVENT)])
        return [
            event for event in found if (event.source, event.provider_event_id) == (source, provider_event_id)
        ]

    async def events(
        self, wanted: Filter = _ANY, limit: int = 50, after: Place | None = None
    ) -> Page[ListedEvent]:
        """Events without their bodies, by when they were received."""
        ids, place = await self._page("events", wanted, limit, after)
        return Page(await self._listed(ids), place)

    async def _page(
        self, what: str, wanted: Filter, limit: int, after: Place | None
    ) -> tuple[list[str], Place | None]:
        """The ids on a page."""
        since, until = (
            None if moment is None else unix_milliseconds(moment) for moment in (wanted.since, wanted.until)
        )
        asked = (wanted.status, wanted.queue, wanted.source, wanted.type, wanted.tag, since, until)
        place = ("", "", "") if after is None else (after.walk, after.score, after.member)
        walk, score, member, *found = await self._scripts.run(
            "list", what, limit, SEARCHED, *place, *("" if one is None else one for one in asked)
        )
        return [text(one) for one in found], Place(text(walk), text(score), text(member)) if walk else None

    async def _listed(self, job_ids: Sequence[str]) -> list[ListedEvent]:
        """The events of some jobs, as far as their seals hold."""
        found = []
        replies = await self._scripts.run("heads", *map(plain, job_ids)) if job_ids else []
        for job_id, reply in zip(job_ids, replies, strict=True):
            event_id, head, birth, duplicates, differing, size, status, outcome, *jobs = reply or [b""] * 8
            story = unsealed(self._seal, job_id, text(event_id), head, birth)
            if story is not None:
                told = told_of(
                    text(event_id), story, [text(one) for one in jobs], (duplicates, differing), size=size
                )
                found.append(ListedEvent(**told, status=status_of(status, outcome)))
        return found
