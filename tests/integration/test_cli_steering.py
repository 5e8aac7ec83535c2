"""``hookline queues``, ``hookline handlers`` and ``hookline workers``, over a ledger that the test fills."""

import pytest

from infra.embedded import EmbeddedServer
from infra.ledger.records import HandlerEntry
from infra.redis_client import connect_sync
from tests.integration.ledger_bench import HANDLER, Bench
from tests.integration.test_cli_callbacks import House

pytestmark = pytest.mark.needs_server


@pytest.fixture
def house(valkey: EmbeddedServer) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url)


async def at_work(bench: Bench) -> None:
    await bench.accept()
    await bench.renew("w1", manifest=[HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=3)])


@pytest.mark.parametrize("kind", ["queues", "handlers", "workers"])
def test_an_empty_house_says_so(house: House, kind: str) -> None:
    assert house.call(kind, "list").stdout == f"no {kind}\n"
    assert house.told(kind, "list") == {"items": []}


@pytest.mark.parametrize(("kind", "name"), [("queue", "default"), ("handler", HANDLER)])
def test_it_is_paused_shown_and_resumed(house: House, kind: str, name: str) -> None:
    house.fill(at_work)
    group = f"{kind}s"
    assert house.call(group, "pause", name).stdout == f"{kind} {name} paused\n"
    assert house.call(group, "pause", name).stdout == f"{kind} {name} was paused before\n"
    row = next(line for line in house.call(group, "list").stdout.splitlines() if line.startswith(name))
    assert row.endswith("paused")
    assert [one["name"] for one in house.told(group, "list")["items"] if one["paused"]] == [name]
    assert f"{kind} {name} is paused" in house.call("doctor").output
    assert house.call(group, "resume", name).stdout == f"{kind} {name} resumed\n"
    again = house.call(group, "resume", name)
    assert (again.exit_code, "is not paused" in again.output) == (1, True)
    deeds = house.fill(lambda bench: bench.ledger.desk.deeds())
    assert {(deed.by, deed.act, deed.on) for deed in deeds} == {
        ("command line", f"pause {kind}", name),
        ("command line", f"resume {kind}", name),
    }


def test_a_worker_is_asked_to_end_and_shown_so(house: House) -> None:
    house.fill(at_work)
    assert house.call("workers", "drain", "w1").stdout == "worker w1 drains\n"
    assert house.call("workers", "drain", "w1").stdout == "worker w1 was asked before\n"
    assert house.call("workers", "list").stdout.splitlines()[-1].endswith("draining")
    assert house.told("workers", "list")["items"][0]["draining"]


@pytest.mark.parametrize("words", [("queues", "pause"), ("handlers", "resume"), ("workers", "drain")])
def test_what_is_not_there_is_said_so(house: House, words: tuple[str, str]) -> None:
    assert house.call(*words, "nobody").exit_code == 1
