"""A stream as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.types import Message as ASGIMessage
from starlette.types import Receive, Scope, Send

from infra.ledger.live import BEGINNING
from infra.tasks import end
from ingest.connection import PUSH
from ingest.intake import departure
from ingest.live.messages import Message
from ingest.live.streams import Stream
from ingest.live.watcher import End, Sign

BEAT: Final = b":\n\n"  # a comment; it keeps what stands between us and the watcher from hanging up

_RETRY: Final = 2_000  # milliseconds
_RETRY_AFTER_STOP: Final = (1_000, 5_000)  # or all would come back at once
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class EventStream(Response):
    """The answer to who watches over HTTP; it goes on for as long as the stream does."""

    def __init__(self, stream: Stream) -> None:
        self.status_code, self.body, self.background = 200, b"", None
        self.raw_headers = [*_HEADERS]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = self._stream.watcher
        leaving = asyncio.create_task(departure(receive))
        leaving.add_done_callback(lambda _: watcher.end(End.GONE))
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await send(_part(self._opening()))
            push = scope.get("state", {}).get(PUSH)
            if push is not None and self._stream.verbatim:
                watcher.push = partial(self._pushed, push)
            async for messages in self._stream.batches():
                await send(_part(b"".join([message.block for message in messages]) or BEAT))
            farewell = b"retry: %d\n\n" % random.randint(*_RETRY_AFTER_STOP)  # noqa: S311 - keeps them out of step
            await send(_part(farewell if watcher.ended is End.STOPPING else b"", more=False))
        finally:
            self._stream.close()
            await end(leaving)

    def _pushed(self, push: Callable[[bytes], bool], waiting: list[Message | Sign]) -> bool:
        """Whether all that waits is told; what is not will be by `__call__`, which passes over what is."""
        for message in waiting:
            if isinstance(message, Sign) or self._stream.over:
                return False
            if message.position <= self._stream.position:
                continue
            if not push(message.block):
                return False
            self._stream.take(message)
        return not self._stream.over

    def _opening(self) -> bytes:
        """When to come back; and from where, should that be before the first message."""
        known = not self._stream.first and self._stream.position != BEGINNING
        return (
            b"id: %b\n" % str(self._stream.position).encode() if known else b""
        ) + b"retry: %d\n\n" % _RETRY


def _part(body: bytes, *, more: bool = True) -> ASGIMessage:
    return {"type": "http.response.body", "body": body, "more_body": more}
