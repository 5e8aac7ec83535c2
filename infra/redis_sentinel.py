"""``sentinel://``: a primary that is asked for by its name, and asked for again after a failover.

``sentinel://user:password@one:26379,two:26379,three/primary/2`` names the sentinels, the primary as they call it, and a database;
user and password are Redis's. Sentinels with a password of their own get it by ``?sentinel_password=``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from infra.settings import SettingsError

_PORT: Final = 26379
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
_PATH: Final = re.compile(r"/([\w.-]+)(?:/([0-9]{1,5}))?/?", re.ASCII)
_OPTIONS: Final = frozenset({"sentinel_password"})
_UNREADABLE: Final = "REDIS_URL: can't be read; sentinels are named as sentinel://one:26379,two:26379/primary"


class Sentinels(NamedTuple):
    """Where sentinels are, and whom to ask them for.

    Args:
        options: redis-py's, for connections to the primary.
        own: the same for connections to the sentinels.
    """

    addresses: tuple[tuple[str, int], ...]
    primary: str
    options: Mapping[str, Any]
    own: Mapping[str, Any]


def read(url: str) -> Sentinels:
    """An address taken apart.

    Raises:
        SettingsError: it can't be used; the text holds no part of it.

    >>> read("sentinel://:hush@one,[::1]:5000/main/2").addresses
    (('one', 26379), ('::1', 5000))
    >>> read("sentinel://one")
    Traceback (most recent call last):
        ...
    infra.settings.SettingsError: REDIS_URL: can't be read; sentinels are named as sentinel://one:26379,two:26379/primary
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(_UNREADABLE) from None
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = [_HOST.fullmatch(host) for host in hosts.split(",")]
    path = _PATH.fullmatch(parts.path)
    if path is None or parts.fragment or "@" in parts.query:
        raise SettingsError(_UNREADABLE)
    found = []
    for address in addresses:
        if address is None or int(address[2] or _PORT) > 65_535:
            raise SettingsError(_UNREADABLE)
        found.append((address[1].strip("[]"), int(address[2] or _PORT)))
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not asked.keys() <= _OPTIONS:
        raise SettingsError(
            f"REDIS_URL: after the ? only these are understood: {', '.join(sorted(_OPTIONS))}"
        )
    user, _, password = credentials.partition(":")
    options: dict[str, Any] = {"db": int(path[2] or 0)}
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    own = {"password": asked["sentinel_password"]} if asked.get("sentinel_password") else {}
    return Sentinels(tuple(found), path[1], options, own)


class _Client(redis.asyncio.Redis):
    """redis-py's, that closes its connections to the sentinels too."""

    asking: Sequence[redis.asyncio.Redis] = ()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for asked in self.asking:
            await asked.aclose()


def client(
    sentinels: Sentinels, options: Mapping[str, Any], *, connection_class: type
) -> redis.asyncio.Redis:
    """A client of the primary, whichever server that is, for code in a loop.

    Args:
        options: redis-py's.
        connection_class: made of redis-py's own for this.
    """
    asking = redis.asyncio.sentinel.Sentinel(sentinels.addresses, sentinel_kwargs=_asking(sentinels, options))  # type: ignore[no-untyped-call]
    made: _Client = asking.master_for(
        sentinels.primary, _Client, **{**options, **sentinels.options}, connection_class=connection_class
    )
    made.asking = asking.sentinels
    return made


def client_sync(sentinels: Sentinels, options: Mapping[str, Any]) -> redis.Redis:
    """The same for code in a thread."""
    asking = redis.sentinel.Sentinel(sentinels.addresses, sentinel_kwargs=_asking(sentinels, options))  # type: ignore[no-untyped-call]
    made: redis.Redis = asking.master_for(sentinels.primary, **{**options, **sentinels.options})  # type: ignore[no-untyped-call]
    return made


def _asking(sentinels: Sentinels, options: Mapping[str, Any]) -> dict[str, Any]:
    """How sentinels are spoken to: shortly, and on connections of their own."""
    wanted = ("retry", "protocol", "client_name", "socket_connect_timeout")
    return {name: options[name] for name in wanted} | {"socket_timeout": 5.0, **sentinels.own}
