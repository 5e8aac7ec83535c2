"""The web process as an ASGI application."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.clock import Clock, SystemClock
from infra.egress import EgressPolicy
from infra.ledger import Ledger
from infra.links import Links
from infra.routes import Routes
from infra.settings import Settings
from ingest import problems
from ingest.api.health import Readyz, healthz
from ingest.api.jobs import ReadJob, SubmitJobs
from ingest.api.readiness import Readiness
from ingest.keys import Keys
from ingest.problems import Problem
from ingest.receipts import Receipts
from ingest.receive import Receive
from ingest.recorder import Recorder
from ingest.sources import Sources
from ingest.watch import Watch

log = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    sources: Sources,
    *,
    connect: Callable[[], Redis],
    connect_waiting: Callable[[], Redis],
    in_memory: bool = False,
    clock: Clock | None = None,
) -> Starlette:
    """Put the web process together. Nothing connects before the application starts.

    Args:
        connect: makes the client for the ledger.
        connect_waiting: makes a client whose answers may take as long as they like.
        in_memory: Redis lives in this process.
    """
    clock = SystemClock() if clock is None else clock
    policy = EgressPolicy(allow=settings.callback_allow)
    links = Links(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )
    keys = Keys(settings.api_keys, links)
    ledger = Ledger.of(connect(), settings)
    recorder = Recorder(ledger.events)
    routes = Routes(ledger.workers)
    watch = Watch(ledger.reading, connect_waiting)
    receipts = Receipts(ledger.reading, watch, routes, links)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        recorder.start()
        try:
            yield
        finally:
            await recorder.stop()
            await watch.stop()
            await ledger.redis.aclose()

    return Starlette(
        routes=[
            Route(
                "/hooks/{source}",
                Receive(
                    sources,
                    recorder=recorder,
                    routes=routes,
                    receipts=receipts,
                    policy=policy,
                    links=links,
                    clock=clock,
                ),
            ),
            Route(
                "/jobs",
                SubmitJobs(
                    keys=keys,
                    recorder=recorder,
                    routes=routes,
                    receipts=receipts,
                    policy=policy,
                    clock=clock,
                    max_body=settings.max_body,
                ),
            ),
            Route("/jobs/{id}", ReadJob(keys=keys, reading=ledger.reading, watch=watch, routes=routes)),
            Route("/healthz", healthz),
            Route("/readyz", Readyz(Readiness(ledger, in_memory=in_memory)).answer),
        ],
        exception_handlers={HTTPException: _as_problem, Exception: _as_our_fault},
        lifespan=lifespan,
    )


async def _as_problem(_: Request, error: Exception) -> Response:
    """Starlette's own refusals, in our words."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return problems.method_not_allowed("GET").response()
    return problems.not_found("page").response()


async def _as_our_fault(_: Request, error: Exception) -> Response:
    log.error("a fault of ours", exc_info=error)
    return Problem(500, "internal", "A fault of ours; it was logged.").response()
