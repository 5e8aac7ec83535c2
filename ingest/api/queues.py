"""``GET /queues``."""

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ledger import Measures, Overview
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.keys import Keys
from ingest.replies import json_reply
from ingest.views import queues_view


class ReadQueues(Endpoint):
    """``GET /queues``: what waits in each queue, and who serves it, for a key that may read."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, measures: Measures, overview: Overview) -> None:
        self._keys = keys
        self._measures = measures
        self._overview = overview

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        standing = await self._measures.standing()
        return json_reply(queues_view(standing.queues, await self._overview.workers(), standing.pauses))
