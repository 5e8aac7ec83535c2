"""Facts about a server, from what its INFO says."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from infra.clock import ManualClock
from infra.ledger import LedgerError
from infra.store import Facts, facts

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
SOUND: dict[str, Any] = {
    "redis_version": "7.2.4",
    "valkey_version": "9.1.2",
    "role": "master",
    "cluster_enabled": 0,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "rdb_changes_since_last_save": 12,
    "maxmemory_policy": "noeviction",
    "used_memory": 50,
    "maxmemory": 100,
}


class Server:
    """Answers as a server would."""

    def __init__(
        self, info: dict[str, Any], *, ahead: timedelta = timedelta(0), trouble: Exception | None = None
    ) -> None:
        self._info = info
        self._time = (NOW + ahead).timestamp()
        self._trouble = trouble

    async def info(self) -> dict[str, Any]:
        if self._trouble is not None:
            raise self._trouble
        return self._info

    async def time(self) -> tuple[int, int]:
        return int(self._time), round(self._time % 1 * 1e6)


def of(server: Server) -> Facts:
    return asyncio.run(facts(cast("Any", server), clock=ManualClock(NOW)))


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (SOUND, "Valkey 9.1.2"),
        ({"redis_version": "7.0.15"}, "Redis 7.0.15"),
        ({}, "Redis"),
    ],
)
def test_a_server_is_known_by_its_name(info: dict[str, Any], name: str) -> None:
    assert of(Server(info)).name == name


def test_a_sound_server_gives_no_trouble() -> None:
    assert of(Server(SOUND)).troubles() == []
    assert of(Server(SOUND | {"maxmemory": 0})).troubles() == []
    assert (
        of(Server(SOUND | {"rdb_last_bgsave_status": "err", "rdb_changes_since_last_save": 0})).troubles()
        == []
    )


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"aof_enabled": 0}, "appendonly yes"),
        ({"aof_last_write_status": "err"}, "the append-only file can't be written"),
        ({"rdb_last_bgsave_status": "err"}, "the last snapshot could not be written"),
        ({"maxmemory_policy": "allkeys-lru"}, "not allkeys-lru"),
        ({"maxmemory_policy": "volatile-ttl"}, "not volatile-ttl"),
        ({"used_memory": 100}, "its memory is full"),
        ({"cluster_enabled": 1}, "Redis Cluster"),
        ({"role": "slave"}, "replica"),
    ],
)
def test_what_would_lose_events_is_said_in_words(info: dict[str, Any], words: str) -> None:
    (trouble,) = of(Server(SOUND | info)).troubles()
    assert words in trouble


def test_all_troubles_are_told() -> None:
    assert (
        len(
            of(
                Server(SOUND | {"aof_enabled": 0, "role": "slave", "maxmemory_policy": "allkeys-lfu"})
            ).troubles()
        )
        == 3
    )


@pytest.mark.parametrize("seconds", [-3600, -0.25, 0, 90])
def test_a_clock_that_is_off_is_measured_against_ours(seconds: float) -> None:
    assert of(Server(SOUND, ahead=timedelta(seconds=seconds))).clock_off == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "trouble",
    [RedisConnectionError("secret address"), NoPermissionError("no"), OSError("gone"), TimeoutError()],
)
def test_a_server_that_does_not_answer_is_an_error_without_its_address(trouble: Exception) -> None:
    with pytest.raises(LedgerError, match="Redis does not answer") as caught:
        of(Server(SOUND, trouble=trouble))
    assert "secret" not in str(caught.value)
