"""Connections to Redis or Valkey, made from one address.

Clients speak RESP2, answer in bytes, and never repeat a command by themselves: the ledger's scripts may be run again
safely, and whoever calls them decides when. Nothing connects before its first command.
"""

import logging
import re
import socket
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import hiredis
import redis
import redis.asyncio
import redis.asyncio.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.typing import EncodableT

from infra import redis_sentinel
from infra.settings import SettingsError

if TYPE_CHECKING:
    from fakeredis import FakeServer

_log = logging.getLogger(__name__)

# A peer that vanished without a word is noticed within about a minute, though a blocking client sends nothing by itself.
_PROBES = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
_DATABASE = re.compile(r"/?|/[0-9]{1,5}/?", re.ASCII)
_OPTIONS = frozenset({"db", "username", "password"})
_TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)
_SENTINEL = "sentinel://"
_UNREADABLE = "REDIS_URL: can't be read; in its password, write / ? # @ and % as %2F %3F %23 %40 and %25"


class _Swift:
    """Commands are packed in C: redis-py packs its blocking clients' so, and its asynchronous ones' in Python, six times
    slower, which is what a batch of a hundred jobs spends most of its time on. And they leave at once: uvloop would keep them
    until everything that is ready has run, a hundred handlers for instance, with an idle Redis meanwhile."""

    async def _connect(self: Any) -> None:
        await super()._connect()  # type: ignore[misc]  # of redis-py's class, which stands behind this one
        self._writer.transport.set_write_buffer_limits(0)

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        name, *rest = args
        words = name.split(" ") if isinstance(name, str) else [name]
        return [hiredis.pack_command((*words, *rest))]


class _Connection(_Swift, redis.asyncio.Connection):
    pass


class _SSLConnection(_Swift, redis.asyncio.SSLConnection):
    pass


class _UnixDomainSocketConnection(_Swift, redis.asyncio.UnixDomainSocketConnection):
    pass


class _SentinelConnection(_Swift, redis.asyncio.sentinel.SentinelManagedConnection):
    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Ask the sentinels first, where redis-py's own way would take the last address, or none."""
        await self.connect()  # type: ignore[no-untyped-call]
        await super().send_packed_command(command, check_health)


_SWIFT: dict[type, type] = {
    redis.asyncio.Connection: _Connection,
    redis.asyncio.SSLConnection: _SSLConnection,
    redis.asyncio.UnixDomainSocketConnection: _UnixDomainSocketConnection,
}


class Memory(NamedTuple):
    """One Redis inside this process, for code in a loop and for code in a thread."""

    asynchronous: redis.asyncio.Redis
    synchronous: redis.Redis


def connect(url: str, *, blocking: bool = False, name: str = "hookline") -> redis.asyncio.Redis:
    """A client for code that runs in a loop.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``sentinel://``.
        blocking: for commands that wait in the server (BLMOVE, XREAD BLOCK): an answer may take as long as it likes.
        name: what ``CLIENT LIST`` shows.

    Raises:
        SettingsError: we can't use such an address; the text holds no part of it.
    """
    options = _options(url, blocking=blocking, name=name) | {"retry": AsyncRetry(NoBackoff(), 0)}
    if url.startswith(_SENTINEL):
        return redis_sentinel.client(redis_sentinel.read(url), options, connection_class=_SentinelConnection)
    client = redis.asyncio.Redis.from_url(_usable(url), **options)
    pool = client.connection_pool
    pool.connection_class = _SWIFT[pool.connection_class]
    return client


def connect_sync(url: str, *, blocking: bool = False, name: str = "hookline") -> redis.Redis:
    """The same for code that runs in a thread, or before there is a loop."""
    options = _options(url, blocking=blocking, name=name) | {"retry": Retry(NoBackoff(), 0)}
    if url.startswith(_SENTINEL):
        return redis_sentinel.client_sync(redis_sentinel.read(url), options)
    return redis.Redis.from_url(_usable(url), **options)


def memory(server: "FakeServer | None" = None) -> Memory:
    """A Redis that lives and dies with this process: for ``hookline serve`` without Redis, and for tests.

    Args:
        server: one that other clients share; a new, empty one when left out.
    """
    import fakeredis  # noqa: PLC0415  a third of a second that a process with a real server need not spend

    server = fakeredis.FakeServer() if server is None else server
    return Memory(
        fakeredis.FakeAsyncRedis(server=server, protocol=2), fakeredis.FakeRedis(server=server, protocol=2)
    )


def leads_out(client: redis.asyncio.Redis) -> bool:
    """Whether a client's connections lead to a server, and not into this process."""
    return issubclass(client.connection_pool.connection_class, _Swift)


def _options(url: str, *, blocking: bool, name: str) -> dict[str, Any]:
    """What both kinds of client are made with; the times are seconds."""
    kept_alive = (
        {} if url.startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": _PROBES}
    )
    return kept_alive | {
        "client_name": name,
        "decode_responses": False,
        "health_check_interval": 30,
        "max_connections": 1024,
        "protocol": 2,
        "socket_connect_timeout": 5.0,
        "socket_timeout": None if blocking else 5.0,
    }


def _parts(url: str) -> SplitResult:
    """The address taken apart, if it is one of ours."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise SettingsError(_UNREADABLE) from None
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise SettingsError(
            "REDIS_URL: needs an address that starts with redis://, rediss://, unix:// or sentinel://"
        )
    if parts.scheme == "unix" and (parts.hostname or not parts.path):
        raise SettingsError("REDIS_URL: unix:// needs a whole path, such as unix:///run/redis.sock")
    if parts.scheme != "unix" and not (parts.hostname and _DATABASE.fullmatch(parts.path)):
        raise SettingsError(_UNREADABLE)
    if parts.fragment or "@" in parts.path + parts.query:
        raise SettingsError(_UNREADABLE)
    return parts


def _usable(url: str) -> str:
    """The address without what only other clients understand."""
    parts = _parts(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.pop("family", None) is not None:
        _log.warning(
            "REDIS_URL: ?family= is for Node's clients and was dropped; ours take IPv4 and IPv6 alike"
        )
    known = _OPTIONS | _TLS_OPTIONS if parts.scheme == "rediss" else _OPTIONS
    if not options.keys() <= known:
        raise SettingsError(f"REDIS_URL: after the ? only these are understood: {', '.join(sorted(known))}")
    if not options.get("db", "0").isdecimal():
        raise SettingsError("REDIS_URL: db needs a number")
    address = url.partition("?")[0]
    return f"{address}?{urlencode(options)}" if options else address
