"""A line to Redis: one connection, one question at a time, and nothing between hiredis and the socket.

redis-py makes the connection, with all that belongs to it: the address, TLS, the password, sentinels. From then on its pool, its
streams and its limits stand aside: with them, a short question takes three times as long. ADR 25 has the numbers.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, InvalidResponse, ReadOnlyError  # noqa: A004 - redis-py's

Command = Sequence[str | bytes | int]

_NOTHING: Final = object()


class Line:
    """Asks over a connection of its own, which is to be closed.

    A connection that breaks, keeps a question waiting, leads to a replica, or whose question was cancelled is given up: the
    next question opens another. So it does where the server has closed one that was idle.

    Args:
        redis: a client whose connections lead out of this process; its address counts.
    """

    def __init__(self, redis: Redis) -> None:
        self._connection = cast("Any", redis.connection_pool).make_connection()
        self._wire: _Wire | None = None

    async def ask(self, commands: Sequence[Command], *, within: float) -> list[Any]:
        """The replies, in order; an error of the server is one of them.

        Args:
            within: seconds, in all.

        Raises:
            RedisError: there is no connection, or it broke; what was asked may have been done.
            OSError: the same, or there was no answer in time.
        """
        packed = b"".join([hiredis.pack_command(cast("Any", tuple(command))) for command in commands])
        try:
            async with asyncio.timeout(within):
                if self._wire is None or self._wire.lost:
                    self._wire = await self._connected()
                replies = await self._wire.ask(packed, len(commands))
        except BaseException:
            await self._give_up()  # or a late reply would be taken for the next question's
            raise
        if any(isinstance(reply, ReadOnlyError) for reply in replies):
            await self._give_up()
        return replies

    @property
    def lost(self) -> bool:
        """Whether the server has closed the connection."""
        return self._wire is not None and self._wire.lost

    async def aclose(self) -> None:
        """Close the connection."""
        self._wire = None
        await self._connection.disconnect()

    async def _connected(self) -> "_Wire":
        await self._give_up()
        await self._connection.connect()
        transport = self._connection._writer.transport  # noqa: SLF001 - redis-py has no other way to it
        wire = _Wire(transport, transport.get_protocol())
        transport.set_protocol(wire)
        return wire

    async def _give_up(self) -> None:
        self._wire = None
        await self._connection.disconnect(nowait=True)


class _Wire(asyncio.Protocol):
    """A connection that redis-py has made, taken over.

    Args:
        before: what redis-py had there; it waits to be told of the end.
    """

    def __init__(self, transport: asyncio.Transport, before: asyncio.BaseProtocol) -> None:
        self.lost = False
        self._transport = transport
        self._before = before
        self._replies: list[Any] = []
        self._wanted = 0
        self._answer: asyncio.Future[list[Any]] | None = None
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )

    async def ask(self, packed: bytes, wanted: int) -> list[Any]:
        self._replies, self._wanted = [], wanted
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(packed)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _NOTHING:
            self._replies.append(reply)
        answer = self._answer
        if answer is not None and len(self._replies) >= self._wanted and not answer.done():
            answer.set_result(self._replies)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("it closed the connection"))
        self._before.connection_lost(error)
