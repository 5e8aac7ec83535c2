"""Sources: the address to paste, what came last, how old the secrets are, and why requests were refused."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Lists, Refusals
from infra.ledger.lists import Filter
from ingest.api.query import query_of
from ingest.console.visit import Frame, View, Visit
from ingest.diagnose import diagnose
from ingest.problems import SOURCE_UNKNOWN, Problem
from ingest.refusals import RefusedRequests
from ingest.secrets_seen import OLD, SecretsSeen
from ingest.sources import Source, Sources
from ingest.views import diagnosis_view, listed_event_view

_MOST: Final = 100
_SHOWN: Final = 10  # events of a source


class _OfSources(View):
    """What the pages have in common.

    Args:
        public_url: where senders find us; None: only the path is known.
    """

    def __init__(
        self, frame: Frame, sources: Sources, lists: Lists, seen: SecretsSeen, *, public_url: str | None
    ) -> None:
        super().__init__(frame)
        self._sources = sources
        self._lists = lists
        self._seen = seen
        self._public_url = public_url

    def _facts(self, source: Source, first_seen: Sequence[datetime]) -> dict[str, Any]:
        """What a page tells of a source, whatever has come from it."""
        now = self._frame.clock.now()
        return {
            "name": source.name,
            "provider": source.provider,
            "covers": source.scheme.covers,
            "signs": source.scheme.summary,
            "queue": source.queue,
            "secrets": [{"since": since, "old": now - since > OLD} for since in first_seen],
            "needs_secret": source.scheme.needs_secret,
            "refuses_all": source.scheme.needs_secret and not source.secrets,
            "address": f"{self._public_url or ''}/hooks/{source.name}",
        }


class SourceList(_OfSources):
    """``/console/sources``."""

    def __init__(
        self,
        frame: Frame,
        sources: Sources,
        lists: Lists,
        seen: SecretsSeen,
        refusals: Refusals,
        *,
        public_url: str | None,
    ) -> None:
        super().__init__(frame, sources, lists, seen, public_url=public_url)
        self._refusals = refusals

    async def show(self, visit: Visit, _: Scope) -> Response:
        names = sorted(self._sources.by_name)
        looked_at = names[:_MOST]
        refused, first_seen = await asyncio.gather(self._refusals.counts(looked_at), self._seen.first_seen())
        pages = await asyncio.gather(*(self._lists.events(Filter(source=name), 1) for name in looked_at))
        last = {page.items[0].source: listed_event_view(page.items[0]) for page in pages if page.items}
        counts = dict(zip(looked_at, refused, strict=True))
        values = {
            "sources": [
                self._facts(self._sources.by_name[name], first_seen.get(name, ()))
                | {"last": last.get(name), "refused": counts.get(name)}
                for name in names
            ],
            "public_url": self._public_url,
        }
        return self._frame.page(visit, "sources.html", values)


class SourcePage(_OfSources):
    """``/console/sources/{name}``. Why its last requests were refused is looked into for one question at a time."""

    def __init__(
        self,
        frame: Frame,
        sources: Sources,
        lists: Lists,
        seen: SecretsSeen,
        refused: RefusedRequests,
        *,
        public_url: str | None,
    ) -> None:
        super().__init__(frame, sources, lists, seen, public_url=public_url)
        self._refused = refused
        self._turn = asyncio.Lock()

    async def show(self, visit: Visit, scope: Scope) -> Response:
        source = self._sources.get(scope["path_params"]["name"])
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        first_seen, page = await asyncio.gather(
            self._seen.first_seen(), self._lists.events(Filter(source=source.name), _SHOWN)
        )
        async with self._turn:
            samples = await self._refused.of(source.name)
            found = await asyncio.to_thread(diagnose, samples, source, self._sources)
        values = {
            "source": self._facts(source, first_seen[source.name]),
            "events": [listed_event_view(event) for event in page.items],
            "diagnoses": [diagnosis_view(each) for each in found],
            "public_url": self._public_url,
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "source.html", values)
