"""``POST /hooks/{source}``: read, verify, record, answer.

Nothing is parsed before the signature holds, nothing is answered with 2xx before it is stored, and whoever sends again
with the same id gets the first ids. One request is one call of `Receive`, from top to bottom.
"""

import logging
from datetime import datetime

from starlette.responses import Response
from starlette.types import Receive as ReceiveMessage
from starlette.types import Scope, Send

from infra.clock import Clock
from infra.egress import EgressPolicy
from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import LedgerError
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival
from infra.links import Links
from infra.logs import bind
from infra.routes import Routes
from infra.signatures import Headers, SignatureError, SignedRequest
from infra.strict_json import StrictJSONError
from ingest import problems
from ingest.bodies import ClientGone, check_headers, kept_headers, read_body
from ingest.callers import callback_of, metadata_of
from ingest.problems import Problem
from ingest.receipts import Receipts, preferred_wait
from ingest.recorder import Recorder
from ingest.sources import Source, Sources

log = logging.getLogger(__name__)

_LONGEST_TYPE = 128


class Receive:
    """The endpoint, as an ASGI application: no request or response object on the way."""

    def __init__(
        self,
        sources: Sources,
        *,
        recorder: Recorder,
        routes: Routes,
        receipts: Receipts,
        policy: EgressPolicy,
        links: Links,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._recorder = recorder
        self._routes = routes
        self._receipts = receipts
        self._policy = policy
        self._links = links
        self._clock = clock

    async def __call__(self, scope: Scope, receive: ReceiveMessage, send: Send) -> None:
        name = scope["path_params"]["source"]
        with bind(source=name):
            try:
                response = await self._answer(name, scope, receive)
            except Problem as problem:
                log.info("refused: %s", problem.code, extra={"status": problem.status})
                response = problem.response()
            except ClientGone:
                return
        await response(scope, receive, send)

    async def _answer(self, name: str, scope: Scope, receive: ReceiveMessage) -> Response:
        source = self._sources.get(name)
        if source is None:
            raise problems.source_unknown()
        if scope["method"] != "POST":
            raise problems.method_not_allowed("POST")
        check_headers(scope)
        received_at = self._clock.now()
        request = SignedRequest(
            url=self._public_url_of(scope),
            headers=Headers(scope["headers"]),
            body=await read_body(scope, receive, limit=source.max_body),
        )
        _verify(source, request, received_at)
        document = _document(source, request)

        arrival = await self._arrival(source, request, document, received_at)
        try:
            receipt = await self._recorder.record(arrival)
        except LedgerError:
            raise problems.not_recorded() from None

        return await self._receipts.answer(
            receipt, wait=preferred_wait(request.headers), linked=source.scheme.covers != "nothing"
        )

    async def _arrival(
        self, source: Source, request: SignedRequest, document: Document, received_at: datetime
    ) -> Arrival:
        """What is to be recorded of a request that holds."""
        type_ = source.type_of(document)[:_LONGEST_TYPE]
        entry = await self._routes.find(source.name, type_)
        callback_url, refusal = callback_of(source, document, self._policy)
        suffix = new_suffix()
        return Arrival(
            event_id=EVENT + suffix,
            job_id=JOB + suffix,
            source=source.name,
            type=type_,
            received_at=received_at,
            body=request.body,
            content_type=request.headers.get("content-type") or "",
            headers=kept_headers(request.headers, secrets=source.secrets),
            provider_event_id=source.identify(request, document),
            queue=(entry.queue if entry else None) or source.queue,
            callback_url=callback_url,
            callback_refusal=refusal,
            metadata=metadata_of(source, document),
            tag=source.tag,
            timeout=entry.timeout if entry else DEFAULT_TIMEOUT,
        )

    def _public_url_of(self, scope: Scope) -> str | None:
        """The address that the sender called, as it knows it: never what a Host header claims."""
        if self._links.public_url is None:
            return None
        query = scope["query_string"].decode("latin-1")
        return f"{self._links.public_url}{scope['raw_path'].decode('latin-1')}{'?' + query if query else ''}"


def _verify(source: Source, request: SignedRequest, now: datetime) -> None:
    """The sender learns that it does not hold; the log, why."""
    try:
        source.verify(request, now)
    except SignatureError as error:
        log.warning("signature refused: %s", error, extra={"evidence": dict(error.evidence)})
        raise problems.signature_invalid() from None


def _document(source: Source, request: SignedRequest) -> Document:
    """The body for whoever reads it; it must be JSON where the provider sends JSON."""
    document = Document(headers=request.headers, body=request.body)
    if source.must_be_json(request.headers.get("content-type") or ""):
        try:
            _ = document.json
        except StrictJSONError as error:
            raise problems.body_malformed(str(error)) from None
    return document
