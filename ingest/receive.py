"""``POST /hooks/{source}``: read, verify, record, answer.

Nothing is parsed before the signature holds, nothing is answered with 2xx before it is stored, and whoever sends again
with the same id gets the first ids. One request is one call of `Receive`, from top to bottom; whatever is refused on the
way is raised as a `Problem`, which `ingest.app` answers and logs.
"""

import logging

from starlette.responses import Response
from starlette.types import Receive as ReceiveMessage
from starlette.types import Scope, Send

from infra.clock import Clock
from infra.egress import EgressPolicy
from infra.expressions import Document
from infra.ledger import LedgerError
from infra.ledger.records import Receipt
from infra.logs import bind
from infra.routes import Routes
from infra.signatures import Headers, SignatureError, SignedRequest
from infra.strict_json import StrictJSONError
from ingest.arrivals import arrival_of, type_of
from ingest.intake import read_body
from ingest.problems import BODY_MALFORMED, NOT_RECORDED, SIGNATURE_INVALID, SOURCE_UNKNOWN, Problem
from ingest.receipts import Receipts, preferred_wait
from ingest.recorder import Recorder
from ingest.sources import Source, Sources

log = logging.getLogger(__name__)


class Receive:
    """The endpoint, as an ASGI application: no request object on the way.

    Args:
        public_url: what our address is to senders; some of them sign it.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        recorder: Recorder,
        routes: Routes,
        receipts: Receipts,
        policy: EgressPolicy,
        public_url: str | None,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._recorder = recorder
        self._routes = routes
        self._receipts = receipts
        self._policy = policy
        self._public_url = public_url
        self._clock = clock

    async def __call__(self, scope: Scope, receive: ReceiveMessage, send: Send) -> None:
        source = self._sources.get(scope["path_params"]["source"])
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        if scope["method"] != "POST":
            raise Problem.method_not_allowed("POST")
        with bind(source=source.name):
            response = await self._answer(source, scope, receive)
        await response(scope, receive, send)

    async def _answer(self, source: Source, scope: Scope, receive: ReceiveMessage) -> Response:
        request = SignedRequest(
            url=self._url_of(scope),
            headers=Headers(scope["headers"]),
            body=await read_body(scope, receive, limit=source.max_body),
        )
        document = self._verified(source, request)
        receipt = await self._record(source, request, document)
        # Where the signature vouches for nothing that was sent, its sender may not look at jobs.
        trusted = source.scheme.covers != "nothing"
        wait = preferred_wait(request.headers) if trusted else 0
        return await self._receipts.answer(receipt, receive, wait=wait, linked=trusted)

    def _verified(self, source: Source, request: SignedRequest) -> Document:
        """The body for whoever reads it, now that a secret of the source vouches for it.

        Raises:
            Problem: 401, one for every fault; 400 where the provider sends JSON and this is none.
        """
        try:
            source.verify(request, self._clock.now())
        except SignatureError as error:
            raise Problem(SIGNATURE_INVALID) from error
        document = Document(headers=request.headers, body=request.body)
        if source.must_be_json(request.headers.get("content-type") or ""):
            try:
                _ = document.json
            except StrictJSONError as error:
                raise Problem(BODY_MALFORMED, str(error) if request.body else "There is none.") from None
        return document

    async def _record(self, source: Source, request: SignedRequest, document: Document) -> Receipt:
        """Store the event and queue its job, in one step, or promise nothing.

        Raises:
            Problem: 503.
        """
        type_ = type_of(source, document)
        arrival = arrival_of(
            source,
            request,
            document,
            type=type_,
            entry=await self._routes.find(source.name, type_),
            policy=self._policy,
            received_at=self._clock.now(),
        )
        try:
            (receipt,) = await self._recorder.record([arrival])
        except LedgerError as error:
            raise Problem(NOT_RECORDED, "Send it again, with the same id.") from error
        log.debug(
            "a duplicate" if receipt.duplicate else "recorded",
            extra={"event": receipt.event_id, "job": receipt.job_id, "type": type_},
        )
        return receipt

    def _url_of(self, scope: Scope) -> str | None:
        """The address that the sender called, as it knows it: never what a Host header claims."""
        if self._public_url is None:
            return None
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return f"{self._public_url}{path}{'?' + query if query else ''}"
