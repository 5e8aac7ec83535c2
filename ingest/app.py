"""The web process as an ASGI application."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, cast

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope, Send
from starlette.types import Receive as ReceiveMessage

from infra.clock import Clock, SystemClock
from infra.egress import EgressPolicy, guarded_client
from infra.ledger import Ledger, LedgerError
from infra.links import Links
from infra.routes import Routes
from infra.settings import Settings
from infra.signatures import Fetcher, HTTPFetcher, PublishedKeys, SignatureError, callback_keys_of
from ingest.api.callbacks import ListCallbacks, RedeliverCallback
from ingest.api.health import Readyz, healthz
from ingest.api.jobs import CancelJob, ReadJob, SubmitJobs
from ingest.api.jwks import PublicKeys
from ingest.api.readiness import Readiness
from ingest.api.sources import DiagnoseSource
from ingest.handshake_replies import Replies
from ingest.intake import ClientGone, HeaderGuard
from ingest.keys import Keys
from ingest.problems import INTERNAL, NOT_FOUND, NOT_READABLE, Problem
from ingest.receipts import Receipts
from ingest.receive import Receive
from ingest.recorder import LANES, Recorder
from ingest.refusals import RefusedRequests
from ingest.sources import Sources
from ingest.watch import Watch

log = logging.getLogger(__name__)

_HOOK = re.compile(r"/hooks/([^/]+)")
_SHOWN_PATH = 200  # characters of a path that a stranger chose


def create_app(
    settings: Settings,
    sources: Sources,
    *,
    connect: Callable[[], Redis],
    connect_waiting: Callable[[], Redis],
    in_memory: bool = False,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
) -> Starlette:
    """Put the web process together. Nothing connects before the application starts.

    Args:
        connect: makes the client for the ledger.
        connect_waiting: makes a client whose answers may take as long as they like.
        in_memory: Redis lives in this process.
        clock: the machine's when left out.
        fetcher: gets the keys that senders publish, and calls where they want to be called once; over the guarded
            transport when left out.

    Raises:
        ValueError: there is no secret key.
    """
    clock = SystemClock() if clock is None else clock
    policy = EgressPolicy.of(settings)
    links = Links(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )
    keys = Keys(settings.api_keys, links)
    ledger = Ledger.of(connect(), settings)
    recorder = Recorder([ledger.events.dedicated() for _ in range(LANES)])
    routes = Routes(ledger.workers)
    watch = Watch(ledger.reading, connect_waiting())
    receipts = Receipts(ledger.reading, watch, routes, links)
    if fetcher is None:
        fetcher = HTTPFetcher(lambda: guarded_client(EgressPolicy(allow=settings.callback_allow)))
    published_keys = PublishedKeys(fetcher, clock)
    refused = RefusedRequests(ledger.refusals, sources, settings, clock)
    receive = Receive(
        sources,
        recorder=recorder,
        routes=routes,
        receipts=receipts,
        policy=policy,
        published_keys=published_keys,
        replies=Replies(fetcher, secret_keys=settings.secret_keys or ()),
        refused=refused,
        public_url=settings.public_url,
        clock=clock,
    )
    submit_jobs = SubmitJobs(
        keys=keys,
        recorder=recorder,
        routes=routes,
        receipts=receipts,
        policy=policy,
        clock=clock,
        max_body=settings.max_body,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        recorder.start()
        watch.start()
        try:
            yield
        finally:
            await recorder.stop()
            await watch.stop()
            await refused.stop()
            await published_keys.stop()
            await routes.stop()
            await ledger.redis.aclose()

    app = Starlette(
        routes=[
            Route("/hooks/{source}", receive),
            Route("/jobs", submit_jobs),
            Route("/jobs/{id}", ReadJob(keys=keys, reading=ledger.reading, watch=watch, routes=routes)),
            Route(
                "/jobs/{id}/cancel",
                CancelJob(keys=keys, jobs=ledger.jobs, reading=ledger.reading, routes=routes),
            ),
            Route("/callbacks", ListCallbacks(keys=keys, reading=ledger.reading)),
            Route(
                "/callbacks/{id}/redeliver",
                RedeliverCallback(keys=keys, callbacks=ledger.callbacks, reading=ledger.reading),
            ),
            Route(
                "/sources/{name}/diagnose", DiagnoseSource(keys=keys, refused=refused, sources=sources).answer
            ),
            Route("/.well-known/jwks.json", PublicKeys(callback_keys_of(settings)).answer),
            Route("/healthz", healthz),
            Route("/readyz", Readyz(Readiness(ledger, in_memory=in_memory)).answer),
        ],
        middleware=[Middleware(HeaderGuard), Middleware(_Shortcut, receive=receive)],
        exception_handlers={**_ANSWERS, HTTPException: _refuse_address, Exception: _own_fault},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would point at whatever the Host header claims
    return app


class _Shortcut:
    """Middleware that takes webhooks to their endpoint: the router's way there costs as much as reading their JSON.

    What does not look like one goes on to the router, which knows the endpoint too.
    """

    def __init__(self, app: ASGIApp, *, receive: Receive) -> None:
        self._app = app
        self._receive = receive

    async def __call__(self, scope: Scope, receive: ReceiveMessage, send: Send) -> None:
        found = _HOOK.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {"source": found[1]}
        try:
            await self._receive(scope, receive, send)
        except tuple(_ANSWERS) as error:
            answer = next(answer for kind, answer in _ANSWERS.items() if isinstance(error, kind))
            response = await answer(Request(scope), error)
            await response(scope, receive, send)


async def _refuse(request: Request, error: Exception) -> Response:
    """The one place where refusals are answered and logged: the sender learns what to do, the log why."""
    problem = cast("Problem", error)
    cause = problem.__cause__
    log.log(
        logging.WARNING if problem.kind.status >= 500 else logging.INFO,
        "refused: %s",
        problem.kind.code,
        extra={
            "method": request.method,
            "path": request.scope["path"][:_SHOWN_PATH],
            "because": str(cause or problem.detail or problem.kind.title),
            "evidence": dict(cause.evidence) if isinstance(cause, SignatureError) else {},
        },
    )
    return problem.reply()


async def _refuse_reading(request: Request, error: Exception) -> Response:
    problem = Problem(NOT_READABLE)
    problem.__cause__ = error
    return await _refuse(request, problem)


async def _refuse_address(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in our words."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return await _refuse(request, Problem.method_not_allowed("GET", "HEAD"))
    return await _refuse(request, Problem(NOT_FOUND))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's word for it; it goes to a closed connection


async def _own_fault(_: Request, __: Exception) -> Response:
    """The server logs it, with its trace."""
    return Problem(INTERNAL).reply()


_ANSWERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    Problem: _refuse,
    LedgerError: _refuse_reading,
    ClientGone: _answer_nobody,
}
