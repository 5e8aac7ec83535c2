"""A stand-in that is held up in the middle: its requests wait at a gate until that opens."""

import asyncio
import threading

from starlette.types import ASGIApp, Receive, Scope, Send


class Gate:
    """An ASGI app before another one. Requests that waited when it opens are dropped: whoever sent them may be gone.

    Args:
        passes: how many requests come through before it closes.
    """

    def __init__(self, app: ASGIApp, *, passes: int) -> None:
        self.held = 0
        self._app = app
        self._passes = passes
        self._opened = threading.Event()

    def open(self) -> None:
        """Let everything through from here on."""
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._opened.is_set() or self._passes > 0:
            self._passes -= scope["type"] == "http"
            await self._app(scope, receive, send)
            return
        self.held += 1
        while not self._opened.is_set():
            await asyncio.sleep(0.01)
