"""``GET /console/live``: that something has changed, at most once a second, and not what: a page that hears it looks again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ids import JOB, is_id
from infra.ledger import Live
from infra.ledger.live import About
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.connection import HANG_UP
from ingest.live.event_stream import EventStream
from ingest.live.hub import Hub
from ingest.live.messages import Message
from ingest.live.streams import AllStream
from ingest.live.watcher import Filter, Sign, Watcher
from ingest.problems import NOT_FOUND, Problem

_EVERY: Final = 1.0  # seconds between two signs
_LASTS: Final = 300.0  # then the browser comes again, and whoever was signed out meanwhile is not let in


class Bell(Watcher):
    """Remembers that something happened, however much it was; nothing more is made for one that has not looked yet."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Filter(), **options)
        self.takes = self._has_not_rung

    def _has_not_rung(self, about: About) -> bool:  # noqa: ARG002 - whatever changed
        return not any(isinstance(one, Message) for one in self._waiting)


class Changes(AllStream):
    """That one job, or any, has changed.

    Args:
        every: in seconds; so often at the most.
        lasts: in seconds; then it is over.
    """

    verbatim = False

    def __init__(
        self,
        hub: Hub,
        live: Live,
        bell: Bell,
        job_id: str | None,
        *,
        every: float = _EVERY,
        lasts: float = _LASTS,
    ) -> None:
        super().__init__(hub, live, bell, job_id)
        self._every = every
        self._lasts = lasts

    async def batches(self) -> AsyncIterator[list[Message]]:
        clock = asyncio.get_running_loop().time
        ends = clock() + self._lasts
        while clock() < ends and (waiting := await self.watcher.next()):
            if all(one is Sign.BEAT for one in waiting):
                yield []
            else:
                yield [Message(self.position, "change", {})]
                await asyncio.sleep(self._every)


class WatchChanges(Endpoint):
    """``GET /console/live``, of everything or of one ``job``."""

    methods = ("GET",)

    def __init__(self, hub: Hub, live: Live) -> None:
        self._hub = hub
        self._live = live

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        job_id = query_of(scope).get("job")
        if job_id is not None and not is_id(job_id, JOB):
            raise Problem(NOT_FOUND)
        hang_up = scope.get("state", {}).get(HANG_UP, lambda: None)
        stream = Changes(self._hub, self._live, Bell(hang_up=hang_up), job_id)
        await stream.open(None)
        return EventStream(stream)
