"""``POST /jobs`` and ``GET /jobs/{id}``."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra import strict_json
from infra.clock import Clock
from infra.durations import parse_duration
from infra.egress import EgressPolicy, URLRefused, check_url
from infra.ids import EVENT, JOB, is_id, new_suffix
from infra.ledger import LedgerError, Reading
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival, Receipt
from infra.routes import Routes
from infra.settings import ApiKey
from infra.signatures import Headers
from ingest import problems
from ingest.bodies import ClientGone, check_headers, read_body
from ingest.keys import Keys
from ingest.problems import Problem
from ingest.receipts import LONGEST_WAIT, Receipts, preferred_wait
from ingest.recorder import Recorder
from ingest.sources import API_SOURCE, DEFAULT_QUEUE
from ingest.views import job_view
from ingest.watch import Watch

MOST_IN_A_BATCH: Final = 100
_FARTHEST: Final = timedelta(days=365)
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)


class Submission(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One entry of ``POST /jobs``. A number in `run_in` is seconds; text is a duration such as ``15m``."""

    type: str
    payload: Any = None
    queue: str | None = None
    callback_url: str | None = None
    run_in: str | float | None = None
    run_at: datetime | None = None
    idempotency_key: str | None = None
    tag: str | None = None
    metadata: dict[str, Any] = {}


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
        try:
            response = await self._answer(scope, receive)
        except Problem as problem:
            response = problem.response()
        except ClientGone:
            return
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            raise problems.method_not_allowed("POST")
        check_headers(scope)
        headers = Headers(scope["headers"])
        key = self._keys.require(headers, "submit")
        body = await read_body(scope, receive, limit=self._max_body)
        try:
            sent = strict_json.loads(body)
        except strict_json.StrictJSONError as error:
            raise problems.body_malformed(str(error)) from None
        if not isinstance(sent, list):
            arrival = await self._arrival(_submission(sent, "$"), key, "$")
            (receipt,) = await self._record([arrival])
            if not receipt.same_body:
                raise Problem(
                    409, "idempotency_conflict", "This idempotency_key was used for another payload.",
                    more={"event_id": receipt.event_id, "job_id": receipt.job_id},
                )  # fmt: skip
            return await self._receipts.answer(receipt, wait=preferred_wait(headers), linked=True)
        if not 1 <= len(sent) <= MOST_IN_A_BATCH:
            raise problems.invalid(f"A batch has 1 to {MOST_IN_A_BATCH} jobs.")
        places = [f"$[{place}]" for place in range(len(sent))]
        submissions = [_submission(one, place) for one, place in zip(sent, places, strict=True)]
        arrivals = [
            await self._arrival(one, key, place) for one, place in zip(submissions, places, strict=True)
        ]
        receipts = [
            await self._receipts.told(receipt)
            | ({} if receipt.same_body else {"code": "idempotency_conflict"})
            for receipt in await self._record(arrivals)
        ]
        return Response(json.dumps(receipts).encode(), 202, media_type="application/json")

    async def _record(self, arrivals: list[Arrival]) -> list[Receipt]:
        try:
            return await self._recorder.record_together(arrivals)
        except LedgerError:
            raise problems.not_recorded() from None

    async def _arrival(self, submission: Submission, key: ApiKey, place: str) -> Arrival:
        """What is to be recorded of one submission.

        Raises:
            Problem: 422 with what is wrong and where.
        """
        entry = await self._routes.find(API_SOURCE, submission.type)
        if entry is None and self._routes.any_worker:
            raise problems.invalid(
                f"No worker has a handler for ({API_SOURCE!r}, {submission.type[:128]!r}) - at `{place}.type`"
            )
        now = self._clock.now()
        suffix = new_suffix()
        return Arrival(
            event_id=EVENT + suffix,
            job_id=JOB + suffix,
            source=API_SOURCE,
            type=_short(submission.type, f"{place}.type"),
            received_at=now,
            body=json.dumps(submission.payload, separators=(",", ":")).encode(),
            provider_event_id=None
            if submission.idempotency_key is None
            else _short(submission.idempotency_key, f"{place}.idempotency_key"),
            queue=_queue(submission.queue, f"{place}.queue")
            or (entry.queue if entry else None)
            or DEFAULT_QUEUE,
            timeout=entry.timeout if entry else DEFAULT_TIMEOUT,
            run_at=_due(submission, now, place),
            callback_url=self._callback_url(submission.callback_url, place),
            metadata=submission.metadata,
            tag=None if submission.tag is None else _short(submission.tag, f"{place}.tag"),
            accepted_by=key.name,
        )

    def _callback_url(self, url: str | None, place: str) -> str | None:
        if url is None:
            return None
        try:
            check_url(url, self._policy)
        except URLRefused as refused:
            raise Problem(
                422,
                "callback_url_refused",
                "The callback URL can't be accepted.",
                f"{refused.reason} - at `{place}.callback_url`",
            ) from None
        return url


class ReadJob:
    """``GET /jobs/{id}``: for a key that may read, or for the bearer of the job's own link."""

    def __init__(self, *, keys: Keys, reading: Reading, watch: Watch, routes: Routes) -> None:
        self._keys = keys
        self._reading = reading
        self._watch = watch
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope)
        except Problem as problem:
            response = problem.response()
        except LedgerError:
            response = problems.not_readable().response()
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise problems.method_not_allowed("GET")
        query = _query(scope)
        job_id = scope["path_params"]["id"]
        self._keys.may_read(job_id, Headers(scope["headers"]), query.get("token"))
        if not is_id(job_id, JOB):
            raise problems.not_found("job")
        wait = _wait(query.get("wait", "0"))
        job = await (self._watch.ended(job_id, seconds=wait) if wait else self._reading.job(job_id))
        if job is None:
            raise problems.not_found("job")
        view = job_view(job, await self._routes.find(job.source, job.type))
        return Response(
            json.dumps(view).encode(), media_type="application/json",
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"},
        )  # fmt: skip


def _submission(sent: Any, place: str) -> Submission:
    try:
        return msgspec.convert(sent, Submission)
    except msgspec.ValidationError as error:
        raise problems.invalid(str(error) if place == "$" else f"{error}, of `{place}`") from None


def _short(text: str, place: str) -> str:
    if not text or len(text) > 128 or not text.isprintable():
        raise problems.invalid(f"Needs 1 to 128 printable characters - at `{place}`")
    return text


def _queue(name: str | None, place: str) -> str | None:
    if name is not None and not _QUEUE.fullmatch(name):
        raise problems.invalid(f"Needs letters, digits, - and _ - at `{place}`")
    return name


def _due(submission: Submission, now: datetime, place: str) -> datetime | None:
    """When the job may run first; None is at once."""
    if submission.run_in is not None and submission.run_at is not None:
        raise problems.invalid(f"Give run_in or run_at, not both - at `{place}`")
    due = submission.run_at
    if due is not None and due.tzinfo is None:
        raise problems.invalid(f"Needs an offset from UTC, such as Z - at `{place}.run_at`")
    if submission.run_in is not None:
        due = now + _delay(submission.run_in, f"{place}.run_in")
    if due is None or due <= now:
        return None
    if due - now > _FARTHEST:
        raise problems.invalid(f"At most a year ahead - at `{place}`")
    return due.astimezone(UTC)


def _delay(value: str | float, place: str) -> timedelta:
    try:
        delay = timedelta(seconds=value) if isinstance(value, float | int) else parse_duration(value)
    except (ValueError, OverflowError):
        raise problems.invalid(f"Needs seconds, or a duration such as 15m - at `{place}`") from None
    if delay < timedelta(0):
        raise problems.invalid(f"Can't lie in the past - at `{place}`")
    return delay


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def _wait(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise problems.invalid("Needs a whole number of seconds - at `wait`")
    return min(int(text), LONGEST_WAIT)
