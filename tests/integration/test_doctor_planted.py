"""``hookline doctor`` over a real server and a real ledger: silent while all is sound, and whatever is planted it finds, and nothing else."""

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from infra.cli import hookline
from infra.clock import ManualClock
from infra.ledger import Ledger, Seal, keys
from infra.ledger.records import CallbackStatus, HandlerEntry
from infra.ledger.records.work import Ignored
from infra.store import Facts, facts
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FAILED, HANDLER, HOUR, Bench

pytestmark = [pytest.mark.needs_server, pytest.mark.usefixtures("elsewhere")]

KEY: Final = "a key of more than sixteen characters"
SECRET: Final = "a secret of more than sixteen characters"
ENTRY: Final = HandlerEntry(source="acme", type="*", handler=HANDLER)
SOUND: Final = {
    "HOOKLINE_SECRET_KEY": KEY,
    "HOOKLINE_PUBLIC_URL": "https://hooks.example.com",
    "HOOKLINE_SOURCES": "/nowhere/sources.toml",
    "SOURCE_ACME_PROVIDER": "bearer",
    "SOURCE_ACME_SECRET": SECRET,
}


class House:
    """A ledger, and doctor, who looks at it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sequences = count(1)

    def found(self, *, url: str | None = None, **environ: str | None) -> list[tuple[str, str]]:
        """The severity and the code of each of doctor's findings."""
        foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
        settings = {**SOUND, "REDIS_URL": url or self._store.url, **environ}
        done = CliRunner(env=foreign | settings).invoke(hookline, ["doctor", "--json"])
        assert done.stderr == ""
        found = [(one["severity"], one["code"]) for one in json.loads(done.stdout)["findings"]]
        assert done.exit_code == any(severity == "error" for severity, _ in found)
        return found

    def do(self, *acts: Callable[[Bench], Awaitable[Any]]) -> None:
        async def doing() -> None:
            async with self._store.connect() as client:
                ledger = Ledger(client, seal=Seal([KEY]))
                bench = Bench(ledger, client, self._store, sequences=self._sequences)
                for act in acts:
                    await act(bench)

        asyncio.run(doing())


async def works(bench: Bench) -> None:
    """A worker is alive, and has run something."""
    await bench.renew(manifest=[ENTRY], lease=HOUR)
    await bench.accept()
    await bench.run_all("w1")


@pytest.fixture
def house(valkey_store: Store) -> House:
    made = House(valkey_store)
    made.do(works)
    return made


async def queue_that_nobody_serves(bench: Bench) -> None:
    await bench.accept(queue="odd")


async def old_job(bench: Bench) -> None:
    job = await bench.accept()
    await bench.client.hset(keys.JOB + job.job_id, "enqueued_at", "2026-01-01T00:00:00.000000Z")


async def poisoned_record(bench: Bench) -> None:
    job = await bench.accept()
    await bench.client.hset(keys.EVENT + job.event_id, "body", "changed")
    assert await bench.claim() == []


async def key_of_the_wrong_kind(bench: Bench) -> None:
    await bench.client.set(keys.QUEUE + "default", "mine")
    await bench.accept()
    await bench.run_all()


async def two_handlers_for_one_type(bench: Bench) -> None:
    other = HandlerEntry(source="acme", type="*", handler="handlers.other:taken")
    await bench.renew("w2", manifest=[other], lease=HOUR)


async def type_that_no_worker_knows(bench: Bench) -> None:
    claim = await bench.take(source="github", type="push")
    await bench.settle(Ignored(), claim)


async def dead_job(bench: Bench) -> None:
    await bench.settle(FAILED, await bench.take())


async def dead_callback(bench: Bench, **answer: Any) -> None:
    await bench.accept(callback_url=CALLBACK_URL)
    await bench.run_all()
    (due,) = await bench.due()
    await bench.record(due, CallbackStatus.DEAD, reason="gave up", **answer)


async def paused_receiver(bench: Bench) -> None:
    await dead_callback(bench, http_status=410)


async def nobody_works(bench: Bench) -> None:
    await bench.ledger.workers.depart("w1", queues=["default"])


E, W = "error", "warning"
PLANTED: Final = [
    (queue_that_nobody_serves, [(E, "queue-unserved")]),
    (old_job, [(W, "queue-late")]),
    (poisoned_record, [(W, "quarantined"), (W, "jobs-given-up")]),
    (key_of_the_wrong_kind, [(W, "corrupt")]),
    (two_handlers_for_one_type, [(W, "handler-twice")]),
    (type_that_no_worker_knows, [(W, "type-unknown")]),
    (dead_job, [(W, "jobs-given-up")]),
    (dead_callback, [(W, "callbacks-given-up")]),
    (paused_receiver, [(W, "callbacks-given-up"), (W, "receivers-paused")]),
    (nobody_works, [(E, "no-worker")]),
]


@pytest.mark.parametrize(("plant", "told"), PLANTED, ids=lambda one: getattr(one, "__name__", None))
def test_what_is_planted_in_the_ledger_is_found_and_nothing_else(
    house: House, plant: Callable[[Bench], Awaitable[None]], told: list[tuple[str, str]]
) -> None:
    assert house.found() == []
    house.do(plant)
    assert house.found() == told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"HOOKLINE_SECRET_KEY": f"short,{KEY}"}, (W, "secret-key")),
        ({"HOOKLINE_PUBLIC_URL": None}, (W, "public-url")),
        ({"HOOKLINE_API_KEYS": "shop:key"}, (E, "callback-secret")),
        ({"SOURCE_ACME_SECRET": "short"}, (W, "source-secret")),
        ({"HOOKLINE_QUEUES": "odd", "SOURCE_ACME_QUEUE": "odd"}, (W, "queue-unserved")),
        ({"SOURCE_GITHUB_SECRET": SECRET}, (W, "source-unknown")),
    ],
    ids=str,
)
def test_what_is_planted_in_the_settings_is_found_and_nothing_else(
    house: House, changed: dict[str, str | None], told: tuple[str, str]
) -> None:
    assert house.found(**changed) == [told]


def test_a_source_without_a_secret_is_found(house: House, tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text('[acme]\nprovider = "bearer"\nsecret = "env:NOT_SET"\n')
    changed = {"HOOKLINE_SOURCES": str(tmp_path / "sources.toml")}
    assert (W, "source-secret") in house.found(SOURCE_ACME_SECRET=None, SOURCE_ACME_PROVIDER=None, **changed)


def test_a_server_of_a_bad_version_and_a_clock_that_is_a_minute_off_are_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither can be had here: the server's answers are changed on the way, and our own clock."""

    async def changed(client: Redis) -> Facts:
        clock = ManualClock(datetime.now(UTC) + timedelta(minutes=1))
        return replace(await facts(client, clock=clock), name="Valkey 9.0.2")

    monkeypatch.setattr("infra.cli.doctor.facts", changed)
    assert house.found() == [(W, "server-version"), (W, "clock-off")]


def test_a_full_disk_is_found(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.found(HOOKLINE_FILES=str(tmp_path)) == []
    full = SimpleNamespace(total=100 << 30, used=99 << 30, free=1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert house.found(HOOKLINE_FILES=str(tmp_path)) == [(W, "disk-full")]


def test_each_of_several_servers_is_looked_at(house: House, valkey_store: Store) -> None:
    shards = f"{valkey_store.url} unix:///nowhere/redis.sock"
    assert house.found(HOOKLINE_SHARDS=shards) == [(E, "redis-away")]
    house.do(nobody_works)
    told = [(E, "no-worker"), (E, "redis-away")]
    assert house.found(HOOKLINE_SHARDS=shards, REDIS_URL=None) == told
