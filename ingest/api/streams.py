"""``GET /jobs/{id}/stream`` and ``GET /stream``, ``WS /jobs/{id}/ws`` and ``WS /ws``: changes as they come."""

import logging
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.ids import JOB, is_id
from infra.ledger import LedgerError, Live
from infra.routes import Routes
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.connection import HANG_UP
from ingest.keys import Keys
from ingest.live import socket
from ingest.live.event_stream import EventStream
from ingest.live.hub import Hub
from ingest.live.streams import AllStream, JobStream, Stream
from ingest.live.watcher import Filter, Watcher
from ingest.problems import INVALID, NOT_FOUND, NOT_READABLE, Problem
from ingest.replies import text_reply

log = logging.getLogger(__name__)

_FILTERS: Final = ("source", "queue", "tag", "type")
_RESUME: Final = "last_event_id"  # for clients that can't set the header
_BEARER: Final = "hookline.bearer."

Open = Callable[[Scope], Awaitable[Stream]]


class Streams:
    """Opens streams, for who may watch.

    Everything here raises a `Problem` where it is refused, and `LedgerError` where Redis does not answer.
    """

    def __init__(self, *, keys: Keys, hub: Hub, live: Live, routes: Routes) -> None:
        self._keys = keys
        self._hub = hub
        self._live = live
        self._routes = routes

    async def of_job(self, scope: Scope) -> Stream:
        """The one of a job, for a key that may read, or for the bearer of the job's own link."""
        headers, query = Headers(scope["headers"]), query_of(scope)
        job_id, token = scope["path_params"]["id"], query.get("token")
        self._keys.may_read(job_id, _with_key(scope, headers), token)
        if not is_id(job_id, JOB):
            raise Problem(NOT_FOUND)
        stream = JobStream(
            self._hub,
            self._live,
            _watcher(scope, Filter()),
            job_id,
            routes=self._routes,
            operator=token is None,
        )
        await stream.open(_last_id(headers, query))
        return stream

    async def of_all(self, scope: Scope) -> Stream:
        """The one of all jobs, or of those with some source, queue, tag or type, for a key that may read."""
        headers = Headers(scope["headers"])
        self._keys.require(_with_key(scope, headers), "read")
        query = query_of(scope)
        for name in query:
            if name not in (*_FILTERS, _RESUME):
                raise Problem(INVALID, f"This stream takes {', '.join(_FILTERS)} - at `{name}`")
        wanted = {name: value for name, value in query.items() if name in _FILTERS}
        stream = AllStream(self._hub, self._live, _watcher(scope, Filter(**wanted)))
        await stream.open(_last_id(headers, query))
        return stream


class Events(Endpoint):
    """Such a stream as Server-Sent Events; 204, at which browsers come back no more, where nothing is left to tell."""

    methods = ("GET",)

    def __init__(self, open: Open) -> None:  # noqa: A002 - the word for it
        self._open = open

    async def answer(self, scope: Scope, _: Receive) -> Response:
        stream = await self._open(scope)
        if stream.over and not stream.first:
            stream.close()
            return text_reply("", 204)
        return EventStream(stream)


class Socket:
    """Such a stream over a WebSocket. Who may not watch is told so by a close code, for browsers see no other answer."""

    def __init__(self, open: Open) -> None:  # noqa: A002 - the word for it
        self._open = open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # that it wants to connect
        try:
            stream = await self._open(scope)
        except Problem as problem:
            log.info("refused: %s", problem.kind.code, extra={"path": scope["path"][:200]})
            code = socket.REFUSED if problem.kind.status < 500 else socket.LATER
            await socket.refuse(scope, send, code, problem.kind.code)
        except LedgerError:
            await socket.refuse(scope, send, socket.LATER, NOT_READABLE.code)
        else:
            await socket.tell(stream, scope, receive, send)


def _watcher(scope: Scope, takes: Filter) -> Watcher:
    return Watcher(takes, hang_up=scope.get("state", {}).get(HANG_UP, lambda: None))


def _last_id(headers: Headers, query: dict[str, str]) -> str | None:
    return headers.get("last-event-id") or query.get(_RESUME) or None


def _with_key(scope: Scope, headers: Headers) -> Headers:
    """The headers, with the key that a browser brings in the only one that it may set for a WebSocket."""
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(_BEARER):
            encoded = offered.removeprefix(_BEARER).encode()
            try:
                key = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)).decode()
            except ValueError:
                break
            return Headers.of({"Authorization": f"Bearer {key}"})
    return headers
