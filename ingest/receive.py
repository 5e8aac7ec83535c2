"""``POST /hooks/{source}``: read, verify, record, answer.

No event is parsed before the signature holds, none is answered with 2xx before it is stored, and whoever sends again
with the same id gets the first ids. One request is one call of `Receive`, from top to bottom; whatever is refused on the
way is raised as a `Problem`, which `ingest.answers` answers and logs. A request that is a provider's question is no event, and
is answered instead (`ingest.handshakes`); that is where GET comes in.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from starlette.responses import Response
from starlette.types import Receive as ReceiveMessage
from starlette.types import Scope, Send

from infra.clock import Clock
from infra.egress import EgressPolicy
from infra.expressions import Document
from infra.ledger import LedgerError
from infra.ledger.records import Arrival, Receipt
from infra.metrics import Metrics
from infra.routes import Routes
from infra.signatures import Headers, PublishedKeys, SignatureError, SignedRequest
from infra.strict_json import StrictJSONError
from infra.tracing import Traces
from ingest.arrivals import arrival_of, type_of
from ingest.batches import AT_ONCE, MOST_EVENTS, events_of
from ingest.callers import caller
from ingest.handshake_replies import Replies
from ingest.handshakes import Answer, Handshakes
from ingest.intake import read_body
from ingest.problems import (
    BODY_MALFORMED,
    BODY_TOO_LARGE,
    NOT_RECORDED,
    SIGNATURE_INVALID,
    SOURCE_UNKNOWN,
    Problem,
)
from ingest.receipts import Receipts, batch_reply, preferred_wait
from ingest.recorder import Recording
from ingest.refusals import RefusedRequests
from ingest.sources import Source, Sources
from ingest.throttle import Throttle

log = logging.getLogger(__name__)


class Receive:
    """The endpoint, as an ASGI application: no request object on the way.

    Args:
        published_keys: the keys of senders that publish them.
        replies: to handshakes.
        refused: keeps a sample of what is refused.
        throttle: holds sources to their rates.
        public_url: what our address is to senders; some of them sign it.
        client_header: the one in which the proxy before us tells who called.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        recorder: Recording,
        routes: Routes,
        receipts: Receipts,
        policy: EgressPolicy,
        published_keys: PublishedKeys,
        replies: Replies,
        refused: RefusedRequests,
        throttle: Throttle,
        metrics: Metrics,
        traces: Traces,
        public_url: str | None,
        client_header: str | None,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._recorder = recorder
        self._routes = routes
        self._receipts = receipts
        self._policy = policy
        self._published_keys = published_keys
        self._replies = replies
        self._refused = refused
        self._throttle = throttle
        self._metrics = metrics
        self._traces = traces
        self._public_url = public_url
        self._client_header = client_header
        self._clock = clock

    async def __call__(self, scope: Scope, receive: ReceiveMessage, send: Send) -> None:
        source = self._sources.get(scope["path_params"]["source"])
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        if scope["method"] != "POST" and (
            source.handshakes is None or scope["method"] not in source.handshakes.methods
        ):
            raise Problem.method_not_allowed("POST")
        response = await self._answer(source, scope, receive)
        await response(scope, receive, send)

    async def _answer(self, source: Source, scope: Scope, receive: ReceiveMessage) -> Response:
        begun = perf_counter()
        request = SignedRequest(
            method=scope["method"],
            url=self._url_of(scope),
            query=scope["query_string"],
            headers=Headers(scope["headers"]),
            body=await read_body(scope, receive, limit=source.max_body),
        )
        document = Document(headers=request.headers, body=request.body)
        now, client = self._clock.now(), caller(scope, self._client_header)
        refusal = await self._refusal(source, request, now)
        if source.handshakes is not None:
            answer = _answer_to(source.handshakes, request, document, verified=refusal is None)
            if answer is not None:
                return await self._replies.reply(answer)
        if refusal is not None:
            self._refused.note(source, request, refusal)
            raise refusal
        if source.rate is not None:
            await self._throttle.admit(source.name, source.rate)
        _check_json(source, document)
        bodies = None if source.batch is None else events_of(source.batch, document)
        if bodies is not None:
            receipts = await self._record_batch(source, request, bodies, client, begun=begun, now=now)
        else:
            arrival = await self._arrival(source, request, document, client, now)
            del document  # before the wait, so that the next request is parsed where its memory is still warm
            receipts = await self._record([arrival], begun=begun)
        self._metrics.accepted(source.name, receipts, perf_counter() - begun)
        if source.handshakes is not None and source.handshakes.acknowledgement is not None:
            return source.handshakes.acknowledgement.reply()
        if bodies is not None:
            return batch_reply(receipts)
        (receipt,) = receipts
        # Where the signature vouches for nothing that was sent, its sender may not look at jobs.
        trusted = source.scheme.covers != "nothing"
        wait = preferred_wait(request.headers) if trusted else 0
        return await self._receipts.answer(receipt, receive, wait=wait, linked=trusted)

    async def _refusal(self, source: Source, request: SignedRequest, now: datetime) -> Problem | None:
        """None if a secret of the source vouches for the request; else 401, one for every fault, or 405."""
        if request.method != "POST":
            return Problem.method_not_allowed("POST")
        published = None
        try:
            if source.scheme.needs_published_keys:
                published = await self._published_keys.for_request(source.scheme, request, source.secrets)
            source.verify(request, now, published)
        except SignatureError as error:
            return _invalid(error)
        return None

    async def _arrival(
        self,
        source: Source,
        request: SignedRequest,
        document: Document,
        client: str,
        now: datetime,
        *,
        place: int | None = None,
    ) -> Arrival:
        """What is to be recorded of an event.

        Args:
            client: where its request came from.
            now: when that was whole.
            place: of the event in a body of several.
        """
        type_ = type_of(source, document)
        return arrival_of(
            source,
            request,
            document,
            type=type_,
            entry=await self._routes.find(source.name, type_),
            policy=self._policy,
            received_at=now,
            client=client,
            place=place,
        )

    async def _record(self, arrivals: Sequence[Arrival], *, begun: float) -> list[Receipt]:
        """Store the events and queue their jobs, in one step, or promise nothing.

        Args:
            begun: when their request did.

        Raises:
            Problem: 503.
        """
        try:
            receipts = await self._recorder.record(arrivals)
        except LedgerError as error:
            raise Problem(NOT_RECORDED, "Send it again, with the same id.") from error
        self._traces.received(arrivals, receipts, perf_counter() - begun)
        if log.isEnabledFor(logging.DEBUG):
            for arrival, receipt in zip(arrivals, receipts, strict=True):
                ids = {"source": arrival.source, "event": receipt.event_id, "job": receipt.job_id}
                log.debug(
                    "a duplicate" if receipt.duplicate else "recorded", extra={**ids, "type": arrival.type}
                )
        return receipts

    async def _record_batch(
        self,
        source: Source,
        request: SignedRequest,
        bodies: Sequence[bytes],
        client: str,
        *,
        begun: float,
        now: datetime,
    ) -> list[Receipt]:
        """The same for each event of a body; in several steps where there are more than one takes.

        Raises:
            Problem: 413, 503. Some steps may have been taken: sent again, their events are duplicates.
        """
        if len(bodies) > MOST_EVENTS:
            raise Problem(BODY_TOO_LARGE, f"At most {MOST_EVENTS} events are taken in one body.")
        receipts: list[Receipt] = []
        for first in range(0, len(bodies), AT_ONCE):
            receipts += await self._record(
                [
                    await self._arrival(
                        source,
                        request,
                        Document(headers=request.headers, body=body),
                        client,
                        now,
                        place=first + index,
                    )
                    for index, body in enumerate(bodies[first : first + AT_ONCE])
                ],
                begun=begun,
            )
        return receipts

    def _url_of(self, scope: Scope) -> str | None:
        """The address that the sender called, as it knows it: never what a Host header claims."""
        if self._public_url is None:
            return None
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return f"{self._public_url}{path}{'?' + query if query else ''}"


def _answer_to(
    handshakes: Handshakes, request: SignedRequest, document: Document, *, verified: bool
) -> Answer | None:
    """The answer, if the request is a question of the provider.

    Raises:
        Problem: 401, where it is one that needs a token, and has another.
    """
    try:
        return handshakes.answer(request, document, verified=verified)
    except SignatureError as error:
        raise _invalid(error) from error


def _invalid(error: SignatureError) -> Problem:
    problem = Problem(SIGNATURE_INVALID)
    problem.__cause__ = error
    return problem


def _check_json(source: Source, document: Document) -> None:
    """Let a body pass that whoever reads it can read.

    Raises:
        Problem: 400, where the provider sends JSON and this is none.
    """
    if source.must_be_json(document.headers.get("content-type") or ""):
        try:
            _ = document.json
        except StrictJSONError as error:
            raise Problem(BODY_MALFORMED, str(error) if document.body else "There is none.") from None
