"""The guarded transport: an `httpx.AsyncBaseTransport` that can reach only what the policy lets through.

It resolves a name once, refuses it if any of its addresses is refused, dials an address that it checked, and asks the
socket whom it reached. TLS comes after that, with the name of the URL, so SNI, the certificate and ``Host`` are right.
One deadline and one budget of bytes bound the whole exchange: httpx's own timeouts begin anew with every read, and a
receiver that drips a byte a second would never run into them.

Each request has a connection of its own, which ends with it: every call is checked. There are no proxies, no
redirects, no unix sockets, and nothing from the environment.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final

import httpcore
import httpx

from infra.egress.addresses import Address
from infra.egress.errors import (
    AddressRefused,
    Blocked,
    ConnectionBroken,
    ConnectionFailed,
    DeadlinePassed,
    NameUnresolved,
    ReplyTooLarge,
    TLSFailed,
)
from infra.egress.policy import CheckedURL, EgressPolicy, check_address, check_url

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port in, its addresses as text out; an `OSError` when there are none."""

MAX_ANSWERS: Final = 16
MAX_RECEIVED: Final = 64 * 1024
RESOLVE_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 15.0


async def resolve_by_system(host: str, port: int) -> list[str]:
    """Ask the system's resolver, in a thread."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def guarded_client(
    policy: EgressPolicy, *, resolve: Resolve = resolve_by_system, tls: ssl.SSLContext | None = None
) -> httpx.AsyncClient:
    """A client over the guarded transport. It follows no redirect and keeps no cookie.

    Args:
        tls: what certificates are checked against; certifi's authorities when left out.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(policy, resolve=resolve, tls=tls),
        headers={"Accept-Encoding": "identity", "Connection": "close"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=TOTAL_SECONDS,
        follow_redirects=False,
        trust_env=False,
    )


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends a request if the policy lets it, within a deadline.

    The longest of a request's timeouts is its time in all, from the name's resolution to the answer's last byte.

    Args:
        tls: what certificates are checked against; certifi's authorities when left out.
        max_received: how many bytes an answer may have, headers included.
        network: what dials the checked addresses; sockets when left out.

    Raises:
        Blocked: the URL or an address of its name is refused; nothing was sent.
        Unreachable: there was no proper answer, for one of the reasons in `infra.egress.errors`.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        resolve: Resolve = resolve_by_system,
        tls: ssl.SSLContext | None = None,
        max_received: int = MAX_RECEIVED,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._tls = httpx.create_ssl_context(trust_env=False) if tls is None else tls
        self._max_received = max_received
        self._network = httpcore.AnyIOBackend() if network is None else network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = check_url(str(request.url), self._policy)
        timeouts = request.extensions.get("timeout", {})
        seconds = max((value for value in timeouts.values() if value is not None), default=TOTAL_SECONDS)
        budget = _Budget(seconds, self._max_received)
        network = _GuardedNetwork(self._network, url, self._policy, self._resolve, budget)
        target = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=request.url.raw_path)
        connection = httpcore.AsyncHTTPConnection(
            origin=target.origin, ssl_context=self._tls, network_backend=network
        )
        sent = httpcore.Request(request.method, target, headers=request.headers.raw, content=request.stream)
        try:
            with _in_our_words():
                answer = await connection.handle_async_request(sent)
        except BaseException:
            await network.aclose()
            raise
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream, network))


class _Budget:
    """The time and the bytes that are left of one exchange."""

    def __init__(self, seconds: float, room: int) -> None:
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + seconds
        self._room = room

    def seconds(self, most: float | None = None) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise DeadlinePassed("there was no complete answer in time")
        return left if most is None else min(left, most)

    def room(self, most: int) -> int:
        if self._room == 0:
            raise ReplyTooLarge("the answer has too many bytes")
        return min(self._room, most)

    def receive(self, data: bytes) -> bytes:
        self._room -= len(data)
        return data


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Makes the one connection of a request, to an address that it has checked."""

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        url: CheckedURL,
        policy: EgressPolicy,
        resolve: Resolve,
        budget: _Budget,
    ) -> None:
        self._network = network
        self._url = url
        self._policy = policy
        self._resolve = resolve
        self._budget = budget
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature; the budget has the time
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        literal = self._url.literal
        addresses = await self._addresses(host, port) if literal is None else [literal]
        for address in addresses:
            check_address(address, self._policy, listed_only=self._url.listed_only)
        failure = ""
        for address in addresses:
            try:
                self._stream = await self._network.connect_tcp(
                    str(address), port, timeout=self._budget.seconds(CONNECT_SECONDS)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = _cause(error)
                continue
            if ip_address(self._stream.get_extra_info("server_addr")[0]) != address:
                raise AddressRefused("the connection led to another address than the one that was checked")
            return _GuardedStream(self._stream, self._budget)
        raise ConnectionFailed(f"no connection: {failure}")

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise Blocked("unix sockets are not called")

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            async with asyncio.timeout(self._budget.seconds(RESOLVE_SECONDS)):
                answers = await self._resolve(host, port)
            addresses = [ip_address(answer) for answer in answers[:MAX_ANSWERS]]
        except TimeoutError:
            raise NameUnresolved("the name was not resolved in time") from None
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise NameUnresolved("the name has no address")
        return addresses


class _GuardedStream(httpcore.AsyncNetworkStream):
    """A connection that ends when its budget does."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        room, seconds = self._budget.room(max_bytes), self._budget.seconds(timeout)
        return self._budget.receive(await self._stream.read(room, seconds))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, self._budget.seconds(timeout))

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            inner = await self._stream.start_tls(ssl_context, server_hostname, self._budget.seconds(timeout))
        except (httpcore.ConnectError, OSError, ValueError) as error:
            raise TLSFailed(f"no TLS: {_cause(error)}") from None
        return _GuardedStream(inner, self._budget)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Body(httpx.AsyncByteStream):
    """The answer's body; closing it closes the connection."""

    def __init__(self, parts: Any, network: _GuardedNetwork) -> None:
        self._parts = parts
        self._network = network

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_our_words():
            async for part in self._parts:
                yield part

    async def aclose(self) -> None:
        await self._network.aclose()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException:
        raise DeadlinePassed("there was no complete answer in time") from None
    except httpcore.ProtocolError:
        raise ConnectionBroken("the answer was not HTTP, or ended before it was complete") from None
    except (httpcore.NetworkError, OSError, ValueError):
        raise ConnectionBroken("the connection broke before the answer was complete") from None


def _cause(error: BaseException) -> str:
    """What the system says about a failed connection, without addresses."""
    if isinstance(error, httpcore.ConnectTimeout | TimeoutError):
        return "timed out"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate does not hold ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "the handshake failed"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return "it failed"
