"""``hookline jobs retry``, ``hookline events replay`` and ``hookline replays``, over a ledger that the test fills."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli import hookline
from infra.embedded import EmbeddedServer
from infra.ids import EVENT, JOB, REPLAY
from infra.ledger import Ledger, Seal
from infra.ledger.records import Act, EventRecord, JobRecord, Outcome
from infra.redis_client import connect, connect_sync
from tests.conftest import Store
from tests.integration.ledger_bench import FAILED, FINISHED, Bench, arrival

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

    def said(self, *words: str) -> str:
        done = self.call(*words)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return done.stdout

    def told(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def fill(self, scenario: Callable[[Bench], Any]) -> Any:
        async def filling() -> Any:
            async with connect(self.url) as client:
                store = Store("valkey", self.url, lambda: connect(self.url), lambda: connect_sync(self.url))
                return await scenario(
                    Bench(Ledger(client, seal=Seal([SECRET_KEY])), client, store, sequences=self.sequences)
                )

        return asyncio.run(filling())

    def ended(self, outcome: Outcome = FAILED, *, number: int = 1, **changes: Any) -> list[str]:
        """The ids of new jobs that ended so."""

        async def scenario(bench: Bench) -> list[str]:
            await bench.accept(*(arrival(**changes) for _ in range(number)))
            claims = await bench.claim()
            await bench.settle(outcome, *claims)
            return sorted(claim.job_id for claim in claims)

        found: list[str] = self.fill(scenario)
        return found

    def job(self, job_id: str) -> JobRecord:
        found: JobRecord = self.fill(lambda bench: bench.job(job_id))
        return found

    def event(self, event_id: str) -> EventRecord:
        found: EventRecord = self.fill(lambda bench: bench.ledger.reading.event(event_id))
        return found

    def acts(self, job_id: str) -> list[tuple[str, str]]:
        found: tuple[Act, ...] = self.fill(lambda bench: bench.ledger.reading.acts(job_id))
        return [(act.act, act.by) for act in found]


@pytest.fixture
def house(valkey: EmbeddedServer) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url)


def test_a_failed_job_is_retried_by_the_command_line(house: House) -> None:
    (job_id,) = house.ended()
    assert house.said("jobs", "retry", job_id) == f"{job_id} queued\n"
    job = house.job(job_id)
    assert (job.status, job.round) == ("queued", 2)
    assert house.acts(job_id) == [("retry", "command line")]
    refused = house.call("jobs", "retry", job_id)
    assert (refused.exit_code, "has not failed" in refused.output) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("jobs", "retry", JOB + "0" * 26),
        ("events", "replay", EVENT + "0" * 26),
        ("replays", "show", REPLAY + "0" * 26),
        ("replays", "cancel", REPLAY + "0" * 26),
    ],
)
def test_what_is_not_there_is_said_so(house: House, words: tuple[str, ...]) -> None:
    refused = house.call(*words)
    assert refused.exit_code == 1
    assert str(refused.exception).startswith("no ")


def test_an_event_is_replayed(house: House) -> None:
    (job_id,) = house.ended(FINISHED)
    event_id = house.job(job_id).event_id
    said, made, _ = house.said("events", "replay", event_id, "--queue", "high").split()
    assert said == event_id
    assert (house.job(made).queue, house.job(made).event_id) == ("high", event_id)
    assert house.acts(made) == [("replay", "command line")]


def test_an_event_is_replayed_with_another_payload(house: House, tmp_path: Path) -> None:
    (job_id,) = house.ended(FINISHED)
    old = house.job(job_id).event_id
    edited = tmp_path / "edited.json"
    edited.write_text('{"total": 13}')
    said, made, _ = house.said("events", "replay", old, "--payload", str(edited)).split()
    event = house.event(said)
    assert (event.replay_of, event.body, event.accepted_by) == (old, b'{"total":13}', "command line")
    assert event.jobs == (made,)
    edited.write_text("{")
    assert house.call("events", "replay", old, "--payload", str(edited)).exit_code == 1
    assert house.call("events", "replay", old, "--queue", "a b").exit_code == 2


def test_many_are_counted_run_shown_and_stopped(house: House) -> None:
    house.ended(number=3)
    house.ended(FINISHED)
    assert house.said("replays", "run", "--dry-run") == "3 jobs to run again\n"
    assert house.said("replays", "list") == "no bulk replays\n"
    assert house.told("replays", "run", "--dry-run", "--status", "finished")["already_succeeded"] == 1
    assert "succeeded already" in house.said("replays", "run", "--dry-run", "--status", "finished")
    told = house.told("replays", "run", "--source", "acme", "--rate", "2")
    assert (told["status"], told["count"], told["rate"], told["by"]) == ("running", 3, 2, "command line")
    assert told["filter"] == {"status": "failed", "source": "acme"}
    assert told["id"] in house.said("replays", "list")
    assert "3" in house.said("replays", "show", told["id"])
    assert [one["id"] for one in house.told("replays", "list")["items"]] == [told["id"]]
    assert house.said("replays", "cancel", told["id"]) == f"{told['id']} stopped\n"
    assert house.told("replays", "show", told["id"])["reason"] == "by command line"
    assert house.call("replays", "cancel", told["id"]).exit_code == 1


def test_jobs_may_be_named(house: House) -> None:
    one, _ = house.ended(number=2)
    (other,) = house.ended(FINISHED)
    told = house.told("replays", "run", one, other, "--dry-run")
    assert (told["count"], told["retries"], told["replays"]) == (2, 1, 1)
    assert house.said("replays", "run", one).endswith(" running\n")


@pytest.mark.parametrize(
    "words",
    [
        ("evt_1",),
        (JOB + "0" * 26, "--source", "acme"),
        ("--status", "queued"),
        ("--since", "yesterday"),
        ("--rate", "0"),
        ("--max-error-share", "2"),
    ],
)
def test_words_that_are_off_are_2(house: House, words: tuple[str, ...]) -> None:
    assert house.call("replays", "run", *words).exit_code == 2
    assert house.said("replays", "list") == "no bulk replays\n"
