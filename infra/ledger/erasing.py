"""Erasing what is known of one event, wherever it stands, before its time."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from infra.ids import EVENT, JOB
from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.lists import Filter, Lists, gather
from infra.ledger.overview import Overview
from infra.ledger.parsing import text
from infra.ledger.records import EventSummary
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import plain

_PAGE: Final = "500"  # entries of the live stream
_UPLOAD: Final = re.compile(rb"file_[0-9a-hjkmnp-tv-z]{26}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose events are to be erased: all that are given must fit an event.

    Args:
        tag: of the events.
        source: theirs.
        key: what their provider calls them, or what jobs wait for them by; of one source.
    """

    tag: str | None = None
    source: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.tag is None and (self.source is None or self.key is None):
            raise ValueError("a subject is a tag, or a source and a key")

    def owns(self, event: EventSummary) -> bool:
        """Whether an event is one of theirs."""
        return (
            self.tag in (None, event.tag)
            and self.source in (None, event.source)
            and self.key in (None, event.provider_event_id, event.wait_key)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased.

    Args:
        found: whether there was anything.
        jobs: its jobs; what files they made is not known here.
        uploads: the ids of the files that its body names.
    """

    event_id: str
    found: bool
    jobs: tuple[str, ...]
    uploads: tuple[str, ...]


class Erasing(Lists, Overview):
    """Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def events_of(self, subject: Subject) -> list[str]:
        """The ids of the events that the ledger holds of somebody."""
        found = await gather(self.events, Filter(source=subject.source, tag=subject.tag))
        return [event.id for event in found.items if subject.owns(event)]

    async def erase(self, event_id: str) -> Erased:
        """Remove all of an event: its record, its jobs in whatever state, their attempts, results, logs, steps and callbacks, what
        watchers may still read of them, and the samples of refused requests of its source.

        What the archive and the store of files have is not touched.
        """
        (kept,) = await self._fetch([("HMGET", keys.EVENT + plain(event_id), "body")])
        uploads = uploads_named((kept or [None])[0] or b"")
        known = await self._jobs_made_of(event_id)
        removed = set(map(text, await self._scripts.run("erase", event_id, 0)))
        jobs = {*known, *removed}
        # From here on nothing more is told of them.
        entries, aside = await self._told_of({event_id, *jobs}), await self._set_aside({event_id, *jobs})
        await self._scripts.run("erase", event_id, len(entries), *entries, *aside)
        return Erased(
            event_id=event_id,
            found=bool(removed or entries or aside),
            jobs=tuple(sorted(jobs)),
            uploads=uploads,
        )

    async def _jobs_made_of(self, event_id: str) -> list[str]:
        """Those that its record names, and its first, whose id follows from its own."""
        (names,) = await self._fetch([("HKEYS", keys.EVENT + plain(event_id))])
        named = [text(name)[4:] for name in names or [] if name.startswith(b"job:")]
        return [JOB + event_id.removeprefix(EVENT), *named]

    async def _told_of(self, ids: Collection[str]) -> list[bytes]:
        """The entries of the live stream that tell of any of these."""
        wanted = [id_.encode() for id_ in ids]
        found: list[bytes] = []
        after = "-"
        while True:
            (entries,) = await self._fetch([("XRANGE", keys.LIVE, after, "+", "COUNT", _PAGE)])
            for entry_id, fields in entries or []:
                if any(id_ in value for value in mapping(fields).values() for id_ in wanted):
                    found.append(entry_id)
            if not entries or len(entries) < int(_PAGE):
                return found
            after = f"({text(entries[-1][0])}"

    async def _set_aside(self, ids: Collection[str]) -> list[str]:
        """The keys of the wrong kind that were moved away and may hold a part of it."""
        stems = [id_.partition("_")[2] for id_ in ids]
        return [
            key
            for key in await self.corrupt()
            if any(stem in key for stem in (*stems, keys.LIVE, keys.FAILURES))
        ]


def uploads_named(body: bytes) -> tuple[str, ...]:
    """The ids of uploads in a body.

    >>> uploads_named(b'{"clip": "file_01k00000000000000000000000"}')
    ('file_01k00000000000000000000000',)
    """
    return tuple(sorted({text(name) for name in _UPLOAD.findall(body)}))
