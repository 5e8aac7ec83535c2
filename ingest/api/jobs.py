"""``POST /jobs`` and ``GET /jobs/{id}``."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.egress import EgressPolicy
from infra.ids import BATCH, JOB, is_id, new_suffix
from infra.ledger import LedgerError, Reading
from infra.ledger.records import Arrival, Receipt
from infra.metrics import Metrics
from infra.remembered import Remembered
from infra.routes import API_SOURCE, Routes
from infra.setting_values import ApiKey
from infra.signatures import Headers
from infra.strict_json import written
from infra.submission import Submission
from infra.tracing import Traces
from infra.tracing.contexts import TRACEPARENT
from ingest.api.batches import KeptBatches
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.api.submission import read_submissions
from ingest.callers import caller
from ingest.estimates import Estimates
from ingest.glances import Glances
from ingest.intake import read_body, while_connected
from ingest.keys import Keys
from ingest.live.watch import Watch
from ingest.pages.job_page import job_page
from ingest.pages.renderer import VARY, Pages, prefers_page
from ingest.problems import IDEMPOTENCY_CONFLICT, INVALID, NOT_FOUND, NOT_RECORDED, QUARANTINED, Problem
from ingest.receipts import LONGEST_WAIT, Receipts, preferred_wait
from ingest.recorder import Recording
from ingest.replies import written_reply
from ingest.views import job_view

_KEPT_HEADERS: Final = (TRACEPARENT,)
_WRITTEN: Final = 1_000  # jobs whose JSON is kept, for who asks again
_SMALL: Final = 8 * 1024  # bytes of it
_SEND_AGAIN: Final = "Send it again, with the same idempotency_key."
_SECONDS: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class SubmitJobs(Endpoint):
    """``POST /jobs``: the built-in source ``api``. One submission, or a list of up to a hundred: all are taken, or none.

    Args:
        with_secrets: the names of the API keys that have secrets of their own to sign callbacks with.
    """

    methods = ("POST",)

    def __init__(
        self,
        *,
        keys: Keys,
        recorder: Recording,
        batches: KeptBatches,
        routes: Routes,
        receipts: Receipts,
        policy: EgressPolicy,
        metrics: Metrics,
        traces: Traces,
        client_header: str | None,
        clock: Clock,
        max_body: int,
        with_secrets: Collection[str],
    ) -> None:
        self._keys = keys
        self._recorder = recorder
        self._batches = batches
        self._routes = routes
        self._receipts = receipts
        self._policy = policy
        self._metrics = metrics
        self._traces = traces
        self._client_header = client_header
        self._clock = clock
        self._max_body = max_body
        self._with_secrets = with_secrets

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope["headers"])
        begun = perf_counter()
        key = self._keys.require(headers, "submit")
        body = await read_body(scope, receive, limit=self._max_body)
        submissions, is_batch = read_submissions(
            body, policy=self._policy, now=self._clock.now(), key=headers.get("idempotency-key")
        )
        along = {name: value for name in _KEPT_HEADERS if (value := headers.get(name)) is not None}
        client = caller(scope, self._client_header)
        arrivals = [await self._arrival(submission, key, along, client) for submission in submissions]
        try:
            receipts = await self._recorder.record(arrivals)
        except LedgerError as error:
            raise Problem(NOT_RECORDED, _SEND_AGAIN) from error
        self._metrics.accepted(API_SOURCE, receipts, perf_counter() - begun)
        self._traces.received(arrivals, receipts, perf_counter() - begun)
        if is_batch:
            cancelable = [submission.link == "cancel" for submission in submissions]
            batch_id = await self._batch(arrivals, receipts)
            return await self._receipts.answer_batch(receipts, batch_id=batch_id, cancelable=cancelable)
        (receipt,) = receipts
        if not receipt.same_body:
            raise Problem(IDEMPOTENCY_CONFLICT, event_id=receipt.event_id, job_id=receipt.job_id)
        return await self._receipts.answer(
            receipt,
            receive,
            wait=preferred_wait(headers),
            linked=True,
            cancelable=submissions[0].link == "cancel",
        )

    async def _batch(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> str:
        """The id of a batch that is kept: who submitted it is answered only then."""
        batch_id, now = BATCH + new_suffix(), self._clock.now()
        until = max(arrival.run_at or now for arrival in arrivals)
        try:
            await self._batches.keep(batch_id, [receipt.job_id for receipt in receipts], at=now, until=until)
        except LedgerError as error:
            raise Problem(NOT_RECORDED, _SEND_AGAIN) from error
        return batch_id

    async def _arrival(
        self, submission: Submission, key: ApiKey, headers: Mapping[str, str], client: str
    ) -> Arrival:
        """What is to be recorded of one submission.

        Raises:
            Problem: 422 where live workers have told what they handle, and this is not among it.
        """
        entry = await self._routes.find(API_SOURCE, submission.type, sure=True)
        if entry is None and self._routes.any_worker:
            raise Problem(INVALID, f"No worker has a handler for ({API_SOURCE!r}, {submission.type!r}).")
        return submission.arrival(
            entry,
            self._clock.now(),
            accepted_by=key.name,
            secret_of=key.name if key.name in self._with_secrets else None,
            headers=headers,
            client=client or None,
        )


class ReadJob(Endpoint):
    """``GET /jobs/{id}``: for a key that may read, or for the bearer of the job's own link; for browsers as a page."""

    methods = ("GET", "HEAD")

    def __init__(
        self,
        *,
        keys: Keys,
        glances: Glances,
        reading: Reading,
        watch: Watch,
        routes: Routes,
        estimates: Estimates,
        pages: Pages,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._glances = glances
        self._reading = reading
        self._watch = watch
        self._routes = routes
        self._estimates = estimates
        self._pages = pages
        self._clock = clock
        self._written: Remembered[bytes] = Remembered(most=_WRITTEN, fits=lambda _, body: len(body) <= _SMALL)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        job_id, query = scope["path_params"]["id"], query_of(scope)
        token, headers = query.get("token"), Headers(scope["headers"])
        self._keys.may_read(job_id, headers, token)
        wait = _wait(query.get("wait", "0"))
        if not is_id(job_id, JOB):
            raise Problem(NOT_FOUND)
        if wait:
            job = await while_connected(receive, self._watch.ended(job_id, seconds=wait))
        else:
            job = await self._glances.job(job_id)
        if job is None:
            raise await self._missing(job_id)
        entry = await self._routes.find(job.source, job.type)
        estimate = await self._estimates.of(job, entry)
        operator = token is None
        show = partial(job_view, job, entry, operator=operator, estimate=estimate)
        if not prefers_page(headers.get("accept")):
            made_of = (job, entry, estimate)
            body = self._written.of((job_id, operator), made_of, lambda: written(show()))
            return written_reply(body, headers=VARY)
        may_cancel = token is not None and self._keys.link_may_cancel(job_id, token)
        return job_page(self._pages, show(), token=token, may_cancel=may_cancel, now=self._clock.now())

    async def _missing(self, job_id: str) -> Problem:
        """Why there is nothing to show."""
        reason = await self._reading.why_aside(job_id)
        return Problem(NOT_FOUND) if reason is None else Problem(QUARANTINED, reason)


def _wait(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise Problem(INVALID, "Needs a whole number of seconds - at `wait`")
    return min(int(text), LONGEST_WAIT)
