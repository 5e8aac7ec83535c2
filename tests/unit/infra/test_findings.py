"""The rules that doctor, /readyz and the alerts share: each trouble, planted, is found; a sound system is silent."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.findings import NO_WORKER, Finding, Seen, Severity, of_records, of_server, of_workers
from infra.ledger.archiving import ArchiveStanding
from infra.ledger.overview import LiveWorker, Volume
from infra.ledger.pauses import Held, Pause
from infra.ledger.reading import QueueCounts
from infra.ledger.records import HandlerEntry
from infra.store import Facts

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
MIB = 1 << 20
SOUND_SERVER: dict[str, Any] = {
    "name": "Valkey 9.1.2",
    "append_only": True,
    "fsync": "everysec",
    "writes_fail": "",
    "eviction": "noeviction",
    "memory_used": 79 * MIB,
    "memory_most": 100 * MIB,
    "memory_of_machine": 80 * MIB,
    "clock_off": timedelta(seconds=5),
    "fork": timedelta(milliseconds=999),
    "scripts": 40,
    "cluster": False,
    "replica": False,
}
WORKER = LiveWorker("w1", "host", ("high", "default"))
ENTRY = HandlerEntry(source="acme", type="*", handler="handlers.acme:any")
E, W = Severity.ERROR, Severity.WARNING


def seen(**values: Any) -> Seen:
    return Seen(**{"now": NOW, "workers": [WORKER], "entries": [ENTRY], "waiting_since": {}} | values)


def assert_told(found: Iterable[Finding], severity: Severity, code: str, *words: str) -> None:
    """Exactly one finding, which says so, why, and how to mend it."""
    (finding,) = found
    assert (finding.severity, finding.code) == (severity, code)
    assert all(word in finding.text for word in words), finding.text
    assert finding.what
    assert finding.why
    assert finding.cure


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"memory_most": 0, "memory_of_machine": 100 * MIB},
        {"memory_most": 0, "memory_of_machine": 0},
        {"fsync": None},
        {"fsync": "always"},
        {"name": "Redis 7.2.11"},
        {"name": "Valkey 8.1.4"},
        {"name": "Redis unstable"},
    ],
)
def test_a_sound_server_gives_no_finding(facts: dict[str, Any]) -> None:
    assert list(of_server(Facts(**SOUND_SERVER | facts))) == []


@pytest.mark.parametrize(
    ("facts", "severity", "code", "words"),
    [
        ({"name": "Redis 6.2.14"}, E, "server-old", "too old"),
        ({"name": "Valkey 7.1.0"}, E, "server-old", "too old"),
        ({"name": "Redis 7.0.15"}, W, "server-version", "CVE-2025-49844"),
        ({"name": "Redis 7.2.10"}, W, "server-version", "CVE-2025-49844"),
        ({"name": "Valkey 8.1.3"}, W, "server-version", "CVE-2025-49844"),
        ({"name": "Valkey 9.0.2"}, W, "server-version", "CVE-2025-67733"),
        ({"cluster": True}, E, "redis-cluster", "cluster"),
        ({"replica": True}, E, "redis-replica", "replica"),
        ({"append_only": False}, E, "redis-no-aof", "append-only"),
        ({"fsync": "no"}, E, "redis-no-fsync", "appendfsync no"),
        (
            {"writes_fail": "the append-only file can't be written"},
            E,
            "redis-writes-fail",
            "refuses writes: the append-only file",
        ),
        ({"eviction": "allkeys-lru"}, E, "redis-evicts", "allkeys-lru"),
        ({"memory_used": 80 * MIB}, W, "redis-memory", "80% of its memory (80 of 100 MiB)"),
        ({"memory_used": 100 * MIB}, E, "redis-memory", "100%"),
        ({"memory_most": 0}, W, "redis-memory", "99% of its machine's memory"),
        ({"clock_off": timedelta(seconds=6)}, W, "clock-off", "6 s ahead"),
        ({"clock_off": timedelta(minutes=-1)}, W, "clock-off", "60 s behind"),
        ({"fork": timedelta(seconds=1.2)}, W, "redis-fork", "1.2 s"),
        ({"scripts": 401}, W, "redis-scripts", "401 scripts"),
    ],
)
def test_a_server_that_could_lose_data_is_told(
    facts: dict[str, Any], severity: Severity, code: str, words: str
) -> None:
    assert_told(of_server(Facts(**SOUND_SERVER | facts)), severity, code, words)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (Volume(jobs=10_000, came=2_000, goes=0), None),  # 50 MiB for ten thousand: a day takes 10 of 100
        (Volume(jobs=10_000, came=2_600, goes=0), "full in 6 days"),
        (Volume(jobs=10_000, came=8_000, goes=0), "full in 2 days"),
        (Volume(jobs=10_000, came=8_000, goes=8_000), None),  # as many are past retention as come
        (Volume(jobs=900, came=900, goes=0), None),  # too few to tell
    ],
)
def test_memory_that_lasts_less_than_a_week_is_told(volume: Volume, words: str | None) -> None:
    server = Facts(
        **SOUND_SERVER | {"memory_used": 52 * MIB, "memory_at_start": 2 * MIB, "memory_most": 140 * MIB}
    )
    if words is None:
        assert list(of_server(server, volume)) == []
    else:
        assert_told(of_server(server, volume), W, "redis-memory", words)


def test_work_that_is_done_gives_no_finding() -> None:
    looked = seen(
        queues=[QueueCounts("default", 3, 0, 1, 0), QueueCounts("low", 0, 0, 0, 0)],
        waiting_since={"default": NOW - timedelta(minutes=5)},
        entries=[ENTRY, ENTRY],
        ignored=[("acme", "paid")],  # a worker has a handler by now
    )
    assert [*of_workers(looked), *of_records(looked)] == []


@pytest.mark.parametrize(
    ("values", "severity", "code", "words"),
    [
        ({"workers": []}, E, "no-worker", "no worker is alive"),
        ({"queues": [QueueCounts("low", 2, 1, 0, 0)]}, E, "queue-unserved", "3 jobs"),
        (
            {"entries": [ENTRY, HandlerEntry(source="acme", type="*", handler="old:any")]},
            W,
            "handler-twice",
            "different handlers for acme *: handlers.acme:any, old:any",
        ),
        (
            {"ignored": [("github", "push")]},
            W,
            "type-unknown",
            "no live worker has a handler for github push",
        ),
        (
            {
                "queues": [QueueCounts("high", 4, 0, 0, 0)],
                "waiting_since": {"high": NOW - timedelta(minutes=6)},
            },
            W,
            "queue-late",
            "queue high was queued 6 min ago: 4 jobs there",
        ),
        (
            {
                "queues": [QueueCounts("high", 4, 0, 0, 0)],
                "waiting_since": {"high": NOW - timedelta(minutes=6)},
                "pauses": [Pause(Held.QUEUE, "high", "ada", NOW - timedelta(minutes=7))],
            },
            W,
            "queue-paused",
            "queue high is paused: its jobs wait; paused by ada 7 min ago",
        ),
        ({"pauses": [Pause(Held.HANDLER, "m:f", "", None)]}, W, "handler-paused", "paused by somebody"),
    ],
)
def test_work_that_nobody_does_is_told(
    values: dict[str, Any], severity: Severity, code: str, words: str
) -> None:
    assert_told(of_workers(seen(**values)), severity, code, words)


@pytest.mark.parametrize(
    ("values", "severity", "code", "words"),
    [
        ({"sealed_by_others": True}, E, "key-differs", "sealed with our HOOKLINE_SECRET_KEY"),
        ({"quarantined": ["job_1"]}, W, "quarantined", "1 record put aside: job_1"),
        ({"corrupt": ["a", "b", "c", "d"]}, W, "corrupt", "4 keys of the wrong kind moved away: a, b, c, …"),
        (
            {"queues": [QueueCounts("high", 0, 0, 0, 1), QueueCounts("low", 0, 0, 0, 1)]},
            W,
            "jobs-given-up",
            "2 jobs given up",
        ),
        ({"dead_callbacks": 2}, W, "callbacks-given-up", "2 callbacks given up"),
        ({"paused_receivers": ["rcv_1"]}, W, "receivers-paused", "1 receiver paused: rcv_1"),
        (
            {
                "archive": ArchiveStanding(
                    archived=0, done_at=None, failing_since=NOW - timedelta(hours=2), error="gone"
                )
            },
            W,
            "archive-away",
            "began to fail 2 h ago: gone",
        ),
    ],
)
def test_what_waits_for_a_person_is_told(
    values: dict[str, Any], severity: Severity, code: str, words: str
) -> None:
    assert_told(of_records(seen(**values)), severity, code, words)


def test_an_archive_that_works_is_nothing_to_tell() -> None:
    works = ArchiveStanding(archived=7, done_at=NOW, failing_since=None, error="")
    assert list(of_records(seen(archive=works))) == []


def test_without_a_worker_nothing_else_is_said_of_the_queues() -> None:
    full = seen(
        workers=[], queues=[QueueCounts("low", 2, 1, 0, 0)], waiting_since={"low": NOW - timedelta(days=1)}
    )
    assert list(of_workers(full)) == [NO_WORKER]
