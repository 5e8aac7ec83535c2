"""What stands behind the ledger: facts about the server that decide what can be lost.

A Redis inside the process (`memory`) has none of them to tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from infra.clock import Clock, SystemClock
from infra.ledger import LedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A server, as far as it matters.

    Args:
        name: with its version, such as ``Valkey 9.1.2``.
        append_only: whether every write goes to a file.
        fsync: ``always``, ``everysec`` or ``no``; None where it would not say, as many managed servers.
        writes_fail: why writes are refused just now; empty when they are not.
        eviction: the policy for a full memory; anything but ``noeviction`` deletes records.
        memory_used, memory_most: in bytes; `memory_most` is 0 without a limit.
        memory_at_start: what an empty server takes. `memory_of_machine`: what there is; 0 where it would not say.
        clock_off: how far its clock is ahead of ours.
        fork: how long it stood still for its last snapshot.
        scripts: how many it holds.
    """

    name: str
    append_only: bool
    fsync: str | None
    writes_fail: str
    eviction: str
    memory_used: int
    memory_most: int
    memory_at_start: int = 0
    memory_of_machine: int = 0
    clock_off: timedelta
    fork: timedelta = timedelta(0)
    scripts: int = 0
    cluster: bool
    replica: bool


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
        fsync = await _fsync(client)
    except (RedisError, OSError) as error:
        raise LedgerError(f"Redis does not answer: {type(error).__name__}") from error
    told_at = datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)
    server = "Valkey" if "valkey_version" in info else "Redis"
    return Facts(
        name=f"{server} {info.get(f'{server.lower()}_version', '')}".rstrip(),
        append_only=bool(info.get("aof_enabled")),
        fsync=fsync,
        writes_fail=_why_writes_fail(info),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        memory_used=int(info.get("used_memory", 0)),
        memory_most=int(info.get("maxmemory", 0)),
        memory_at_start=int(info.get("used_memory_startup", 0)),
        memory_of_machine=int(info.get("total_system_memory", 0)),
        clock_off=told_at - asked_at,
        fork=timedelta(microseconds=int(info.get("latest_fork_usec", 0))),
        scripts=int(info.get("number_of_cached_scripts", 0)),
        cluster=bool(info.get("cluster_enabled")),
        replica=info.get("role", "master") != "master",
    )


async def _fsync(client: Any) -> str | None:
    """As it is set; None where CONFIG may not be used."""
    try:
        held = await client.config_get("appendfsync")
    except ResponseError:
        return None
    return cast("str | None", held.get("appendfsync"))


def _why_writes_fail(info: Mapping[str, Any]) -> str:
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        return "the append-only file can't be written"
    if (
        info.get("rdb_last_bgsave_status", "ok") != "ok"
        and int(info.get("rdb_changes_since_last_save", 0)) > 0
    ):
        return "the last snapshot could not be written"
    return ""
