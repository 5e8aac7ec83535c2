"""Taking a request in: bounded headers, a bounded body, a deadline."""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.types import Message, Receive, Scope

from infra.errors import HooklineError
from infra.signatures import Headers
from ingest import problems

MOST_HEADER_BYTES: Final = 16 * 1024
MOST_HEADERS: Final = 100
BODY_SECONDS: Final = 30.0


class ClientGone(HooklineError):
    """The client went away before its request was whole; there is nobody to answer."""


def check_headers(scope: Scope) -> None:
    """Refuse headers beyond the bounds, and compressed bodies.

    Raises:
        Problem: 431 or 415.
    """
    raw = scope["headers"]
    if len(raw) > MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > MOST_HEADER_BYTES:
        raise problems.headers_too_large()
    for name, value in raw:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise problems.encoding_unsupported()


async def read_body(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """The raw body, as sent.

    Args:
        limit: in bytes; a larger body is refused before the rest of it is read.

    Raises:
        Problem: 413 or 408.
        ClientGone: the client went away.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise problems.body_too_large(limit)
    message = await _next(receive, BODY_SECONDS)
    body = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise problems.body_too_large(limit)
        return bytes(body)
    parts, size, deadline = [body], len(body), asyncio.get_running_loop().time() + BODY_SECONDS
    while message.get("more_body", False):
        if size > limit:
            raise problems.body_too_large(limit)
        message = await _next(receive, deadline - asyncio.get_running_loop().time())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if size > limit:
        raise problems.body_too_large(limit)
    return b"".join(parts)


async def _next(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise problems.body_timeout() from None
    if message["type"] == "http.disconnect":
        raise ClientGone("the client went away")
    return message


_SECRET_NAMES: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_SECRET_PARTS: Final = ("apikey", "api-key", "secret", "token", "password")


def kept_headers(headers: Headers, *, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers as an event keeps them: names in lower case, whatever is or could be a secret replaced by ``***``.

    Args:
        secrets: the source's own; a static key is sent as it is.

    >>> kept_headers(Headers.of({"X-Event": "a", "Authorization": "Bearer k", "X-Key": "s3cret"}), secrets=[b"s3cret"])
    {'x-event': 'a', 'authorization': '***', 'x-key': '***'}
    """
    texts = [secret.decode("latin-1") for secret in secrets]

    def shown(name: str, value: str) -> str:
        if (
            name in _SECRET_NAMES
            or any(part in name for part in _SECRET_PARTS)
            or any(text in value for text in texts)
        ):
            return "***"
        return value

    return {name: shown(name, value) for name, value in headers.items()}
