"""What is done to jobs by hand: canceled, one or many, retried, replayed."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.filters import FILTERS
from infra.ids import JOB, is_id
from infra.ledger import Canceling, Desk, Jobs, Reading, Steering
from infra.ledger.canceling import OPEN_STATUSES
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from infra.routes import Routes
from infra.signatures import Headers
from infra.submission import SubmissionError, read_queue
from ingest.api.body import filter_in, is_dry_run, read_object
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.callers import caller
from ingest.keys import Keys
from ingest.pages.renderer import prefers_page
from ingest.problems import INVALID, JOB_ENDED, NOT_FOUND, Problem
from ingest.receipts import Receipts, preferred_wait
from ingest.replies import json_reply, text_reply
from ingest.rerun import AS_IT_WAS, REFUSALS, Rerun
from ingest.views import canceled_view, job_view

_LONGEST: Final = 16 * 1024


class _Steer(Endpoint):
    """What changes one job, and answers with the job as it then stands."""

    methods = ("POST",)

    def __init__(self, *, keys: Keys, reading: Reading, routes: Routes) -> None:
        self._keys = keys
        self._reading = reading
        self._routes = routes

    async def _known(self, job_id: str) -> JobRecord:
        job = await self._reading.job(job_id) if is_id(job_id, JOB) else None
        if job is None:
            raise Problem(NOT_FOUND)
        return job

    async def _shown(self, job_id: str, *, operator: bool) -> Response:
        job = await self._known(job_id)
        entry = await self._routes.find(job.source, job.type)
        return json_reply(job_view(job, entry, operator=operator))


class CancelJob(_Steer):
    """For a key that may operate, or for the bearer of a link that may cancel; a browser is led back to the job's page.

    The page's button is a plain form without a token against forgery. There is nothing to forge: the link in its address is the
    authority, no cookie is asked for, and no other site knows the link.
    """

    def __init__(self, jobs: Jobs, *, keys: Keys, reading: Reading, routes: Routes) -> None:
        super().__init__(keys=keys, reading=reading, routes=routes)
        self._jobs = jobs

    async def answer(self, scope: Scope, _: Receive) -> Response:
        job_id = scope["path_params"]["id"]
        token, headers = query_of(scope).get("token"), Headers(scope["headers"])
        by = self._keys.may_cancel(job_id, headers, token)
        before = await self._known(job_id)
        if (
            before.status in TERMINAL_STATUSES
            or await self._jobs.cancel(job_id, by=by) is not JobStatus.CANCELED
        ):
            raise Problem(JOB_ENDED, "What has ended can't be canceled.")
        if token is not None and prefers_page(headers.get("accept")):
            return text_reply("", 303, {"Location": f"/jobs/{job_id}?{urlencode({'token': token})}"})
        return await self._shown(job_id, operator=token is None)


class CancelJobs(Endpoint):
    """``POST /jobs/cancel``: what a filter finds is counted (`dry_run`), or canceled; for a key that may operate.

    That it was done is noted where the console's acts are.

    Args:
        header: the one in which a proxy says who called.
    """

    methods = ("POST",)

    def __init__(
        self, canceling: Canceling, *, keys: Keys, desk: Desk, header: str | None, clock: Clock
    ) -> None:
        self._canceling = canceling
        self._keys = keys
        self._desk = desk
        self._header = header
        self._clock = clock

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        sent = await read_object(scope, receive, limit=_LONGEST, known=(*FILTERS, "dry_run"))
        words: dict[str, Any] = {name: sent[name] for name in FILTERS if name in sent}
        dry_run = is_dry_run(sent)
        if not words:
            raise Problem(
                INVALID, f"Needs one of {', '.join(FILTERS)}: no filter would mean every job - at `$`"
            )
        wanted = filter_in(words, JobStatus, now=self._clock.now())
        if wanted.status not in (None, *OPEN_STATUSES):
            raise Problem(INVALID, f"Needs one of {', '.join(OPEN_STATUSES)} - at `status`")
        found = await self._canceling.find(wanted)
        if dry_run:
            return json_reply(canceled_view(found, None))
        if found.statuses:
            on, client = wanted.source or "", caller(scope, self._header)
            await self._desk.note(by=f"{by} (API)", act="cancel jobs", on=on, client=client)
        return json_reply(canceled_view(found, await self._canceling.cancel(found, by=by)))


class RetryJob(_Steer):
    """A failed job, again, now, in a new round; for a key that may operate."""

    def __init__(self, steering: Steering, *, keys: Keys, reading: Reading, routes: Routes) -> None:
        super().__init__(keys=keys, reading=reading, routes=routes)
        self._steering = steering

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        job = await self._known(scope["path_params"]["id"])
        verdict = await self._steering.retry(job, by=by)
        if verdict in REFUSALS:
            raise Problem(*REFUSALS[verdict])
        return await self._shown(job.id, operator=True)


class ReplayEvent(Endpoint):
    """A new job for an old event; or, with another payload, a new event that names the old one. For a key that may operate."""

    methods = ("POST",)

    def __init__(self, rerun: Rerun, *, keys: Keys, receipts: Receipts, max_body: int) -> None:
        self._rerun = rerun
        self._keys = keys
        self._receipts = receipts
        self._max_body = max_body

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope["headers"])
        by = self._keys.require(headers, "operate").name
        wanted = await read_object(scope, receive, limit=self._max_body, known=("payload", "queue"))
        try:
            queue = read_queue(wanted.get("queue"))
        except SubmissionError as error:
            raise Problem(INVALID, str(error)) from None
        receipt = await self._rerun.event(
            scope["path_params"]["id"], by=by, queue=queue, payload=wanted.get("payload", AS_IT_WAS)
        )
        return await self._receipts.answer(receipt, receive, wait=preferred_wait(headers), linked=True)
