"""How the commands reach Redis."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis
import redis.asyncio

from infra.durability import Fsync, ask_for_fsync
from infra.ledger import Ledger
from infra.redis_client import connect, connect_sync, memory
from infra.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Connections:
    """How to reach Redis.

    Args:
        connect: a client for the ledger.
        connect_waiting: a client whose answers may take as long as they like.
        connect_sync: a client for RQ.
        in_memory: it lives in this process, and nothing outlives it.
    """

    connect: Callable[[], redis.asyncio.Redis]
    connect_waiting: Callable[[], redis.asyncio.Redis]
    connect_sync: Callable[[], redis.Redis]
    in_memory: bool

    @classmethod
    def of(cls, settings: Settings) -> "Connections":
        """To the server that the settings name.

        Raises:
            SettingsError: they name none, or in a way that we can't use.
        """
        url = settings.redis_url
        if url is None:
            raise SettingsError(
                "REDIS_URL: needed; `hookline dev` brings a server of its own, `hookline serve` does without"
            )
        connect_sync(url).close()  # says at start what is wrong with the address
        return cls(
            lambda: connect(url),
            lambda: connect(url, blocking=True),
            lambda: connect_sync(url),
            in_memory=False,
        )

    @classmethod
    def of_shards(cls, settings: Settings) -> "list[Connections]":
        """To each server of ``HOOKLINE_SHARDS``, by its number; without it, to the one of ``REDIS_URL``.

        Raises:
            SettingsError: as `of`, or there were not fewer before.
        """
        if settings.shards_before >= max(len(settings.shards), 1):
            raise SettingsError("HOOKLINE_SHARDS_BEFORE: needs fewer than HOOKLINE_SHARDS names")
        if not settings.shards:
            return [cls.of(settings)]
        try:
            return [cls.of(dataclasses.replace(settings, redis_url=url)) for url in settings.shards]
        except SettingsError as error:
            raise SettingsError(str(error).replace("REDIS_URL", "HOOKLINE_SHARDS", 1)) from None

    @classmethod
    def in_this_process(cls) -> "Connections":
        """A Redis of our own, in memory."""
        from fakeredis import FakeServer

        server = FakeServer()
        return cls(
            lambda: memory(server).asynchronous,
            lambda: memory(server).asynchronous,
            lambda: memory(server).synchronous,
            in_memory=True,
        )


def fsync_of(settings: Settings, connections: Connections) -> Fsync:
    """What 2xx waits for.

    Raises:
        SettingsError: more than Redis can give.
    """
    if settings.durability == "everysec":
        return Fsync.NOTHING
    if connections.in_memory:
        raise SettingsError("HOOKLINE_DURABILITY: can't be kept in memory; set REDIS_URL")
    with connections.connect_sync() as client:
        return ask_for_fsync(client)


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, for a command that looks.

    Raises:
        SettingsError: there is no Redis or no secret key to look with.
    """
    if not settings.secret_keys:
        raise SettingsError("HOOKLINE_SECRET_KEY: needed, the same as web's and worker's")
    async with Connections.of(settings).connect() as client:
        yield Ledger.of(client, settings)
