"""Why a web process is not ready, where Redis answers some questions and refuses others."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.ledger import Ledger, LedgerError
from ingest.api.readiness import Readiness


class Server:
    """What a Redis says of itself."""

    def __init__(self, **info: Any) -> None:
        self._info = {"redis_version": "8.2.2", "aof_enabled": 1, **info}

    async def info(self) -> dict[str, Any]:
        return self._info

    async def time(self) -> tuple[int, int]:
        return int(time.time()), 0

    async def config_get(self, _: str) -> dict[str, str]:
        return {"appendfsync": "everysec"}


async def refused() -> list[object]:
    raise LedgerError("ERR Script attempted to access a non local key in a cluster node")


def reasons(server: Server) -> list[str]:
    ledger = SimpleNamespace(redis=server, workers=SimpleNamespace(manifests=refused))
    return asyncio.run(Readiness(cast("Ledger", ledger), in_memory=False).reasons())


def test_a_cluster_is_named_though_it_refuses_our_scripts() -> None:
    assert reasons(Server(cluster_enabled=1)) == ["Redis is a cluster: RQ's keys can't live in one"]


def test_a_server_that_looks_sound_and_refuses_does_not_answer() -> None:
    with pytest.raises(LedgerError):
        reasons(Server())
