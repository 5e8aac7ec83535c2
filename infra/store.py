"""What stands behind the ledger: facts about the server that decide what can be lost.

A Redis inside the process (`memory`) has none of them to tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.clock import Clock, SystemClock
from infra.ledger import LedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A server, as far as it matters.

    Args:
        name: with its version, such as ``Valkey 9.1.2``.
        append_only: whether every write goes to a file.
        writes_fail: why writes are refused just now; empty when they are not.
        eviction: the policy for a full memory; anything but ``noeviction`` deletes records.
        memory_used, memory_most: in bytes; `memory_most` is 0 without a limit.
        clock_off: how far its clock is ahead of ours.
    """

    name: str
    append_only: bool
    writes_fail: str
    eviction: str
    memory_used: int
    memory_most: int
    clock_off: timedelta
    cluster: bool
    replica: bool

    def troubles(self) -> list[str]:
        """What would lose acknowledged events, in words; empty on a sound server."""
        found = []
        if self.cluster:
            found.append("it is a Redis Cluster, and RQ's keys can't live in one: give it a single server")
        if self.replica:
            found.append("it is a read-only replica: give it the primary")
        if not self.append_only:
            found.append("it keeps no append-only file: set `appendonly yes`")
        if self.writes_fail:
            found.append(f"its writes fail: {self.writes_fail}")
        if 0 < self.memory_most <= self.memory_used:
            found.append("its memory is full: raise `maxmemory`")
        if self.eviction != "noeviction":
            found.append(
                f"it deletes records when its memory is full: set `maxmemory-policy noeviction`, not {self.eviction}"
            )
        return found


async def facts(redis: Redis, *, clock: Clock | None = None) -> Facts:
    """Ask the server.

    Args:
        clock: ours; the machine's when left out.

    Raises:
        LedgerError: it does not answer, or refuses to.
    """
    client = cast("Any", redis)
    clock = SystemClock() if clock is None else clock
    try:
        info = await client.info()
        asked_at = clock.now()
        seconds, microseconds = await client.time()
    except (RedisError, OSError) as error:
        raise LedgerError(f"Redis does not answer: {type(error).__name__}") from error
    told_at = datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)
    server = "Valkey" if "valkey_version" in info else "Redis"
    return Facts(
        name=f"{server} {info.get(f'{server.lower()}_version', '')}".rstrip(),
        append_only=bool(info.get("aof_enabled")),
        writes_fail=_why_writes_fail(info),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        memory_used=int(info.get("used_memory", 0)),
        memory_most=int(info.get("maxmemory", 0)),
        clock_off=told_at - asked_at,
        cluster=bool(info.get("cluster_enabled")),
        replica=info.get("role", "master") != "master",
    )


def _why_writes_fail(info: Mapping[str, Any]) -> str:
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        return "the append-only file can't be written"
    if (
        info.get("rdb_last_bgsave_status", "ok") != "ok"
        and int(info.get("rdb_changes_since_last_save", 0)) > 0
    ):
        return "the last snapshot could not be written"
    return ""
