"""``hookline callbacks`` and ``hookline dead``, over a ledger that the test fills."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli import hookline
from infra.embedded import EmbeddedServer
from infra.ids import CALLBACK
from infra.ledger import Ledger, Seal
from infra.ledger.records import CallbackStatus
from infra.redis_client import connect, connect_sync
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FAILED, FINISHED, NOW, Bench, arrival

pytestmark = pytest.mark.needs_server

SECRET_KEY = "integration-secret"


@dataclass(frozen=True)
class House:
    """A ledger, and commands that look into it."""

    url: str
    sequences: "count[int]" = field(default_factory=lambda: count(1))

    def call(self, *words: str) -> Result:
        foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
        ours = {"REDIS_URL": self.url, "HOOKLINE_SECRET_KEY": SECRET_KEY}
        return CliRunner(env=foreign | ours).invoke(hookline, words)

    def told(self, *words: str) -> Any:
        done = self.call(*words, "--json")
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return json.loads(done.stdout)

    def fill(self, scenario: Callable[[Bench], Any]) -> Any:
        async def filling() -> Any:
            async with connect(self.url) as client:
                store = Store("valkey", self.url, lambda: connect(self.url), lambda: connect_sync(self.url))
                return await scenario(
                    Bench(Ledger(client, seal=Seal([SECRET_KEY])), client, store, sequences=self.sequences)
                )

        return asyncio.run(filling())

    def dead(self, *, source: str = "acme", number: int = 1) -> list[str]:
        """The ids of new callbacks that were given up."""

        async def scenario(bench: Bench) -> list[str]:
            await bench.accept(*(arrival(callback_url=CALLBACK_URL, source=source) for _ in range(number)))
            await bench.settle(FINISHED, *(await bench.claim()))
            taken = await bench.due()
            for due in taken:
                await bench.record(due, CallbackStatus.DEAD, reason="given up after 8 attempts")
            return [due.id for due in taken]

        found: list[str] = self.fill(scenario)
        return found

    def waits(self) -> list[float]:
        """When each callback that waits falls due, in milliseconds."""
        with connect_sync(self.url) as client:
            return [due for _, due in client.zrange("hookline:outbox", 0, -1, withscores=True)]

    def due(self) -> list[str]:
        """The ids of the callbacks that are due now."""

        async def scenario(bench: Bench) -> list[str]:
            return [due.id for due in await bench.due("looking", hold=NOW)]

        found: list[str] = self.fill(scenario)
        return found


@pytest.fixture
def house(valkey: EmbeddedServer) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url)


def test_callbacks_are_listed(house: House) -> None:
    (dead,) = house.dead()
    (row,) = [line for line in house.call("callbacks", "list").stdout.splitlines() if line.startswith(dead)]
    assert all(part in row for part in ("dead", "acme", CALLBACK_URL, "given up after 8 attempts"))
    (item,) = house.told("callbacks", "list", "--status", "dead", "--source", "acme")["items"]
    assert (item["id"], item["status"]) == (dead, "dead")
    assert house.told("callbacks", "list", "--status", "delivered")["items"] == []
    assert house.call("callbacks", "list", "--source", "other").stdout == "no callbacks\n"


def test_a_long_list_is_read_in_pages(house: House) -> None:
    ids = [*house.dead(number=90), *house.dead(number=90)]
    listed = [item["id"] for item in house.told("callbacks", "list", "--limit", "150")["items"]]
    assert len(listed) == len(set(listed)) == 150
    assert set(listed) < set(ids)


def test_one_callback_is_shown_with_its_attempts(house: House) -> None:
    (dead,) = house.dead()
    shown = house.call("callbacks", "show", dead).stdout
    assert all(part in shown for part in (dead, CALLBACK_URL, "given up after 8 attempts", "500", "thanks"))
    assert house.told("callbacks", "show", dead)["attempts"][0]["reply"] == "thanks"


@pytest.mark.parametrize("words", [("show",), ("redeliver",)])
def test_a_callback_that_is_not_there_is_said_to_be_none(house: House, words: tuple[str, ...]) -> None:
    done = house.call("callbacks", *words, CALLBACK + "0" * 26)
    assert (done.exit_code, str(done.exception)) == (1, f"no callback {CALLBACK}{'0' * 26}")


def test_one_callback_is_made_again(house: House) -> None:
    dead, other = house.dead(number=2)
    done = house.call("callbacks", "redeliver", dead)
    assert (done.exit_code, done.stdout) == (0, f"{dead} pending\n")
    assert house.due() == [dead]
    assert house.told("callbacks", "show", other)["status"] == "dead"


def test_before_its_job_has_ended_there_is_nothing_to_make_again(house: House) -> None:
    async def scenario(bench: Bench) -> str:
        return (await bench.accept(callback_url=CALLBACK_URL)).job_id

    callback_id = CALLBACK + house.fill(scenario).removeprefix("job_")
    done = house.call("callbacks", "redeliver", callback_id)
    assert done.exit_code == 1
    assert "its job has not ended" in done.output


def test_many_are_counted_first_and_made_again(house: House) -> None:
    ours, others = house.dead(number=3), house.dead(source="other")
    call = ("callbacks", "redeliver", "--status", "dead", "--source", "acme")
    assert house.call(*call, "--dry-run").stdout == "3 callbacks to redeliver\n"
    assert house.due() == []
    assert house.call(*call, "--since", "2h", "--tag", "x").stdout == "0 callbacks to redeliver\n"
    assert house.call(*call, "--rate", "2").stdout == "3 callbacks to redeliver\n3 callbacks redelivered\n"
    waits = house.waits()
    assert [due - waits[0] for due in waits] == [0, 500, 1000]
    assert {house.told("callbacks", "show", one)["status"] for one in ours} == {"pending"}
    assert house.call(*call).stdout == "0 callbacks to redeliver\n"
    assert [item["id"] for item in house.told("callbacks", "list", "--status", "dead")["items"]] == others


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("cb_1", "--status", "dead"),
        ("cb_1", "--dry-run"),
        ("cb_1", "--source", "acme"),
        ("--source", "acme"),
        ("--status", "dead", "--since", "soon"),
        ("--status", "pending"),
    ],
)
def test_a_call_that_means_two_things_or_none_is_off(house: House, words: tuple[str, ...]) -> None:
    assert house.call("callbacks", "redeliver", *words).exit_code == 2


def test_dead_letters_are_failed_jobs_and_callbacks_that_were_given_up(house: House) -> None:
    assert house.call("dead", "list").stdout == "no dead letters\n"

    async def scenario(bench: Bench) -> str:
        claim = await bench.take()
        await bench.settle(FAILED, claim)
        return claim.job_id

    failed, (dead,) = house.fill(scenario), house.dead()
    lines = house.call("dead", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [failed, dead]
    assert "ValueError: no total" in lines[1]
    items = house.told("dead", "list", "--source", "acme")["items"]
    assert [(item["kind"], item["id"]) for item in items] == [("job", failed), ("callback", dead)]
    assert "ValueError: no total" in house.call("dead", "show", failed).stdout
    assert "given up after 8 attempts" in house.call("dead", "show", dead).stdout
    assert house.told("dead", "show", failed) == house.told("jobs", "show", failed)
    assert house.told("dead", "show", dead) == house.told("callbacks", "show", dead)
    assert house.told("dead", "list", "--source", "other")["items"] == []


def test_what_is_not_dead_is_no_dead_letter(house: House) -> None:
    (dead,) = house.dead()
    finished = "job_" + dead.removeprefix(CALLBACK)
    assert house.call("callbacks", "redeliver", dead).exit_code == 0
    for other in (dead, finished, CALLBACK + "0" * 26, "nonsense"):
        done = house.call("dead", "show", other)
        assert (done.exit_code, str(done.exception)) == (1, f"no dead letter {other}")
