"""``hookline receivers``, over a ledger that the test fills."""

import pytest

from infra.embedded import EmbeddedServer
from infra.ledger.receivers import receiver_id
from infra.redis_client import connect_sync
from infra.signatures import new_whsec
from tests.integration.ledger_bench import CALLBACK_URL, FINISHED, Bench
from tests.integration.test_cli_callbacks import House

pytestmark = pytest.mark.needs_server

ID = receiver_id(CALLBACK_URL)


@pytest.fixture
def house(valkey: EmbeddedServer) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url)


async def withheld(bench: Bench) -> None:
    """A callback for a receiver that is paused."""
    await bench.accept(callback_url=CALLBACK_URL)
    await bench.settle(FINISHED, *(await bench.claim()))
    assert await bench.due() == []


def test_a_house_without_receivers_says_so(house: House) -> None:
    assert house.call("receivers", "list").stdout == "no receivers\n"
    assert house.told("receivers", "list") == {"items": []}


@pytest.mark.parametrize("name", [f"{CALLBACK_URL}?job=1", ID])
def test_a_receiver_is_paused_shown_and_resumed(house: House, name: str) -> None:
    house.call("receivers", "pause", CALLBACK_URL)
    assert house.call("receivers", "pause", name).stdout == f"{CALLBACK_URL} was paused before\n"
    row = house.call("receivers", "list", "--status", "paused").stdout.splitlines()[-1]
    assert all(part in row for part in (ID, "paused", CALLBACK_URL, "operator"))
    (item,) = house.told("receivers", "list")["items"]
    assert (item["id"], item["status"]) == (ID, "paused")
    house.fill(withheld)
    assert (
        house.call("receivers", "resume", name).stdout
        == f"{CALLBACK_URL} resumed, 1 callback to be made again\n"
    )
    assert len(house.due()) == 1
    again = house.call("receivers", "resume", name)
    assert (again.exit_code, "is not paused" in again.output) == (1, True)


def test_what_is_no_receiver_is_refused(house: House) -> None:
    assert house.call("receivers", "pause", "example.com").exit_code == 2
    unknown = house.call("receivers", "resume", receiver_id("https://unknown.example"))
    assert unknown.exit_code == 1


def test_the_grade_of_a_check_is_kept_for_the_console(house: House) -> None:
    """A receiver that the guard refuses earns the worst, without being called."""
    done = house.call("callbacks", "check", "https://10.0.0.1/inbox?job=1", "--secret", new_whsec(bytes))
    assert done.stdout.splitlines()[-1] == "F"
    (grade,) = house.fill(lambda bench: bench.ledger.grades.of([receiver_id("https://10.0.0.1/inbox")]))
    assert (grade.grade, [probe.name for probe in grade.probes]) == ("F", ["good"])
