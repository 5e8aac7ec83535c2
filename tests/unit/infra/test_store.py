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
        self,
        info: dict[str, Any],
        *,
        ahead: timedelta = timedelta(0),
        fsync: str | Exception = "everysec",
        trouble: Exception | None = None,
    ) -> None:
        self._fsync = fsync
        self._info = info
        self._time = (NOW + ahead).timestamp()
        self._trouble = trouble

    async def info(self) -> dict[str, Any]:
        if self._trouble is not None:
            raise self._trouble
        return self._info

    async def config_get(self, name: str) -> dict[str, str]:
        if isinstance(self._fsync, Exception):
            raise self._fsync
        return {name: self._fsync}

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


@pytest.mark.parametrize(
    ("info", "fsync", "expected"),
    [
        (
            {},
            "everysec",
            {"append_only": True, "fsync": "everysec", "writes_fail": "", "eviction": "noeviction"},
        ),
        ({"aof_enabled": 0}, "no", {"append_only": False, "fsync": "no"}),
        ({}, NoPermissionError("no"), {"fsync": None}),
        ({"aof_last_write_status": "err"}, "no", {"writes_fail": "the append-only file can't be written"}),
        ({"rdb_last_bgsave_status": "err"}, "no", {"writes_fail": "the last snapshot could not be written"}),
        ({"rdb_last_bgsave_status": "err", "rdb_changes_since_last_save": 0}, "no", {"writes_fail": ""}),
        ({"maxmemory_policy": "volatile-ttl"}, "no", {"eviction": "volatile-ttl"}),
        (
            {"total_system_memory": 200, "used_memory_startup": 7},
            "no",
            {"memory_used": 50, "memory_most": 100, "memory_of_machine": 200, "memory_at_start": 7},
        ),
        ({"latest_fork_usec": 1_500_000}, "no", {"fork": timedelta(seconds=1.5)}),
        ({"number_of_cached_scripts": 41}, "no", {"scripts": 41}),
        ({"cluster_enabled": 1}, "no", {"cluster": True}),
        ({"role": "slave"}, "no", {"replica": True}),
    ],
)
def test_what_matters_is_read_off_the_server(
    info: dict[str, Any], fsync: str | Exception, expected: dict[str, Any]
) -> None:
    found = of(Server(SOUND | info, fsync=fsync))
    assert {name: getattr(found, name) for name in expected} == expected


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
