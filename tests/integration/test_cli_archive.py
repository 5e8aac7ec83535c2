"""``hookline archive`` and ``hookline events erase``, over a ledger and an archive that the test fills."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from infra.archive.archive import Archive
from infra.cli import hookline
from infra.clock import SystemClock
from infra.embedded import EmbeddedServer
from infra.files.store import FileStore
from infra.ledger import Ledger, Seal
from infra.ledger.records import CallbackStatus, EventRecord
from infra.redis_client import connect, connect_sync
from tests.conftest import Store
from tests.integration.ledger_bench import HOUR, NOW, Bench
from worker.archivist import Archivist

pytestmark = pytest.mark.needs_server

KEY = "integration-secret"
BODY = b'{"total":  12}'  # as sent: two spaces

T = TypeVar("T")


class House:
    """A ledger, an archive, and commands that look into both."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.directory = directory
        self.sequences = count(1)

    def call(self, *words: str, **settings: str) -> Result:
        foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
        ours = {"REDIS_URL": self.url, "HOOKLINE_SECRET_KEY": KEY, "HOOKLINE_ARCHIVE": str(self.directory)}
        return CliRunner(env=foreign | ours | settings).invoke(hookline, words)

    def said(self, *words: str) -> str:
        done = self.call(*words)
        assert done.exit_code == 0, done.output
        return done.stdout

    def fill(self, scenario: Callable[[Bench], Awaitable[T]]) -> T:
        async def filling() -> T:
            async with connect(self.url) as client:
                store = Store("valkey", self.url, lambda: connect(self.url), lambda: connect_sync(self.url))
                ledger = Ledger(client, seal=Seal([KEY]), retention=NOW, dead_retention=NOW)
                return await scenario(Bench(ledger, client, store, sequences=self.sequences))

        return asyncio.run(filling())

    def archived(self, **changes: Any) -> str:
        """The id of an event that is in the archive, and nowhere else."""

        async def scenario(bench: Bench) -> str:
            receipt = await bench.accept(**({"body": BODY} | changes))
            await bench.run_all()
            for due in await bench.due():
                await bench.record(due, CallbackStatus.DELIVERED)
            await asyncio.sleep(0.002)
            archive, clock = Archive(FileStore(str(self.directory)), clock=SystemClock()), SystemClock()
            assert await Archivist(bench.ledger, archive, worker="w1", every=HOUR, clock=clock).turn() == 1
            return receipt.event_id

        return self.fill(scenario)

    def event(self, event_id: str) -> EventRecord | None:
        return self.fill(lambda bench: bench.ledger.reading.event(event_id))


@pytest.fixture
def house(valkey: EmbeddedServer, tmp_path: Path) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url, tmp_path / "archive")


def test_what_was_archived_is_listed_read_shown_and_verified(house: House) -> None:
    first, second = house.archived(tag="ada"), house.archived(source="api", type="other")
    assert {json.loads(line)["id"] for line in house.said("archive", "read").splitlines()} == {first, second}
    (line,) = house.said("archive", "read", "--tag", "ada").splitlines()
    assert json.loads(line)["event"]["body"] == BODY.decode()
    assert house.said("archive", "read", "--source", "api", "--type", "none") == ""
    assert house.said("archive", "read", "--until", "2020-01-01") == ""
    shown = json.loads(house.said("archive", "show", first))
    assert (shown["id"], shown["jobs"][0]["rounds"][0]["status"]) == (first, "finished")
    parts = json.loads(house.said("archive", "list", "--json"))
    assert [part["events"] for part in parts["items"]] == [1, 1]
    assert parts["lost"] == []
    assert house.said("archive", "list").count(".jsonl.gz") == 2
    assert house.said("archive", "verify") == "2 parts sound, 2 events\n"


def test_an_archived_event_is_replayed_as_a_new_one(house: House) -> None:
    event_id = house.archived(
        tag="ada", headers={"x-acme-delivery": "d"}, callback_url="https://receiver.example/x"
    )
    assert house.event(event_id) is None
    made, job_id, *_ = house.said("archive", "replay", event_id, "--queue", "high").split()
    event = house.event(made)
    assert event is not None
    assert (event.replay_of, event.body, event.tag) == (event_id, BODY, "ada")
    assert (event.headers["x-acme-delivery"], event.jobs) == ("d", (job_id,))
    job = house.fill(lambda bench: bench.job(job_id))
    assert (job.queue, job.status) == ("high", "queued")
    assert job.callback is not None
    assert job.callback.url == "https://receiver.example/x"


def test_what_no_key_of_ours_has_sealed_is_not_run(house: House) -> None:
    event_id = house.archived()
    refused = house.call("archive", "replay", event_id, HOOKLINE_SECRET_KEY="another")
    assert refused.exit_code == 1
    assert "no key of HOOKLINE_SECRET_KEY has sealed" in str(refused.exception)
    assert house.call("archive", "replay", event_id, HOOKLINE_SECRET_KEY=f"another,{KEY}").exit_code == 0


@pytest.mark.parametrize("words", [("show",), ("replay",)])
def test_what_is_not_archived_is_said_so(house: House, words: tuple[str, ...]) -> None:
    refused = house.call("archive", *words, "evt_" + "0" * 26)
    assert refused.exit_code == 1
    assert str(refused.exception).startswith("no event evt_")


def test_damage_is_told_and_ends_with_1(house: House) -> None:
    house.archived()
    (part,) = house.directory.rglob("*.gz")
    part.write_bytes(part.read_bytes()[:-1])
    for words in (("verify",), ("read",)):
        refused = house.call("archive", *words)
        assert (refused.exit_code, part.name in refused.stderr) == (1, True)
    (manifest,) = (house.directory / "events").rglob("*.json")
    manifest.write_text("{}")
    assert house.call("archive", "list").exit_code == 1


def test_without_the_setting_there_is_nothing_to_read(house: House) -> None:
    refused = house.call("archive", "list", HOOKLINE_ARCHIVE="")
    assert (refused.exit_code, "HOOKLINE_ARCHIVE" in str(refused.exception)) == (1, True)


# -- erasing -----------------------------------------------------------------------------------------------------------


def test_an_event_is_erased_wherever_it_is(house: House) -> None:
    archived, kept = house.archived(), house.archived()
    live = house.fill(lambda bench: bench.accept()).event_id
    for event_id in (archived, live):
        assert house.said("events", "erase", event_id) == f"{event_id}\n"
        refused = house.call("events", "erase", event_id)
        assert (refused.exit_code, str(refused.exception)) == (1, f"no event {event_id}")
    assert house.event(live) is None
    assert house.call("archive", "show", archived).exit_code == 1
    assert house.call("archive", "show", kept).exit_code == 0
    deeds = house.fill(lambda bench: bench.ledger.desk.deeds())
    assert [(deed.by, deed.act, deed.on) for deed in deeds] == [
        ("command line", "erase", live),
        ("command line", "erase", archived),
    ]


def test_all_events_of_somebody_are_erased(house: House) -> None:
    archived, other = house.archived(tag="ada"), house.archived(tag="bob")
    live = house.fill(lambda bench: bench.accept(tag="ada")).event_id
    named = "".join(f"{event_id}\n" for event_id in sorted({archived, live}))
    assert house.said("events", "erase", "--tag", "ada", "--dry-run") == named
    assert house.event(live) is not None
    assert house.said("events", "erase", "--tag", "ada") == named
    assert house.said("events", "erase", "--tag", "ada") == ""
    assert house.event(live) is None
    assert house.call("archive", "show", other).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--source", "acme"),
        ("--key", "k"),
        ("evt_1", "--tag", "ada"),
        ("evt_1", "--dry-run"),
        ("--dry-run",),
    ],
)
def test_whose_events_they_are_has_to_be_said(house: House, words: tuple[str, ...]) -> None:
    assert house.call("events", "erase", *words).exit_code == 2


def test_nothing_is_erased_where_the_archive_is_not_named(house: House) -> None:
    house.archived()
    live = house.fill(lambda bench: bench.accept()).event_id
    refused = house.call("events", "erase", live, HOOKLINE_ARCHIVE="")
    assert (refused.exit_code, "HOOKLINE_ARCHIVE: needed" in str(refused.exception)) == (1, True)
    assert house.event(live) is not None


def test_doctor_finds_an_archive_that_is_away(house: House, tmp_path: Path) -> None:
    house.archived()
    assert "archive" not in codes(house.call("doctor", "--json"))
    house.fill(lambda bench: bench.ledger.archiving.went("w1", error="the bucket is gone"))
    assert "archive-away" in codes(house.call("doctor", "--json"))
    (tmp_path / "file").write_text("")
    assert "settings" in codes(house.call("doctor", "--json", HOOKLINE_ARCHIVE=str(tmp_path / "file" / "x")))


def codes(done: Result) -> set[str]:
    return {finding["code"] for finding in json.loads(done.stdout)["findings"]}
