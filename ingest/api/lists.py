"""``GET /jobs``, ``GET /events`` and ``GET /callbacks``: a page of what there is, the newest first, for a key that may read."""

from typing import Any, ClassVar, Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.ledger import Lists
from infra.ledger.lists import Page
from infra.ledger.records import CallbackStatus, JobStatus
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import ListQuery, list_query
from ingest.keys import Keys
from ingest.problems import INVALID, Problem
from ingest.replies import json_reply
from ingest.views import called_view, listed_event_view, listed_job_view, page_view

_PROVIDER_ID: Final = "provider_event_id"


class _List(Endpoint):
    """One list. Only records whose seals hold are shown."""

    methods = ("GET", "HEAD")
    statuses: ClassVar[type[JobStatus] | type[CallbackStatus]] = JobStatus
    besides: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, keys: Keys, lists: Lists, clock: Clock) -> None:
        self._keys = keys
        self._lists = lists
        self._clock = clock

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        query = list_query(scope, self.statuses, now=self._clock.now(), besides=self.besides)
        return json_reply(await self._page(query))

    async def _page(self, query: ListQuery) -> dict[str, Any]:
        raise NotImplementedError


class ListJobs(_List):
    """Jobs, without what is large."""

    async def _page(self, query: ListQuery) -> dict[str, Any]:
        return page_view(await self._lists.jobs(*query.page), listed_job_view)


class ListEvents(_List):
    """Events, without their headers and bodies; or the one that has an id with its sender."""

    besides = (_PROVIDER_ID,)

    async def _page(self, query: ListQuery) -> dict[str, Any]:
        if _PROVIDER_ID not in query.words:
            return page_view(await self._lists.events(*query.page), listed_event_view)
        if query.words.keys() != {_PROVIDER_ID, "source"}:
            raise Problem(INVALID, f"Goes with `source`, and with nothing else - at `{_PROVIDER_ID}`")
        known = await self._lists.known_events(query.words["source"], query.words[_PROVIDER_ID])
        return page_view(Page(known, None), listed_event_view)


class ListCallbacks(_List):
    """Callbacks, with their attempts."""

    statuses = CallbackStatus

    async def _page(self, query: ListQuery) -> dict[str, Any]:
        return page_view(await self._lists.callbacks(*query.page), called_view)
