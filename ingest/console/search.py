"""``/console/search``: an id leads straight there; anything else is looked for where looking is bounded."""

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ids import CALLBACK, EVENT, JOB, RECEIVER, REPLAY, is_id
from infra.ledger import Lists, Reading
from infra.ledger.lists import Filter, ListedEvent, gather
from ingest.api.query import query_of
from ingest.console.visit import Frame, View, Visit, see
from ingest.sources import Sources
from ingest.views import listed_event_view

LOOKED_AT: Final = 200  # events whose text is searched
LARGEST: Final = 32 * 1024  # bytes of them

_MOST_SOURCES: Final = 100
_MOST_FOUND: Final = 50
_TOGETHER: Final = 50
_LONGEST: Final = 200
_PAGES: Final = {
    EVENT: "/console/events/",
    JOB: "/console/jobs/",
    CALLBACK: "/console/callbacks/",
    RECEIVER: "/console/receivers/",
    REPLAY: "/console/replays/",
}


class Search(View):
    """Looks for what somebody typed."""

    def __init__(self, frame: Frame, lists: Lists, reading: Reading, sources: Sources) -> None:
        super().__init__(frame)
        self._lists = lists
        self._reading = reading
        self._sources = sources

    async def show(self, visit: Visit, scope: Scope) -> Response:
        asked = query_of(scope).get("q", "").strip()[:_LONGEST]
        for prefix, path in _PAGES.items():
            if is_id(asked.lower(), prefix):
                return see(path + asked.lower())
        found = await self._found(asked, in_text=visit.session.person.sees_payloads) if asked else []
        values = {
            "asked": asked,
            "events": [(by, listed_event_view(event)) for by, event in found],
            "looked_at": LOOKED_AT,
        }
        return self._frame.page(visit, "search.html", values)

    async def _found(self, asked: str, *, in_text: bool) -> list[tuple[str, ListedEvent]]:
        """Each event once, by the best of its reasons."""
        names = list(self._sources.by_name)[:_MOST_SOURCES]
        known = await asyncio.gather(*(self._lists.known_events(name, asked) for name in names))
        found = [("sender's id", event) for events in known for event in events]
        filters = {"type": Filter(type=asked), "source": Filter(source=asked), "tag": Filter(tag=asked)}
        for by, wanted in filters.items():
            found += [(by, event) for event in (await self._lists.events(wanted, _MOST_FOUND)).items]
        if in_text:
            found += [("text", event) for event in await self._with_text(asked)]
        once = {event.id: (by, event) for by, event in reversed(found)}
        return list(once.values())[::-1][:_MOST_FOUND]

    async def _with_text(self, asked: str) -> list[ListedEvent]:
        newest = (await gather(self._lists.events, limit=LOOKED_AT)).items
        small = [event for event in newest if event.size <= LARGEST]
        needle, found = asked.casefold(), list[ListedEvent]()
        for first in range(0, len(small), _TOGETHER):
            some = small[first : first + _TOGETHER]
            bodies = await self._reading.bodies([event.id for event in some])
            found += [
                event
                for event, body in zip(some, bodies, strict=True)
                if needle in body.decode("utf-8", "replace").casefold()
            ]
        return found
