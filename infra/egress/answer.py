"""One answer as it comes in: what the parser tells of it, and whoever waits for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import httptools

from infra.egress.errors import ConnectionBroken, Unreachable

Header = tuple[bytes, bytes]

NOT_HTTP: Final = "the answer was not HTTP, or ended before it was complete"
_HELD_MOST: Final = 256 * 1024


class Answer:
    """Takes bytes and gives status, headers and the parts of the body.

    Bytes behind its end make it unsafe to use the connection again: `surplus`. Interim answers (``100 Continue``) are
    read over; only the connection's budget and deadline bound them.

    Args:
        bodiless: it has no body whatever its headers say, for the request was a HEAD.
        flow: what is paused while too much waits to be read.
    """

    __slots__ = (
        "_bodiless", "_failure", "_flow", "_held", "_interim", "_parser", "_parts", "_paused", "_waiter",
        "begun", "complete", "has_head", "headers", "keep_alive", "status", "surplus",
    )  # fmt: skip

    def __init__(self, *, bodiless: bool, flow: asyncio.ReadTransport) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.begun = False
        self.has_head = False
        self.complete = False
        self.keep_alive = False
        self.surplus = False
        self._bodiless = bodiless
        self._flow = flow
        self._interim = False
        self._failure: Unreachable | None = None
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    # -- for the connection ----------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected, for better or worse."""
        return self.complete or self._failure is not None

    def feed(self, data: bytes) -> None:
        """Some bytes came."""
        if self._parser is None:
            return
        self.begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.surplus = True
            self.fail(ConnectionBroken(NOT_HTTP))
        if self.ended:
            self._parser = None  # it refers to us
        self._wake()

    def end(self) -> None:
        """No more bytes will come. An answer that says nothing of its length ends so; any other is cut."""
        if self.has_head and not self._has_length():
            self.complete = True
            self._wake()
        else:
            self.fail(ConnectionBroken(NOT_HTTP))

    def fail(self, failure: Unreachable) -> None:
        """It won't be completed. What came of its body can still be read."""
        if not self.ended:
            self._failure = failure
            self._parser = None
            self._wake()

    # -- for whoever asked -----------------------------------------------------------------------------------------

    async def head(self) -> None:
        """Return once status and headers are there.

        Raises:
            Unreachable: they won't be.
        """
        while not self.has_head:
            await self._change()

    async def parts(self) -> AsyncIterator[bytes]:
        """The body, as it comes.

        Raises:
            Unreachable: the rest won't come.
        """
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._held -= len(part)
                if self._paused and self._held < _HELD_MOST:
                    self._paused = False
                    self._flow.resume_reading()
                yield part
            if self.complete:
                return
            await self._change()

    async def _change(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # else a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete or self._parser is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._interim = True
            self.headers.clear()
            return
        self.status = status
        self.has_head = True
        if self._bodiless:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._parts.append(body)
        self._held += len(body)
        if self._held > _HELD_MOST and not self._paused:
            self._paused = True
            self._flow.pause_reading()

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.complete and self._parser is not None:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()

    def _has_length(self) -> bool:
        return any(
            name.lower() == b"content-length"
            or (name.lower() == b"transfer-encoding" and value.lower().endswith(b"chunked"))
            for name, value in self.headers
        )
