"""Which servers can say that the disk has something, and how."""

from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from infra.durability import Fsync, ask_for_fsync, way_of
from infra.settings import SettingsError


class Server:
    """Answers as a server does that is set up so."""

    def __init__(self, *, appendfsync: str | None = "everysec", **info: Any) -> None:
        self._info = {"aof_enabled": 1} | info
        self._appendfsync = appendfsync
        self.away = False

    def info(self) -> dict[str, Any]:
        if self.away:
            raise RedisError
        return self._info

    def config_get(self, name: str) -> dict[str, str]:
        if self._appendfsync is None:
            raise ResponseError("NOPERM this user has no permissions to run the 'config|get' command")
        return {name: self._appendfsync}


VALKEY = {"redis_version": "7.2.4", "valkey_version": "9.1.2"}


@pytest.mark.parametrize(
    ("server", "way"),
    [
        (Server(redis_version="7.0.15", appendfsync="always"), Fsync.ANSWER),
        (Server(redis_version="7.2.0", appendfsync="always"), Fsync.WAITAOF),
        (Server(redis_version="8.2.1", appendfsync="always"), Fsync.WAITAOF),
        (Server(**VALKEY, appendfsync="always"), Fsync.WAITAOF),
        (Server(redis_version="8.0.0"), Fsync.NEXT_SECOND),
        (Server(redis_version="8.0.0", appendfsync=None), Fsync.NEXT_SECOND),
    ],
)
def test_a_server_that_can_say_it_is_asked_its_own_way(server: Any, way: Fsync) -> None:
    assert ask_for_fsync(server) is way


@pytest.mark.parametrize(
    "server",
    [
        Server(redis_version="7.0.15"),
        Server(redis_version="7.4.2"),  # has WAITAOF, which answers too early
        Server(**VALKEY),
        Server(**VALKEY, appendfsync=None),
        Server(redis_version="8.0.0", appendfsync="no"),
        Server(redis_version="8.0.0", appendfsync="always", aof_enabled=0),
        Server(redis_version="unknown"),
        Server(),
    ],
)
def test_a_server_that_can_not_stops_the_start_with_one_line(server: Any) -> None:
    with pytest.raises(SettingsError, match=r"^HOOKLINE_DURABILITY: needs `appendonly yes` and [^\n]*$"):
        ask_for_fsync(server)


def test_a_server_that_does_not_answer_promises_nothing() -> None:
    server = Server(redis_version="8.0.0")
    server.away = True
    with pytest.raises(SettingsError, match="HOOKLINE_DURABILITY: Redis does not answer"):
        ask_for_fsync(server)  # type: ignore[arg-type]


def test_nothing_is_believed_of_a_server_that_is_not_known() -> None:
    assert way_of(name="KeyDB", version="99.0", append_only=True, appendfsync="everysec") is None
