"""One connection, below the application: a client that is slow, silent or endless before its request is whole is let go.

uvicorn waits for the headers of a request for as long as it takes, and keeps however many come. `ingest.intake` bounds what
comes after them. And where a request asks for another protocol, as Java's client does by default (``Upgrade: h2c``), httptools
lets it end with its headers: its body would be lost, or read as the next request.

A stream may be endless on purpose: the application is given what it needs to end one, in ``scope["state"]``.
"""

import logging
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ingest.intake import BODY, MOST_HEADER_BYTES, refusal_of
from ingest.problems import HEADERS_TIMEOUT, HEADERS_TOO_LARGE, HTTP_MALFORMED, Problem
from ingest.replies import ANSWER

# The address and what is around the headers counts here too: what is a little too large is refused by `ingest.intake`.
_MOST_BYTES: Final = 2 * MOST_HEADER_BYTES

_CONNECTION: Final = b"connection"
_CLOSE: Final = (_CONNECTION, b"close")

_MOST_PASSED_OVER: Final = 32 * 1024 * 1024  # of what a client goes on sending though it was answered

_quiet = logging.getLogger(f"{__name__}.websocket")
_quiet.setLevel(logging.WARNING)

MOST_MESSAGE_BYTES: Final = 4 * 1024  # of a WebSocket; nobody has anything to tell us

HANG_UP: Final = "hang_up"  # breaks this connection off
PUSH: Final = "push"  # `Connection.push`
DISMISS: Final = "dismiss"  # ours to call when the server stops: ends what would not end by itself


class Connection(HttpToolsProtocol):
    """uvicorn's protocol over httptools, with an end to its patience.

    Args:
        seconds: for the headers of a request, from the first byte of it or from the beginning of the connection. Between
            two requests uvicorn's own keep-alive counts.
    """

    seconds = 10.0

    _since: float | None = None  # while headers are waited for
    _alarm: TimerHandle | None = None
    _unread = 0
    _requests = 0
    _passed_over: int | None = None  # since there was nothing more to say

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.app_state = self.app_state | {
            HANG_UP: transport.abort,
            PUSH: self.push,
            ANSWER: self.answer,
            BODY: self.whole_body,
        }
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        super().shutdown()
        _dismiss(self.app_state)

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole answer in one go: uvicorn's two steps, which look closely at headers that are ours, cost a webhook as much
        as reading its JSON.

        Returns:
            Whether it was sent; uvicorn has to do it where there is more to it.
        """
        asked = self.cycle
        if self.pipeline or asked.response_started or asked.disconnected or self.flow.write_paused:
            return False
        if asked.scope["method"] == "HEAD":
            return False
        if asked.more_body:
            headers = [*(header for header in headers if header[0] != _CONNECTION), _CLOSE]
        elif not asked.keep_alive or _CONNECTION in dict(headers):
            return False
        head = _head(status, (*asked.default_headers, *headers))
        if head is None:
            return False
        asked.response_started = asked.response_complete = True
        asked.waiting_for_100_continue = False
        self.transport.write(head + body)
        asked.message_event.set()
        asked.on_response()
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._hang_up()

    def whole_body(self) -> bytes | None:
        """Take the body of the request under way, where all of it has come; None: it has to be waited for."""
        asked = self.cycle
        if self.pipeline or asked.more_body or asked.disconnected:
            return None
        body, asked.body = bytes(asked.body), bytearray()
        asked.message_event.clear()
        return body

    def push(self, body: bytes) -> bool:
        """Send more of the answer that is under way, whose task sleeps: at a third of what it costs to wake it, which counts
        where a thousand watch.

        Returns:
            Whether it was sent; the task has to do it where the client does not keep up, or what it gets has no chunks.
        """
        answer = self.cycle
        if self.flow.write_paused or self.transport.is_closing():
            return False
        if not (answer.response_started and answer.chunked_encoding) or answer.response_complete:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def handle_websocket_upgrade(self) -> None:
        if (problem := refusal_of(self.scope)) is not None:
            self._refuse(problem)
            return
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, SocketConnection) and not protocol.handshake_initiated:
            self._refuse(Problem(HTTP_MALFORMED))  # uvicorn would neither answer nor hang up

    def data_received(self, data: bytes) -> None:
        if self._passed_over is not None:
            self._passed_over += len(data)
            if self._passed_over > _MOST_PASSED_OVER:
                self.transport.abort()
            return
        requests = self._requests
        self._unset_keepalive_if_required()
        self._parse(data)
        if requests != self._requests:
            return
        if self._since is not None:
            self._unread += len(data)
            if self._unread > _MOST_BYTES:
                self._refuse(Problem(HEADERS_TOO_LARGE))
        elif self._answered:
            self._wait()  # blank lines: they would go on for ever

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._since is None:
            self._wait()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._since = None
        self._requests += 1

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                data = self._upgrade(data[upgrade.args[0] :])
            except HttpParserError:
                self._refuse(Problem(HTTP_MALFORMED, "Invalid HTTP request received."))
                return
            else:
                return

    def _upgrade(self, rest: bytes) -> bytes:
        """What is to be parsed now: nothing, or the request once more and the rest."""
        if super()._should_upgrade():
            self.handle_websocket_upgrade()
        elif self.scope["method"] == "CONNECT":
            self._refuse(Problem(HTTP_MALFORMED, "Nothing is tunnelled here."))
        else:
            head = self._head_without_upgrade()
            self.parser = HttpRequestParser(
                self
            )  # the old one may have come to its end: HTTP/1.0, Connection: close
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            return head + rest
        return b""

    def _should_upgrade(self) -> bool:
        """Whatever httptools ends at its headers is no request to uvicorn, but goes to `_upgrade`."""
        return True

    def _head_without_upgrade(self) -> bytes:
        """The wish may be passed over (RFC 9110, section 7.8): the request is read again, as if it had not been said."""
        start = b"%s %s HTTP/%s\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode("ascii"),
        )
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([start, *kept, b"\r\n"])

    @property
    def _answered(self) -> bool:
        return not self._requests or self.cycle.response_complete

    def _wait(self) -> None:
        self._since, self._unread = self.loop.time(), 0
        if self._alarm is None:  # else the one that is set finds out how long there is still to wait
            self._alarm = self.loop.call_later(self.seconds, self._look)

    def _look(self) -> None:
        self._alarm = None
        if self._since is None or self.transport.is_closing():
            return
        left = self._since + self.seconds - self.loop.time() if self._answered else self.seconds
        if left > 0:
            self._alarm = self.loop.call_later(left, self._look)
        elif self._unread:
            self._refuse(Problem(HEADERS_TIMEOUT, f"They have {self.seconds:g} seconds."))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer, and hang up: where the next request would begin, nobody knows."""
        if self.transport.is_closing() or self._passed_over is not None:
            return
        reply = problem.reply()
        headers = b"".join([b"%s: %s\r\n" % header for header in reply.raw_headers])
        self.transport.write(STATUS_LINE[reply.status_code] + headers + b"\r\n" + bytes(reply.body))
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]  # None until the first
            self._hang_up()
        else:
            self.transport.close()  # another answer was under way, which has nowhere to go

    def _hang_up(self) -> None:
        """Say goodbye, and close once the client has too, or has had its time: if it is still sending when we close, the kernel
        breaks the connection off, and the answer may be lost on its way."""
        if self.transport.is_closing():
            return
        self._since, self._passed_over = None, 0
        self.flow.resume_reading()
        self.transport.write_eof()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_later(self.seconds, self.transport.close)


class SocketConnection(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol over websockets; it was a `Connection` before. What it notes of addresses, tokens and all,
    is kept out of the log."""

    def connection_made(self, transport: BaseTransport) -> None:
        self.logger = self.conn.logger = _quiet
        super().connection_made(transport)

    def shutdown(self) -> None:
        super().shutdown()
        _dismiss(self.app_state)


@lru_cache(maxsize=256)  # answers of one kind within one second are headed alike
def _head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """What stands before a body; None where a header would split the answer."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    head = b"".join(lines)
    if head.count(b"\n") + head.count(b"\r") > 2 * len(lines):
        return None
    return b"%b%b\r\n" % (STATUS_LINE[status], head)


def _dismiss(app_state: dict[str, Any]) -> None:
    if (dismiss := app_state.get(DISMISS)) is not None:
        dismiss()
