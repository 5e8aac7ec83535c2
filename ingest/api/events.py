"""``GET /events/{id}``, its raw body, and all of it as one signed file; each for a key that may read."""

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.exports import Exports
from infra.ids import EVENT, is_id
from infra.ledger import Histories
from infra.ledger.histories import History
from infra.ledger.records import EventRecord
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.exported import exported
from ingest.keys import Keys
from ingest.problems import INVALID, NOT_FOUND, Problem
from ingest.replies import attached_reply, json_reply
from ingest.sources import Sources
from ingest.timeline import timeline
from ingest.views import event_view


class ReadEvent(Endpoint):
    """``GET /events/{id}``: the event, its headers without secrets, its body, and what became of it as one timeline."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, histories: Histories, sources: Sources) -> None:
        self._keys = keys
        self._histories = histories
        self._sources = sources

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        history = await _history(scope, self._histories)
        source = self._sources.get(history.event.source)
        return json_reply(event_view(history.event) | {"timeline": timeline(history, source)})


class ReadEventBody(Endpoint):
    """``GET /events/{id}/body``: the raw bytes, which no browser will show or run."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, histories: Histories) -> None:
        self._keys = keys
        self._histories = histories

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        event = await _event(scope, self._histories)
        return attached_reply(event.body, f"{event.id}.bin")


class ExportEvent(Endpoint):
    """``GET /events/{id}/export``: the event, its jobs and its timeline as one signed JSON file; ``?body=false`` leaves the body out."""

    methods = ("GET", "HEAD")

    def __init__(
        self, *, keys: Keys, histories: Histories, sources: Sources, exports: Exports, clock: Clock
    ) -> None:
        self._keys = keys
        self._histories = histories
        self._sources = sources
        self._exports = exports
        self._clock = clock

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        wants_body = query_of(scope).get("body", "true")
        if wants_body not in ("true", "false"):
            raise Problem(INVALID, "Needs true or false - at `body`")
        history = await _history(scope, self._histories)
        document = exported(
            history,
            self._sources.get(history.event.source),
            with_body=wants_body == "true",
            now=self._clock.now(),
        )
        name = f'attachment; filename="{history.event.id}.json"'
        return json_reply(self._exports.sign(document), headers={"Content-Disposition": name})


async def _history(scope: Scope, histories: Histories) -> History:
    event_id = scope["path_params"]["id"]
    history = await histories.history(event_id) if is_id(event_id, EVENT) else None
    if history is None:
        raise Problem(NOT_FOUND)
    return history


async def _event(scope: Scope, histories: Histories) -> EventRecord:
    event_id = scope["path_params"]["id"]
    event = await histories.event(event_id) if is_id(event_id, EVENT) else None
    if event is None:
        raise Problem(NOT_FOUND)
    return event
