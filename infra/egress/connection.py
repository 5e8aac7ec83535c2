"""One connection to one checked address, with one exchange at a time.

A budget of bytes and a deadline hold for what the socket gives, below TLS: a receiver that drips, floods or never ends its
handshake can't outlast them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from infra.egress.answer import NOT_HTTP, Answer
from infra.egress.errors import ConnectionBroken, DeadlinePassed, ReplyTooLarge, Unreachable
from infra.egress.tls import TLS

HANDSHAKE_MOST: Final = 64 * 1024
_BROKE: Final = "the connection broke before the answer was complete"
_LATE: Final = "there was no complete answer in time"


@dataclass(frozen=True, slots=True)
class Place:
    """Whom a connection leads to: two requests may share it only if all of this is the same."""

    scheme: str
    host: str
    port: int
    address: str


class Connection(asyncio.Protocol):
    """Sends a request and feeds what comes to its `Answer`.

    Args:
        tls: None for plain HTTP.
        on_idle: called when an exchange has ended well and another may follow.
    """

    def __init__(self, place: Place, tls: TLS | None, *, on_idle: Callable[["Connection"], None]) -> None:
        self.place = place
        self.closed = False
        self.used = False
        """Whether an exchange has ended well on it."""
        self._tls = tls
        self._on_idle = on_idle
        self._room = HANDSHAKE_MOST
        self._answer: Answer | None = None
        self._shaken: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- for whoever calls -----------------------------------------------------------------------------------------

    async def shake_hands(self) -> None:
        """Make TLS, if there is to be any.

        Raises:
            Unreachable: it failed, or the connection broke.
        """
        if self._tls is not None:
            self._shaken = asyncio.get_running_loop().create_future()
            self._transport.write(self._tls.hello())
            await self._shaken

    def begin(self, request: bytes, *, bodiless: bool, deadline: float, room: int) -> Answer:
        """Send a request, or its beginning.

        Args:
            deadline: on the loop's clock, when the answer must be complete.
            room: how many bytes may come.
        """
        self._answer = answer = Answer(bodiless=bodiless, flow=self._transport)
        self._room = room
        self._timer = asyncio.get_running_loop().call_at(deadline, self._fail, DeadlinePassed(_LATE))
        self.go_on(request)
        return answer

    def go_on(self, part: bytes) -> None:
        """Send more of the request that was begun."""
        self._transport.write(part if self._tls is None else self._tls.encrypt(part))

    def abort(self) -> None:
        """Close it now, whatever was under way."""
        self.closed = True
        self._transport.abort()

    def end(self, answer: Answer) -> None:
        """Whoever waited for this answer reads no further: what is not complete is cut off."""
        if self._answer is answer:
            self._fail(ConnectionBroken(_BROKE))

    # -- what the loop calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        room, self._room = self._room, self._room - len(data)
        try:
            plain = self._decrypted(data if self._room >= 0 else data[: max(room, 0)])
        except Unreachable as failure:
            self._fail(failure)
            return
        answer = self._answer
        if answer is not None and plain:
            answer.feed(plain)
        if self._room < 0 or (self._tls is not None and self._tls.ended) or (answer is None and plain):
            self._stop()
        elif answer is not None and answer.ended:
            self._rest(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and error is None:
            self._answer.end()
        self._fail(ConnectionBroken(NOT_HTTP if error is None else _BROKE))

    # -- within ----------------------------------------------------------------------------------------------------

    def _decrypted(self, data: bytes) -> bytes:
        if self._tls is None:
            return data
        plain = self._tls.receive(data)
        if pending := self._tls.pending():
            self._transport.write(pending)
        if self._shaken is not None and self._tls.established:
            if not self._shaken.done():
                self._shaken.set_result(None)
            self._shaken = None
        return plain

    def _stop(self) -> None:
        """Nothing more is read: the budget is spent, TLS has ended, or there is talk without a question."""
        if self._answer is not None and self._room >= 0:
            self._answer.end()
        self._fail(ReplyTooLarge("the answer has too many bytes"))

    def _rest(self, answer: Answer) -> None:
        """The exchange has ended; another may follow if nothing speaks against it."""
        self._forget()
        if (
            answer.keep_alive
            and not answer.surplus
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        ):
            self.used = True
            self._on_idle(self)
        else:
            self.abort()

    def _fail(self, failure: Unreachable) -> None:
        """Whoever waits gets this; the connection is closed."""
        answer, shaken = self._answer, self._shaken
        self._forget()
        if answer is not None:
            answer.fail(failure)
        if shaken is not None and not shaken.done():
            shaken.set_exception(failure)
        self.abort()

    def _forget(self) -> None:
        self._answer = self._shaken = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
