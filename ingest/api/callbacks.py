"""``POST /callbacks/{id}/redeliver``."""

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ids import CALLBACK, is_id
from infra.ledger import Callbacks, Reading
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.keys import Keys
from ingest.problems import JOB_OPEN, NOT_FOUND, Problem
from ingest.replies import json_reply
from ingest.views import called_view


class RedeliverCallback(Endpoint):
    """``POST /callbacks/{id}/redeliver``: again, now, under the same id, for a key that may operate."""

    methods = ("POST",)

    def __init__(self, *, keys: Keys, callbacks: Callbacks, reading: Reading) -> None:
        self._keys = keys
        self._callbacks = callbacks
        self._reading = reading

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        callback_id = scope["path_params"]["id"]
        if not is_id(callback_id, CALLBACK):
            raise Problem(NOT_FOUND)
        (job,) = await self._reading.called([callback_id])
        if job is None:
            raise Problem(NOT_FOUND)
        (pending,) = await self._callbacks.redeliver([job], by=by)
        if not pending:
            raise Problem(JOB_OPEN, "Its callback is made when it ends.")
        (job,) = await self._reading.called([callback_id])
        if job is None:
            raise Problem(NOT_FOUND)
        return json_reply(called_view(job))
