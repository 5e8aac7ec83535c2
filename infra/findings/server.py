"""What a Redis does that loses acknowledged events, or soon will."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from infra.findings.finding import Finding, error, warning
from infra.findings.versions import of_version
from infra.ledger.overview import Volume
from infra.store import Facts
from infra.words import counted

_CLOCKS_APART: Final = timedelta(seconds=5)
_MEMORY_SHARE: Final = 0.8
_LEAST_DAYS: Final = 7
_SLOW_FORK: Final = timedelta(seconds=1)
_MANY_SCRIPTS: Final = 400  # Redis 7.4 and newer forget the oldest beyond 500
_MIB: Final = 1 << 20


def of_server(facts: Facts, volume: Volume | None = None) -> Iterator[Finding]:
    """What is wrong with the server.

    Args:
        volume: how much is kept, for how long the memory will last.
    """
    yield from of_version(facts.name)
    if facts.cluster:
        yield error(
            "redis-cluster", "Redis is a cluster", why="RQ's keys can't live in one", cure="give us a single server"
        )  # fmt: skip
    if facts.replica:
        yield error(
            "redis-replica", "Redis is a read-only replica", why="nothing can be accepted",
            cure="point REDIS_URL at the primary",
        )  # fmt: skip
    yield from _of_persistence(facts)
    if facts.eviction != "noeviction":
        yield error(
            "redis-evicts",
            f"Redis deletes records when its memory is full (maxmemory-policy {facts.eviction})",
            why="it takes what was accepted for a cache; only noeviction keeps it",
            cure="set `maxmemory-policy noeviction`",
        )
    yield from _of_memory(facts, volume)
    if abs(facts.clock_off) > _CLOCKS_APART:
        direction = "ahead of" if facts.clock_off > timedelta(0) else "behind"
        yield warning(
            "clock-off",
            f"Redis's clock is {abs(facts.clock_off).total_seconds():.0f} s {direction} this machine's",
            why="signatures and due times go by the clock",
            cure="let both follow a time server",
        )
    if facts.fork >= _SLOW_FORK:
        yield warning(
            "redis-fork",
            f"Redis stood still for {facts.fork.total_seconds():.1f} s as it forked for a snapshot",
            why="whoever sends something just then waits, or gives up",
            cure="turn transparent huge pages off, or keep less: HOOKLINE_RETENTION",
        )
    if facts.scripts > _MANY_SCRIPTS:
        yield warning(
            "redis-scripts",
            f"Redis holds {facts.scripts} scripts, and we have not a tenth of them",
            why="another program makes a new one at each call; ours are forgotten and sent again",
            cure="give Hookline a server of its own",
        )


def _of_persistence(facts: Facts) -> Iterator[Finding]:
    if not facts.append_only:
        yield error(
            "redis-no-aof",
            "Redis keeps no append-only file",
            why="a restart loses what was accepted",
            cure="set `appendonly yes`, and keep its directory on a disk that lasts",
        )
    elif facts.fsync == "no":
        yield error(
            "redis-no-fsync",
            "Redis never asks the disk to keep what it wrote (appendfsync no)",
            why="a crash of the machine loses what was accepted in half a minute",
            cure="set `appendfsync everysec`, or `always`",
        )
    if facts.writes_fail:
        yield error(
            "redis-writes-fail",
            f"Redis refuses writes: {facts.writes_fail}",
            why="nothing is accepted",
            cure="look at its disk: full, read-only or not there",
        )


def _of_memory(facts: Facts, volume: Volume | None) -> Iterator[Finding]:
    limit = facts.memory_most or facts.memory_of_machine
    if not limit:
        return
    share, days = facts.memory_used / limit, _days_left(facts, limit, volume)
    whose = "its memory" if facts.memory_most else "its machine's memory, and has no limit of its own"
    uses = f"Redis uses {share:.0%} of {whose} ({facts.memory_used // _MIB} of {limit // _MIB} MiB)"
    lasts = "" if days is None else f"; at the present growth it is full in {counted(days, 'day')}"
    cure = "raise `maxmemory`, or shorten HOOKLINE_RETENTION"
    why = "when it is full, nothing is accepted"
    if facts.memory_most and share >= 1:
        yield error("redis-memory", uses, why="nothing is accepted", cure=cure)
    elif share >= _MEMORY_SHARE or (days is not None and days < _LEAST_DAYS):
        yield warning("redis-memory", uses + lasts, why=why, cure=cure)


def _days_left(facts: Facts, limit: int, volume: Volume | None) -> int | None:
    """Whole days until the memory is full, if each day brings as much as the last one did; None: it does not grow."""
    if volume is None or not volume.grows:
        return None
    each = max(1.0, (facts.memory_used - facts.memory_at_start) / volume.jobs)
    return int(max(0, limit - facts.memory_used) / (each * (volume.came - volume.goes)))
