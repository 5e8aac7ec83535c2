"""Scripts that count once the server's disk has what they wrote, over a real server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from infra.ledger import Events, LedgerError
from infra.ledger.scripts import DedicatedScripts, FsyncedScripts
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, arrival, on

pytestmark = pytest.mark.needs_server


@pytest.fixture
def always(valkey_store: Store) -> Iterator[Store]:
    """A server that fsyncs before it answers."""
    with valkey_store.connect_sync() as client:
        client.config_set("appendfsync", "always")
        try:
            yield valkey_store
        finally:
            client.config_set("appendonly", "yes")
            client.config_set("appendfsync", "everysec")


def with_door(store: Store, check: Callable[[Bench, Events], Awaitable[None]]) -> None:
    async def scenario(bench: Bench) -> None:
        door = bench.ledger.events.dedicated(fsynced=True)
        try:
            await check(bench, door)
        finally:
            await door.aclose()

    on(store, scenario)


def test_what_is_on_disk_is_confirmed_also_where_the_server_has_to_learn_the_script(always: Store) -> None:
    async def check(bench: Bench, door: Events) -> None:
        await bench.client.script_flush()
        (first,) = await door.accept([arrival(provider_event_id="one")])
        (again,) = await door.accept([arrival(provider_event_id="one")])
        assert (first.duplicate, again.duplicate, again.event_id) == (False, True, first.event_id)

    with_door(always, check)


def test_without_a_file_nothing_is_confirmed(always: Store) -> None:
    async def check(bench: Bench, door: Events) -> None:
        await bench.client.config_set("appendonly", "no")
        with pytest.raises(LedgerError, match="did not confirm the fsync"):
            await door.accept([arrival()])

    with_door(always, check)


def test_a_duplicate_is_a_write_and_so_waits_for_the_fsync_of_the_first(always: Store) -> None:
    async def check(bench: Bench, door: Events) -> None:
        one = arrival(provider_event_id="one")
        for again in (one, one, arrival(provider_event_id="one")):
            before = (await bench.client.info("replication"))["master_repl_offset"]
            await door.accept([again])
            assert (await bench.client.info("replication"))["master_repl_offset"] > before

    with_door(always, check)


def test_an_fsync_that_does_not_come_in_time_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def played(_: DedicatedScripts, commands: Any) -> list[Any]:
        assert [command[0] for command in commands] == ["EVALSHA", "WAITAOF"]
        return [b"done", [0, 0]]

    monkeypatch.setattr(DedicatedScripts, "_replies", played)

    async def scenario() -> None:
        scripts = FsyncedScripts.__new__(FsyncedScripts)
        with pytest.raises(LedgerError, match="did not fsync in time"):
            await cast("Any", scripts).run("patrol", 1)

    asyncio.run(scenario())
