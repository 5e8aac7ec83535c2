"""Sources: the address to paste, what came last, and why requests were refused."""

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Lists
from infra.ledger.lists import Filter
from ingest.console.visit import Frame, View, Visit
from ingest.diagnose import diagnose
from ingest.problems import SOURCE_UNKNOWN, Problem
from ingest.refusals import RefusedRequests
from ingest.sources import Sources
from ingest.views import diagnosis_view, listed_event_view

_MOST: Final = 100


class SourceList(View):
    """``/console/sources``.

    Args:
        public_url: where senders find us; None: only the path is known.
    """

    def __init__(self, frame: Frame, lists: Lists, sources: Sources, *, public_url: str | None) -> None:
        super().__init__(frame)
        self._lists = lists
        self._sources = sources
        self._public_url = public_url

    async def show(self, visit: Visit, _: Scope) -> Response:
        names = sorted(self._sources.by_name)
        pages = await asyncio.gather(*(self._lists.events(Filter(source=name), 1) for name in names[:_MOST]))
        last = {page.items[0].source: listed_event_view(page.items[0]) for page in pages if page.items}
        values = {
            "sources": [
                {
                    "name": source.name,
                    "provider": source.provider,
                    "covers": source.scheme.covers,
                    "queue": source.queue,
                    "secrets": len(source.secrets),
                    "needs_secret": source.scheme.needs_secret,
                    "address": f"{self._public_url or ''}/hooks/{source.name}",
                    "last": last.get(source.name),
                }
                for source in (self._sources.by_name[name] for name in names)
            ],
            "public_url": self._public_url,
        }
        return self._frame.page(visit, "sources.html", values)


class SourcePage(View):
    """``/console/sources/{name}``: why its last requests were refused. One question is looked into at a time."""

    def __init__(self, frame: Frame, refused: RefusedRequests, sources: Sources) -> None:
        super().__init__(frame)
        self._refused = refused
        self._sources = sources
        self._turn = asyncio.Lock()

    async def show(self, visit: Visit, scope: Scope) -> Response:
        source = self._sources.get(scope["path_params"]["name"])
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        async with self._turn:
            samples = await self._refused.of(source.name)
            found = await asyncio.to_thread(diagnose, samples, source, self._sources)
        values = {"source": source.name, "diagnoses": [diagnosis_view(each) for each in found]}
        return self._frame.page(visit, "source.html", values)
