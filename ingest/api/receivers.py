"""``GET /receivers``, and ``POST /receivers/{id}/pause`` and ``/resume``."""

import re
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ids import RECEIVER, is_id
from infra.ledger import Pausing, Receivers
from infra.ledger.records import ReceiverRecord, ReceiverStatus
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.keys import Keys
from ingest.problems import INVALID, NOT_FOUND, Problem
from ingest.replies import json_reply
from ingest.views import receiver_view

_LIMIT, _MOST = 50, 1000
_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class ListReceivers(Endpoint):
    """``GET /receivers``: those that callbacks went to last, for a key that may read."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, receivers: Receivers) -> None:
        self._keys = keys
        self._receivers = receivers

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        query = query_of(scope)
        for name in query:
            if name not in ("status", "limit"):
                raise Problem(INVALID, f"This list takes status, limit - at `{name}`")
        found = await self._receivers.newest(
            status=_status(query.get("status")), limit=_limit(query.get("limit"))
        )
        return json_reply({"items": [receiver_view(one) for one in found]})


class _Steer(Endpoint):
    """What changes one receiver, for a key that may operate. Answers with how it then stands."""

    methods = ("POST",)

    def __init__(self, keys: Keys, receivers: Receivers, pausing: Pausing) -> None:
        self._keys = keys
        self._receivers = receivers
        self._pausing = pausing

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        receiver = await self._known(scope["path_params"]["id"])
        told = await self._steer(receiver, by)
        return json_reply(receiver_view(await self._known(receiver.id)) | told)

    async def _known(self, receiver_id: str) -> ReceiverRecord:
        found = await self._receivers.receiver(receiver_id) if is_id(receiver_id, RECEIVER) else None
        if found is None:
            raise Problem(NOT_FOUND)
        return found

    async def _steer(self, receiver: ReceiverRecord, by: str, /) -> dict[str, Any]:
        """Do it, for the holder of a key. Returns what is told besides."""
        raise NotImplementedError


class PauseReceiver(_Steer):
    """``POST /receivers/{id}/pause``: nothing more is sent there."""

    async def _steer(self, receiver: ReceiverRecord, _: str, /) -> dict[str, Any]:
        await self._pausing.pause(receiver.url)
        return {}


class ResumeReceiver(_Steer):
    """``POST /receivers/{id}/resume``: it is called again, and gets what was withheld meanwhile."""

    async def _steer(self, receiver: ReceiverRecord, by: str, /) -> dict[str, Any]:
        return {"redelivered": await self._pausing.resume(receiver.url, by=by) or 0}


def _status(text: str | None) -> ReceiverStatus | None:
    if text is None:
        return None
    try:
        return ReceiverStatus(text)
    except ValueError:
        raise Problem(INVALID, f"Needs one of {', '.join(ReceiverStatus)} - at `status`") from None


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MOST:
        raise Problem(INVALID, f"Needs a whole number from 1 to {_MOST} - at `limit`")
    return int(text)
