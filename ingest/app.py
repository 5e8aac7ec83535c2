"""The web process as an ASGI application: its parts, its addresses, its beginning and its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from infra.routes import Routes
from ingest.addresses import addresses
from ingest.answers import ANSWERS, OTHER_ANSWERS
from ingest.connection import DISMISS
from ingest.intake import HeaderGuard
from ingest.parts import Parts
from ingest.shards.addresses import shard_addresses
from ingest.shards.intake import intake_of
from ingest.shortcut import Shortcut


def create_app(parts: Parts) -> Starlette:
    """Put the web process together. Nothing connects before the application starts."""
    return _application(addresses(parts), [parts])


def create_sharded_app(each: Sequence[Parts]) -> Starlette:
    """The same over several shards.

    Args:
        each: the parts of each, by its number.
    """
    intake, homes = intake_of(each)
    return _application(
        shard_addresses([replace(parts, intake=intake) for parts in each], homes), each, intake.routes
    )


def _application(
    routes: Sequence[Route | WebSocketRoute], each: Sequence[Parts], shared: Routes | None = None
) -> Starlette:
    """The application; what is the same for all shards is of the first."""
    parts = each[0]
    at = {route.path: route.endpoint for route in routes}
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(HeaderGuard),
            Middleware(Shortcut, receive=at["/hooks/{source}"], read_job=at["/jobs/{id}"]),
        ],
        exception_handlers={**ANSWERS, **OTHER_ANSWERS},
        lifespan=lambda _: _all_running(each, shared),
    )
    app.state.metrics = parts.metrics
    app.state.pages = parts.pages
    app.state.client_header = parts.settings.client_header
    app.router.redirect_slashes = False  # a redirect would point at whatever the Host header claims
    return app


@asynccontextmanager
async def _all_running(each: Sequence[Parts], shared: Routes | None) -> AsyncIterator[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        if shared is not None:
            stack.push_async_callback(shared.stop)
        dismissals = [await stack.enter_async_context(_running(parts)) for parts in each]

        def dismiss() -> None:
            for one in dismissals:
                one()

        yield {DISMISS: dismiss}


@asynccontextmanager
async def _running(parts: Parts) -> AsyncIterator[Callable[[], None]]:
    parts.recorder.start()
    parts.glances.start()
    parts.hub.start()
    parts.publisher.start()
    parts.secrets_seen.start()
    try:
        yield parts.hub.dismiss
    finally:
        await parts.recorder.stop()
        await parts.hub.stop()
        await parts.refused.stop()
        await parts.publisher.stop()
        await asyncio.to_thread(parts.traces.close)
        await parts.published_keys.stop()
        await parts.secrets_seen.stop()
        await parts.receiver_checks.stop()
        if parts.provider is not None:
            await parts.provider.stop()
        await parts.routes.stop()
        await parts.estimates.stop()
        await parts.glances.stop()
        await parts.ledger.redis.aclose()
