"""Erasing what is known of some events, wherever it stands, before its time."""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from redis.asyncio import Redis

from infra.ids import EVENT, FILE, JOB, ids_in
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
_OWNER: Final = re.compile(rb"(?:evt|job)_[0-9A-Za-z]+")
_STEM: Final = re.compile(r"[0-9A-Za-z]+")
_TELL_OF_MANY: Final = (keys.LIVE, keys.FAILURES)


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
class Traces:
    """What there is of an event.

    Args:
        found: whether there is anything.
        jobs: its jobs; what files they made is not known here.
        uploads: the ids of the files that its body names.
    """

    found: bool
    jobs: frozenset[str]
    uploads: tuple[str, ...]


async def _at_leisure() -> None:
    """Nobody waits."""


class Erasing(Lists, Overview):
    """Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def events_of(self, subject: Subject) -> list[str]:
        """The ids of the events that the ledger holds of somebody."""
        found = await gather(self.events, Filter(source=subject.source, tag=subject.tag))
        return [event.id for event in found.items if subject.owns(event)]

    async def traces(self, event_id: str) -> Traces:
        """What there is of an event. Its jobs are those that its record names, and its first, whose id follows from its own."""
        name, first = keys.EVENT + plain(event_id), JOB + plain(event_id).removeprefix(EVENT)
        kept = [stem + first for stem in (keys.JOB, keys.RESULTS, keys.LOG, keys.STEPS)]
        body, names, there = await self._fetch(
            [("HGET", name, "body"), ("HKEYS", name), ("EXISTS", name, *kept)]
        )
        named = {text(field)[4:] for field in names or [] if field.startswith(b"job:")}
        return Traces(found=bool(there), jobs=frozenset({first, *named}), uploads=uploads_named(body or b""))

    async def erase(
        self, event_ids: Collection[str], *, between: Callable[[], Awaitable[None]] = _at_leisure
    ) -> dict[str, Traces]:
        """Remove all of some events: their records, their jobs in whatever state, their attempts, results, logs, steps and callbacks,
        what watchers may still read of them, and the samples of refused requests of their sources.

        What the archive and the store of files have is not touched.

        Args:
            between: called before each.

        Returns:
            What there was, by their ids.
        """
        found: dict[str, Traces] = {}
        for event_id in event_ids:
            await between()
            before = await self.traces(event_id)
            removed = {text(job_id) for job_id in await self._scripts.run("erase", event_id, 0)}
            found[event_id] = replace(before, found=before.found or bool(removed), jobs=before.jobs | removed)
        # From here on nothing more is told of them.
        owners = {id_: event_id for event_id, traces in found.items() for id_ in (event_id, *traces.jobs)}
        entries = await self._told_of(owners)
        aside, of_many = await self._set_aside(owners)
        for event_id, traces in found.items():
            await between()
            told, apart = entries[event_id], aside[event_id]
            await self._scripts.run("erase", event_id, len(told), *told, *apart, *of_many)
            found[event_id] = replace(traces, found=traces.found or bool(told or apart))
        return found

    async def _told_of(self, owners: Mapping[str, str]) -> dict[str, list[bytes]]:
        """The entries of the live stream that tell of some ids, by the events that own those."""
        found: dict[str, list[bytes]] = defaultdict(list)
        after = "-"
        while True:
            (entries,) = await self._fetch([("XRANGE", keys.LIVE, after, "+", "COUNT", _PAGE)])
            for entry_id, fields in entries or []:
                told = {text(id_) for value in mapping(fields).values() for id_ in _OWNER.findall(value)}
                for event_id in {owners[id_] for id_ in told & owners.keys()}:
                    found[event_id].append(entry_id)
            if not entries or len(entries) < int(_PAGE):
                return found
            after = f"({text(entries[-1][0])}"

    async def _set_aside(self, owners: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str]]:
        """The keys of the wrong kind that were moved away and may hold a part of it: by their events, and those that tell of many."""
        stems = {id_.partition("_")[2]: event_id for id_, event_id in owners.items()}
        found: dict[str, list[str]] = defaultdict(list)
        corrupt = await self.corrupt()
        for key in corrupt:
            for event_id in {stems[stem] for stem in set(_STEM.findall(key)) & stems.keys()}:
                found[event_id].append(key)
        return found, [key for key in corrupt if any(name in key for name in _TELL_OF_MANY)]


def uploads_named(body: bytes) -> tuple[str, ...]:
    """The ids of uploads in a body.

    >>> uploads_named(b'{"clip": "file_01k00000000000000000000000"}')
    ('file_01k00000000000000000000000',)
    """
    return ids_in(body, FILE)
