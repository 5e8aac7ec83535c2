"""The web process as an ASGI application: its parts, its addresses, its beginning and its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware

from ingest.addresses import addresses
from ingest.answers import ANSWERS, OTHER_ANSWERS
from ingest.connection import DISMISS
from ingest.intake import HeaderGuard
from ingest.parts import Parts
from ingest.shortcut import Shortcut


def create_app(parts: Parts) -> Starlette:
    """Put the web process together. Nothing connects before the application starts."""
    routes = addresses(parts)
    at = {route.path: route.endpoint for route in routes}
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(HeaderGuard),
            Middleware(Shortcut, receive=at["/hooks/{source}"], read_job=at["/jobs/{id}"]),
        ],
        exception_handlers={**ANSWERS, **OTHER_ANSWERS},
        lifespan=lambda _: _running(parts),
    )
    app.state.metrics = parts.metrics
    app.state.pages = parts.pages
    app.state.client_header = parts.settings.client_header
    app.router.redirect_slashes = False  # a redirect would point at whatever the Host header claims
    return app


@asynccontextmanager
async def _running(parts: Parts) -> AsyncIterator[dict[str, Any]]:
    parts.recorder.start()
    parts.glances.start()
    parts.hub.start()
    parts.publisher.start()
    try:
        yield {DISMISS: parts.hub.dismiss}
    finally:
        await parts.recorder.stop()
        await parts.hub.stop()
        await parts.refused.stop()
        await parts.publisher.stop()
        await parts.published_keys.stop()
        await parts.routes.stop()
        await parts.estimates.stop()
        await parts.glances.stop()
        await parts.ledger.redis.aclose()
