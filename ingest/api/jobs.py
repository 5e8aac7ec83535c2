"""``POST /jobs`` and ``GET /jobs/{id}``."""

import re
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.clock import Clock
from infra.egress import EgressPolicy
from infra.ids import JOB, is_id
from infra.ledger import Jobs, LedgerError, Reading
from infra.ledger.records import TERMINAL_STATUSES, Arrival, JobStatus
from infra.routes import API_SOURCE, Routes
from infra.settings import ApiKey
from infra.signatures import Headers
from infra.submission import Submission
from ingest.api.query import query_of
from ingest.api.submission import read_submissions
from ingest.intake import read_body, while_connected
from ingest.keys import Keys
from ingest.problems import IDEMPOTENCY_CONFLICT, INVALID, JOB_ENDED, NOT_FOUND, NOT_RECORDED, Problem
from ingest.receipts import LONGEST_WAIT, Receipts, preferred_wait
from ingest.recorder import Recorder
from ingest.replies import json_reply
from ingest.views import job_view
from ingest.watch import Watch

_SECONDS: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class SubmitJobs:
    """``POST /jobs``: the built-in source ``api``. One submission, or a list of up to a hundred: all are taken, or none."""

    def __init__(
        self,
        *,
        keys: Keys,
        recorder: Recorder,
        routes: Routes,
        receipts: Receipts,
        policy: EgressPolicy,
        clock: Clock,
        max_body: int,
    ) -> None:
        self._keys = keys
        self._recorder = recorder
        self._routes = routes
        self._receipts = receipts
        self._policy = policy
        self._clock = clock
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise Problem.method_not_allowed("POST")
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope["headers"])
        key = self._keys.require(headers, "submit")
        body = await read_body(scope, receive, limit=self._max_body)
        submissions, is_batch = read_submissions(body, policy=self._policy, now=self._clock.now())
        arrivals = [await self._arrival(submission, key) for submission in submissions]
        try:
            receipts = await self._recorder.record(arrivals)
        except LedgerError as error:
            raise Problem(NOT_RECORDED, "Send it again, with the same idempotency_key.") from error
        if is_batch:
            cancelable = [submission.link == "cancel" for submission in submissions]
            return await self._receipts.answer_batch(receipts, cancelable=cancelable)
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

    async def _arrival(self, submission: Submission, key: ApiKey) -> Arrival:
        """What is to be recorded of one submission.

        Raises:
            Problem: 422 where live workers have told what they handle, and this is not among it.
        """
        entry = await self._routes.find(API_SOURCE, submission.type, sure=True)
        if entry is None and self._routes.any_worker:
            raise Problem(INVALID, f"No worker has a handler for ({API_SOURCE!r}, {submission.type!r}).")
        return submission.arrival(entry, self._clock.now(), accepted_by=key.name)


class ReadJob:
    """``GET /jobs/{id}``: for a key that may read, or for the bearer of the job's own link."""

    def __init__(self, *, keys: Keys, reading: Reading, watch: Watch, routes: Routes) -> None:
        self._keys = keys
        self._reading = reading
        self._watch = watch
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise Problem.method_not_allowed("GET", "HEAD")
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        job_id, query = scope["path_params"]["id"], query_of(scope)
        token = query.get("token")
        self._keys.may_read(job_id, Headers(scope["headers"]), token)
        wait = _wait(query.get("wait", "0"))
        if not is_id(job_id, JOB):
            raise Problem(NOT_FOUND)
        if wait:
            job = await while_connected(receive, self._watch.ended(job_id, seconds=wait))
        else:
            job = await self._reading.job(job_id)
        if job is None:
            raise Problem(NOT_FOUND)
        entry = await self._routes.find(job.source, job.type)
        return json_reply(job_view(job, entry, operator=token is None))


class CancelJob:
    """``POST /jobs/{id}/cancel``: for a key that may operate, or for the bearer of a link that may cancel."""

    def __init__(self, *, keys: Keys, jobs: Jobs, reading: Reading, routes: Routes) -> None:
        self._keys = keys
        self._jobs = jobs
        self._reading = reading
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise Problem.method_not_allowed("POST")
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        job_id = scope["path_params"]["id"]
        token = query_of(scope).get("token")
        self._keys.may_cancel(job_id, Headers(scope["headers"]), token)
        before = await self._reading.job(job_id) if is_id(job_id, JOB) else None
        if before is None:
            raise Problem(NOT_FOUND)
        if before.status in TERMINAL_STATUSES or await self._jobs.cancel(job_id) is not JobStatus.CANCELED:
            raise Problem(JOB_ENDED, "What has ended can't be canceled.")
        job = await self._reading.job(job_id)
        if job is None:
            raise Problem(NOT_FOUND)
        entry = await self._routes.find(job.source, job.type)
        return json_reply(job_view(job, entry, operator=token is None))


def _wait(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise Problem(INVALID, "Needs a whole number of seconds - at `wait`")
    return min(int(text), LONGEST_WAIT)
