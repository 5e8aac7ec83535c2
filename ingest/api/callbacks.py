"""``GET /callbacks`` and ``POST /callbacks/{id}/redeliver``."""

import re
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.ids import CALLBACK, is_id
from infra.ledger import Callbacks, Reading
from infra.ledger.reading import Place
from infra.ledger.records import CallbackStatus
from infra.signatures import Headers
from ingest.api.query import filters_of
from ingest.keys import Keys
from ingest.problems import INVALID, JOB_OPEN, NOT_FOUND, Problem
from ingest.replies import json_reply
from ingest.views import called_view

_FILTERS: Final = ("status", "source", "limit", "cursor")
_LIMIT, _MOST = 50, 100
_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class ListCallbacks:
    """``GET /callbacks``: the newest first, for a key that may read. Only those whose seal holds are shown."""

    def __init__(self, *, keys: Keys, reading: Reading) -> None:
        self._keys = keys
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise Problem.method_not_allowed("GET", "HEAD")
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        query = filters_of(scope, _FILTERS)
        jobs, place = await self._reading.callbacks(
            status=_status(query.get("status")),
            source=query.get("source"),
            limit=_limit(query.get("limit", str(_LIMIT))),
            after=_place(query.get("cursor")),
        )
        items = [called_view(job) for job in jobs]
        return json_reply({"items": items, "next_cursor": None if place is None else str(place)})


class RedeliverCallback:
    """``POST /callbacks/{id}/redeliver``: again, now, under the same id, for a key that may operate."""

    def __init__(self, *, keys: Keys, callbacks: Callbacks, reading: Reading) -> None:
        self._keys = keys
        self._callbacks = callbacks
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise Problem.method_not_allowed("POST")
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        self._keys.require(Headers(scope["headers"]), "operate")
        callback_id = scope["path_params"]["id"]
        if not is_id(callback_id, CALLBACK):
            raise Problem(NOT_FOUND)
        (job,) = await self._reading.called([callback_id])
        if job is None:
            raise Problem(NOT_FOUND)
        (pending,) = await self._callbacks.redeliver([job])
        if not pending:
            raise Problem(JOB_OPEN, "Its callback is made when it ends.")
        (job,) = await self._reading.called([callback_id])
        if job is None:
            raise Problem(NOT_FOUND)
        return json_reply(called_view(job))


def _status(text: str | None) -> CallbackStatus | None:
    if text is None:
        return None
    try:
        return CallbackStatus(text)
    except ValueError:
        raise Problem(INVALID, f"Needs one of {', '.join(CallbackStatus)} - at `status`") from None


def _limit(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MOST:
        raise Problem(INVALID, f"Needs a whole number from 1 to {_MOST} - at `limit`")
    return int(text)


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    place = Place.read(cursor)
    if place is None:
        raise Problem(INVALID, "Needs a `next_cursor` of ours - at `cursor`")
    return place
