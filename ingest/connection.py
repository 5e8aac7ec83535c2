"""One HTTP connection, below the application: a client that is slow, silent or endless before its request is whole is let go.

uvicorn waits for the headers of a request for as long as it takes, and keeps however many come. `ingest.intake` bounds what
comes after them.
"""

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ingest.intake import MOST_HEADER_BYTES
from ingest.problems import HEADERS_TIMEOUT, HEADERS_TOO_LARGE, HTTP_MALFORMED, Problem

# The address and what is around the headers counts here too: what is a little too large is refused by `ingest.intake`.
_MOST_BYTES: Final = 2 * MOST_HEADER_BYTES


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

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        requests = self._requests
        super().data_received(data)
        if requests != self._requests:
            return
        if self._since is not None:
            self._unread += len(data)
            if self._unread > _MOST_BYTES:
                self._refuse(Problem(HEADERS_TOO_LARGE))
        elif self._answered:
            self._wait()  # blank lines, or a body that nobody reads: they would go on for ever

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._since is None:
            self._wait()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._since = None
        self._requests += 1

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(HTTP_MALFORMED, msg))

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
        if self.transport.is_closing():
            return
        reply = problem.reply()
        headers = b"".join([b"%s: %s\r\n" % header for header in reply.raw_headers])
        self.transport.write(STATUS_LINE[reply.status_code] + headers + b"\r\n" + bytes(reply.body))
        self.transport.close()
