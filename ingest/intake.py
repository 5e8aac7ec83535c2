"""Taking a request in: bounded headers, a bounded body, a deadline, and somebody at the other end."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeVar, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from infra.errors import HooklineError
from infra.tasks import end
from ingest.problems import (
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    ENCODING_UNSUPPORTED,
    FRAMING_AMBIGUOUS,
    HEADERS_TOO_LARGE,
    Problem,
)

log = logging.getLogger(__name__)

MOST_HEADER_BYTES: Final = 16 * 1024
MOST_HEADERS: Final = 100
BODY_SECONDS: Final = 30.0
BODY: Final = "body"  # in a request's state: `ingest.connection.Connection.whole_body`

_SAID_ONCE: Final = (b"host", b"content-length", b"transfer-encoding")
_LATE: Final = "the body takes too long"
_DIGITS_COUNTED: Final = 15

_T = TypeVar("_T")


class ClientGone(HooklineError):
    """The client went away; there is nobody to answer."""


class HeaderGuard:
    """Middleware before everything else: 431 for headers beyond the bounds, 400 for headers that frame a request twice.

    uvicorn's parser lets both through, and a second Host besides (RFC 9112, section 3.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := refusal_of(scope)) is not None:
            log.info("refused: %s", problem.kind.code)
            await problem.reply()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def refusal_of(scope: Mapping[str, Any]) -> Problem | None:
    """Why a request with such headers is not taken; None where it is."""
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(map(len, chain.from_iterable(headers))) > MOST_HEADER_BYTES:
        return Problem(
            HEADERS_TOO_LARGE,
            f"At most {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes in all are taken.",
        )
    by_name = dict(headers)
    coding = by_name.get(b"transfer-encoding")
    ambiguous = len(by_name) < len(headers) and _says_twice(headers)
    if coding is not None:
        ambiguous |= b"content-length" in by_name or not _is_chunked(scope["http_version"], coding)
    if ambiguous:
        return Problem(
            FRAMING_AMBIGUOUS, "Send one Host, and either Content-Length or Transfer-Encoding: chunked, once."
        )
    return None


def _is_chunked(http_version: str, coding: bytes) -> bool:
    """Chunks and nothing else, in a version that has them (RFC 9112, section 6.1)."""
    return http_version == "1.1" and coding.lower() == b"chunked"


def _says_twice(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Where a request goes, or where it ends."""
    names = [name for name, _ in headers]
    return any(names.count(name) > 1 for name in _SAID_ONCE)


async def read_body(scope: Scope, receive: Receive, *, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The raw body, as sent.

    Args:
        limit: in bytes; a larger body is refused before the rest of it is read.
        seconds: for all of it.

    Raises:
        Problem: 413, 415 where it is compressed, 408 where it takes longer.
        ClientGone: before the body was whole.
    """
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise Problem(ENCODING_UNSUPPORTED, "Send it without Content-Encoding.")
        if name == b"content-length" and _exceeds(value, limit):
            raise _too_large(limit)
    whole = scope.get("state", {}).get(BODY)
    body: bytes | None = None if whole is None else whole()
    if body is not None:  # as nearly always: no wait, no deadline
        if len(body) > limit:
            raise _too_large(limit)
        return body
    reading = cast("asyncio.Task[Any]", asyncio.current_task())
    # `asyncio.timeout`, by hand: three times as fast, on the way of every request.
    deadline = asyncio.get_running_loop().call_later(seconds, reading.cancel, _LATE)
    try:
        return await _all_of_it(receive, limit)
    except asyncio.CancelledError as cancelled:
        if cancelled.args != (_LATE,) or reading.uncancel() > 0:
            raise
        raise Problem(BODY_TIMEOUT, f"It has {seconds:g} seconds.") from None
    finally:
        deadline.cancel()


async def _all_of_it(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the client went away before its request was whole")
        part = message.get("body", b"")
        if len(body) + len(part) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body + part) if body else part
        body += part


def _exceeds(announced: bytes, limit: int) -> bool:
    return announced.isdigit() and (len(announced) > _DIGITS_COUNTED or int(announced) > limit)


def _too_large(limit: int) -> Problem:
    return Problem(BODY_TOO_LARGE, f"At most {limit} bytes are taken.")


async def while_connected(receive: Receive, answer: Coroutine[Any, Any, _T]) -> _T:
    """What the coroutine returns, unless the client goes away first; then the coroutine ends too.

    Args:
        receive: of a request whose body was read, or that has none.

    Raises:
        ClientGone: nobody waits for it any more.
    """
    answering = asyncio.create_task(answer)
    leaving = asyncio.create_task(departure(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise ClientGone("the client went away while it waited")
    finally:
        await end(answering, leaving)


async def departure(receive: Receive) -> None:
    """Return when the client has gone; what it still sends is passed over."""
    while not (await receive())["type"].endswith(".disconnect"):
        pass
