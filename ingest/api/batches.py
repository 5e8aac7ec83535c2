"""``GET /batches/{id}``: jobs that were submitted together, for a key that may read, or for the bearer of the batch's own link."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.ids import BATCH, is_id
from infra.ledger.batches import BatchRecord
from infra.links import Links
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.keys import Keys
from ingest.pages.batch_page import batch_page
from ingest.pages.renderer import VARY, Pages, prefers_page
from ingest.problems import NOT_FOUND, Problem
from ingest.replies import json_reply
from ingest.views import batch_view


class KeptBatches(Protocol):
    """Where batches are kept: in a ledger's `Batches`, or in those of several."""

    async def keep(self, batch_id: str, job_ids: Sequence[str], *, at: datetime, until: datetime) -> None:
        """Note a batch of jobs that are recorded already."""

    async def batch(self, batch_id: str) -> BatchRecord | None:
        """One as it stands."""


class ReadBatch(Endpoint):
    """The whole, and the parts, each with a link to it that works for as long as the one to the batch; for browsers as a page."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, batches: KeptBatches, links: Links, pages: Pages, clock: Clock) -> None:
        self._keys = keys
        self._batches = batches
        self._links = links
        self._pages = pages
        self._clock = clock

    async def answer(self, scope: Scope, _: Receive) -> Response:
        batch_id, token = scope["path_params"]["id"], query_of(scope).get("token")
        headers = Headers(scope["headers"])
        self._keys.may_read(batch_id, headers, token)
        found = await self._batches.batch(batch_id) if is_id(batch_id, BATCH) else None
        if found is None:
            raise Problem(NOT_FOUND)
        now = self._clock.now()
        urls = self._links.part_urls([job.id for job in found.jobs], token=token)
        shown = batch_view(found, now=now, urls=urls)
        if prefers_page(headers.get("accept")):
            return batch_page(self._pages, shown, now=now)
        return json_reply(shown, headers=VARY)
