"""From a checked URL to a connection: what its name stands for, which of it may be called, and which line is free.

A name is resolved for every request, and refused whole if any of its addresses is; then a connection that is free and leads
to one of them is used again, or a new one is made. So a name that has turned against us is refused though an old connection
may still be open.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from infra.egress.addresses import Address
from infra.egress.connection import Connection, Place
from infra.egress.errors import (
    AddressRefused,
    ConnectionFailed,
    DeadlinePassed,
    NameUnresolved,
    TLSFailed,
)
from infra.egress.policy import CheckedURL, EgressPolicy, check_address
from infra.egress.resolving import Resolve
from infra.egress.tls import TLS

Dial = Callable[[Callable[[], Connection], str, int], Awaitable[tuple[asyncio.BaseTransport, Connection]]]
"""As `asyncio.loop.create_connection`: makes the protocol's connection to a literal address and a port."""

MAX_ANSWERS: Final = 16
RESOLVE_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = 3.0
TLS_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 4.0  # servers close idle connections after five seconds or more
IDLE_MOST: Final = 128


async def dial_by_socket(
    protocol: Callable[[], Connection], address: str, port: int
) -> tuple[asyncio.BaseTransport, Connection]:
    """Dial over the network. A literal address is resolved by nobody."""
    return await asyncio.get_running_loop().create_connection(protocol, address, port)


class Lines:
    """The connections of one transport: those that are free, and the making of new ones."""

    def __init__(self, policy: EgressPolicy, *, resolve: Resolve, dial: Dial, tls: ssl.SSLContext) -> None:
        self._policy = policy
        self._resolve = resolve
        self._dial = dial
        self._tls = tls
        self._free: dict[Place, list[tuple[Connection, asyncio.TimerHandle]]] = {}
        self._count = 0

    async def connect(self, url: CheckedURL, *, deadline: float, fresh: bool = False) -> Connection:
        """A connection on which a request may begin.

        Args:
            deadline: on the loop's clock, of the whole exchange.
            fresh: make a new one though there may be a free one.

        Raises:
            AddressRefused: one of the addresses is not called; nothing was dialled.
            Unreachable: there is no address, or none of them answers.
        """
        literal = url.literal
        addresses = await self._addresses(url, deadline) if literal is None else [literal]
        for address in addresses:
            check_address(address, self._policy, listed_only=url.listed_only)
        places = [Place(url.scheme, url.host, url.port, str(address)) for address in addresses]
        for place in places:
            if not fresh and (free := self._take(place)) is not None:
                return free
        failure = ConnectionFailed("no connection")
        for place in places:
            try:
                return await self._connect(place, deadline)
            except ConnectionFailed as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Close what is free."""
        for place in list(self._free):
            while (connection := self._take(place)) is not None:
                connection.abort()

    # -- free lines ------------------------------------------------------------------------------------------------

    def _keep(self, connection: Connection) -> None:
        if self._count >= IDLE_MOST:
            connection.abort()
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._drop, connection)
        self._free.setdefault(connection.place, []).append((connection, timer))
        self._count += 1

    def _take(self, place: Place) -> Connection | None:
        """The one that was used last, if it is still open: one that closes before a byte is written costs nothing."""
        lines = self._free.get(place)
        while lines:
            connection, timer = lines.pop()
            self._count -= 1
            timer.cancel()
            if not lines:
                del self._free[place]
            if not connection.closed:
                return connection
        return None

    def _drop(self, connection: Connection) -> None:
        """It was free for too long. The oldest stands first."""
        lines = self._free[connection.place]
        lines.pop(0)
        self._count -= 1
        if not lines:
            del self._free[connection.place]
        connection.abort()

    # -- new lines -------------------------------------------------------------------------------------------------

    async def _connect(self, place: Place, deadline: float) -> Connection:
        tls = TLS(self._tls, place.host) if place.scheme == "https" else None

        def protocol() -> Connection:
            return Connection(place, tls, on_idle=self._keep)

        try:
            async with asyncio.timeout(_left(deadline, CONNECT_SECONDS)):
                transport, connection = await self._dial(protocol, place.address, place.port)
        except TimeoutError:
            raise ConnectionFailed("no connection: timed out") from None
        except OSError as error:
            raise ConnectionFailed(f"no connection: {_cause(error)}") from None
        try:
            _check_peer(transport, place)
            async with asyncio.timeout(_left(deadline, TLS_SECONDS)):
                await connection.shake_hands()
        except TimeoutError:
            connection.abort()
            raise TLSFailed("no TLS: timed out") from None
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _addresses(self, url: CheckedURL, deadline: float) -> list[Address]:
        try:
            async with asyncio.timeout(_left(deadline, RESOLVE_SECONDS)):
                answers = await self._resolve(url.host, url.port)
            addresses = [ip_address(answer) for answer in answers[:MAX_ANSWERS]]
        except TimeoutError:
            raise NameUnresolved("the name was not resolved in time") from None
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise NameUnresolved("the name has no address")
        return addresses


def _check_peer(transport: asyncio.BaseTransport, place: Place) -> None:
    """Ask the socket whom it reached."""
    if ip_address(transport.get_extra_info("peername")[0]) != ip_address(place.address):
        raise AddressRefused("the connection led to another address than the one that was checked")


def _left(deadline: float, most: float) -> float:
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise DeadlinePassed("there was no complete answer in time")
    return min(left, most)


def _cause(error: OSError) -> str:
    """What the system says about a failed connection, without addresses."""
    return os.strerror(error.errno).lower() if error.errno else "it failed"
