"""``GET /sources/{name}/diagnose``."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.diagnose import diagnose
from ingest.keys import Keys
from ingest.problems import SOURCE_UNKNOWN, Problem
from ingest.refusals import RefusedRequests
from ingest.replies import json_reply
from ingest.sources import Sources
from ingest.views import diagnosis_view


class DiagnoseSource(Endpoint):
    """Why the last requests of a source were refused, for a key that may operate. One question is looked into at a time."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, refused: RefusedRequests, sources: Sources) -> None:
        self._keys = keys
        self._refused = refused
        self._sources = sources
        self._turn = asyncio.Lock()

    async def answer(self, scope: Scope, _: Receive) -> Response:
        """The answer, newest first. The work is done beside the loop, for it takes its time."""
        self._keys.require(Headers(scope["headers"]), "operate")
        source = self._sources.get(scope["path_params"]["name"])
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        async with self._turn:
            samples = await self._refused.of(source.name)
            found = await asyncio.to_thread(diagnose, samples, source, self._sources)
        return json_reply({"source": source.name, "items": [diagnosis_view(each) for each in found]})
