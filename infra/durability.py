"""How an answer can wait until the disk has what it promises (``HOOKLINE_DURABILITY=always``).

Redis writes into its append-only file before it answers. When that reaches the disk is another matter, and there are two
ways to know:

- With ``appendfsync always`` Redis answers after the fsync.
- ``WAITAOF`` answers when what this connection wrote is on disk; with ``appendfsync everysec`` that is up to a second later.
  From Redis 8.0 on: Redis 7.4, and Valkey up to 9.1, answer too early there (https://github.com/redis/redis/pull/13793).
"""

import re
from enum import Enum
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError, ResponseError

from infra.settings import SettingsError

_WAITAOF_SINCE: Final = (7, 2)  # in Redis and in Valkey
_BELIEVED_SINCE: Final = {"Redis": (8, 0)}  # where it fsyncs once a second
_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)


class Fsync(Enum):
    """What an answer waits for."""

    NOTHING = "nothing"
    ANSWER = "the server's answer, which comes after the fsync"
    WAITAOF = "that, and WAITAOF, by which a change of its settings shows"
    NEXT_SECOND = "WAITAOF, which takes up to a second"


def way_of(*, name: str, version: str, append_only: bool, appendfsync: str | None) -> Fsync | None:
    """How to know that a server's disk has something; None: it can't be known.

    Args:
        name: ``Redis`` or ``Valkey``.
        appendfsync: as it is set; None where it would not say.

    >>> way_of(name="Valkey", version="9.1.2", append_only=True, appendfsync="always")
    <Fsync.WAITAOF: 'that, and WAITAOF, by which a change of its settings shows'>
    >>> way_of(name="Valkey", version="9.1.2", append_only=True, appendfsync="everysec") is None
    True
    """
    numbers = tuple(map(int, found.groups())) if (found := _VERSION.match(version)) else (0, 0)
    if not append_only or appendfsync == "no":
        return None
    if appendfsync == "always":
        return Fsync.WAITAOF if numbers >= _WAITAOF_SINCE else Fsync.ANSWER
    believed_since = _BELIEVED_SINCE.get(name)
    return Fsync.NEXT_SECOND if believed_since is not None and numbers >= believed_since else None


def ask_for_fsync(client: redis.Redis) -> Fsync:
    """How this server lets us know.

    Raises:
        SettingsError: not at all, or it does not answer.
    """
    try:
        info: dict[str, Any] = client.info()
        appendfsync = _appendfsync(client)
    except (RedisError, OSError):
        raise SettingsError(
            "HOOKLINE_DURABILITY: Redis does not answer, so nobody knows whether it can be kept"
        ) from None
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get(f"{name.lower()}_version", ""))
    way = way_of(
        name=name, version=version, append_only=bool(info.get("aof_enabled")), appendfsync=appendfsync
    )
    if way is None:
        raise SettingsError(
            "HOOKLINE_DURABILITY: needs `appendonly yes` and `appendfsync always`, or Redis 8.0 or newer with `everysec`; "
            f"this {name} {version} can't keep it"
        )
    return way


def _appendfsync(client: redis.Redis) -> str | None:
    """As it is set; None where CONFIG may not be used, as on many managed servers."""
    try:
        held = cast("dict[str, str]", client.config_get("appendfsync"))
    except ResponseError:
        return None
    return held.get("appendfsync")
