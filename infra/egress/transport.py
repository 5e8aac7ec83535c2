"""The guarded transport: an `httpx.AsyncBaseTransport` that can reach only what the policy lets through.

It resolves a name once, refuses it if any of its addresses is refused, dials an address that it checked, and asks the
socket whom it reached. TLS comes after that, with the name of the URL, so SNI, the certificate and ``Host`` are right.
One deadline and one budget of bytes bound the whole exchange: httpx's own timeouts begin anew with every read, and a
receiver that drips a byte a second would never run into them.

It speaks HTTP/1.1 and keeps connections that a whole answer has left in order. When a kept connection turns out to be
closed before a byte of the answer has come, the request is sent once more on a new one, as Go's net/http does: if its method
is safe or it carries ``webhook-id`` or ``Idempotency-Key``, by which the receiver knows it again (RFC 9110, section 9.2.2).
There are no proxies, no redirects, no unix sockets, no decompression, and nothing from the environment.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from infra.egress.answer import NOT_HTTP, Answer
from infra.egress.connection import Connection
from infra.egress.dialling import Dial, Lines, dial_by_socket
from infra.egress.errors import ConnectionBroken, URLRefused
from infra.egress.policy import CheckedURL, EgressPolicy, check_url
from infra.egress.resolving import Resolve, SystemResolver

DRIP: Final = "drip"
"""The extension of a request whose body is to go out over so many seconds, bit by bit: to see whether a receiver bears it."""

MAX_RECEIVED: Final = 64 * 1024
TOTAL_SECONDS: Final = 15.0

_HEADERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)*")
_METHOD = re.compile(r"[A-Z]{1,16}", re.ASCII)
_PIECES: Final = 8  # of a body that goes out bit by bit
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOLD_APART: Final = ("webhook-id", "idempotency-key")
_OURS: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})


def guarded_client(
    policy: EgressPolicy,
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    max_received: int = MAX_RECEIVED,
) -> httpx.AsyncClient:
    """A client over the guarded transport. It follows no redirect and keeps no cookie. The arguments are the transport's."""
    return httpx.AsyncClient(
        transport=GuardedTransport(policy, resolve=resolve, tls=tls, max_received=max_received),
        headers={"Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=TOTAL_SECONDS,
        follow_redirects=False,
        trust_env=False,
    )


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends a request if the policy lets it, within a deadline. For one loop.

    The longest of a request's timeouts is its time in all, from the name's resolution to the answer's last byte.

    Args:
        resolve: what a name stands for; the system is asked when left out.
        tls: what certificates are checked against; certifi's authorities when left out.
        max_received: how many bytes an answer may have as they come from the network, headers included.
        dial: what connects to checked addresses; sockets when left out.

    Raises:
        Blocked: the URL or an address of its name is refused; nothing was sent.
        Unreachable: there was no proper answer, for one of the reasons in `infra.egress.errors`.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        max_received: int = MAX_RECEIVED,
        dial: Dial = dial_by_socket,
    ) -> None:
        self._check = lru_cache(maxsize=1024)(partial(check_url, policy=policy))
        self._max_received = max_received
        self._lines = Lines(
            policy,
            resolve=SystemResolver() if resolve is None else resolve,
            dial=dial,
            tls=httpx.create_ssl_context(trust_env=False) if tls is None else tls,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = self._check(str(request.url))
        sent = _request(request, url, await request.aread())
        timeouts = request.extensions.get("timeout", {})
        seconds = max((value for value in timeouts.values() if value is not None), default=TOTAL_SECONDS)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            body = await self._exchange(request, url, sent, deadline)
        except _Stale:
            body = await self._exchange(request, url, sent, deadline, fresh=True)
        return httpx.Response(body.answer.status, headers=body.answer.headers, stream=body)

    async def _exchange(
        self, request: httpx.Request, url: CheckedURL, sent: bytes, deadline: float, *, fresh: bool = False
    ) -> "_Body":
        """Send it once.

        Raises:
            _Stale: a connection that was kept had been closed at the other end; the request may be sent once more.
        """
        connection = await self._lines.connect(url, deadline=deadline, fresh=fresh)
        kept = connection.used
        bodiless = request.method == "HEAD"
        first, *pieces = _pieces(sent, slowly=DRIP in request.extensions)
        answer = connection.begin(first, bodiless=bodiless, deadline=deadline, room=self._max_received)
        body = _Body(answer, connection)
        try:
            for piece in pieces:
                await asyncio.sleep(request.extensions[DRIP] / len(pieces))
                if not answer.ended:
                    connection.go_on(piece)
            await answer.head()
        except ConnectionBroken:
            if kept and not answer.begun and _repeatable(request):
                raise _Stale(NOT_HTTP) from None
            raise
        except BaseException:
            await body.aclose()
            raise
        return body

    async def aclose(self) -> None:
        self._lines.close()


class _Stale(ConnectionBroken):
    """Nothing came back on a connection that was kept."""


class _Body(httpx.AsyncByteStream):
    """The answer's body. Closed before its end, it closes the connection."""

    def __init__(self, answer: Answer, connection: Connection) -> None:
        self.answer = answer
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.answer.parts()

    async def aclose(self) -> None:
        self._connection.end(self.answer)


def _pieces(sent: bytes, *, slowly: bool) -> list[bytes]:
    """A request whole; or its head, and its body in a few pieces."""
    if not slowly:
        return [sent]
    begin = sent.index(b"\r\n\r\n") + 4
    size = max(1, -(-(len(sent) - begin) // _PIECES))
    return [sent[:begin], *(sent[place : place + size] for place in range(begin, len(sent), size))]


def _repeatable(request: httpx.Request) -> bool:
    """Whether it does no harm that a request arrives twice: by its method, or because it carries an id to tell by."""
    return request.method in _SAFE or any(name in request.headers for name in _TOLD_APART)


def _request(request: httpx.Request, url: CheckedURL, content: bytes) -> bytes:
    """The request as it goes over the wire. ``Host`` and the body's length are ours to say.

    Raises:
        URLRefused: a header, or the method, would not stay what it is.
    """
    host = f"[{url.host}]" if ":" in url.host else url.host
    named = host if url.default_port else f"{host}:{url.port}"
    headers = [b"Host: %s\r\n" % named.encode("ascii")]
    headers += [
        b"%s: %s\r\n" % (name, value) for name, value in request.headers.raw if name.lower() not in _OURS
    ]
    if content or request.method not in {"GET", "HEAD"}:
        headers.append(b"Content-Length: %d\r\n" % len(content))
    block = b"".join(headers)
    whole = _HEADERS.fullmatch(block) and block.count(b"\n") == len(headers)
    if not whole or not _METHOD.fullmatch(request.method):
        raise URLRefused("the request has a header that can't be sent")
    line = b"%s %s HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)
    return b"".join((line, block, b"\r\n", content))
