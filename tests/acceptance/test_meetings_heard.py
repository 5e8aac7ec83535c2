"""Meetings, whole: a recording that Replicate hears while workers die, ten meetings that make one summary, and who sees them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.cli.background import serving
from infra.cli.standins import embeddings
from infra.cli.standins.replicate import API_TOKEN, ReplicateStandIn, Trouble
from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, System
from tests.acceptance.inbox import Inbox
from tests.acceptance.watching import Event, messages, socket, watching

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}
PLACE = {"organisation": "acme", "project": "Launch", "programme": "2026"}
TALK = "Ana: We decided on May.\nBen: I'll tell the partners."


@pytest.fixture
def stand_in() -> ReplicateStandIn:
    return ReplicateStandIn(secret=CALLBACK_SECRET, listens_for=3, troubles=[Trouble.TWICE])


@pytest.fixture
def house(build: Callable[..., System], stand_in: ReplicateStandIn, tmp_path: Path) -> Iterator[System]:
    """A web process, without workers yet."""
    with ExitStack() as stack:
        made = build(
            HOOKLINE_HANDLERS="handlers",
            HOOKLINE_FILES=str(tmp_path / "files"),
            SUMMARIES_WAIT="1s",
            EMBEDDINGS_URL=stack.enter_context(serving(embeddings.EmbeddingsStandIn().app)),
            EMBEDDINGS_KEY=embeddings.API_KEY,
            REPLICATE_API_URL=stack.enter_context(serving(stand_in.app)),
            REPLICATE_API_TOKEN=API_TOKEN,
            REPLICATE_MODEL="openai/whisper:stand-in",
            SOURCE_REPLICATE_SECRET=CALLBACK_SECRET,
            SOURCE_REPLICATE_WAIT_KEY="json:$.id",
        )
        made.environ["HOOKLINE_PUBLIC_URL"] = str(made.http.base_url).rstrip("/")
        made.web()
        yield made


def jobs(house: System, **wanted: Any) -> list[dict[str, Any]]:
    listed = house.http.get("/jobs", params={"limit": 100, **wanted}, headers=AUTHORIZED)
    found: list[dict[str, Any]] = listed.json()["items"]
    return found


@pytest.mark.slow
def test_a_worker_is_killed_while_replicate_listens_and_the_caller_hears_once(
    house: System, stand_in: ReplicateStandIn, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    worker = house.worker()
    recording = {**PLACE, "title": "Check-in", "audio": "https://example.com/a.mp3"}
    submitted = house.submit(
        {
            "type": "transcripts.transcribe",
            "payload": recording,
            "callback_url": inbox.url("heard"),
            "tag": "acme",
        }
    ).json()
    wait_until(lambda: house.job(submitted["job_id"])["status"] == "scheduled", timeout=20)
    worker.process.kill()
    worker.process.wait()
    ((prediction_id, prediction),) = stand_in.predictions.items()
    assert prediction["status"] == "starting", "it still listens"
    wait_until(lambda: jobs(house, source="replicate"), timeout=20)
    house.worker()

    job = house.ended(submitted["job_id"], wait=60)
    assert job["result"]["prediction"] == prediction_id
    assert list(stand_in.predictions) == [prediction_id]
    assert [one["by"] for one in job["result"]["decisions"]] == ["Amara Okafor"] * 2
    kept = httpx.get(job["result"]["chunks"]["file"]["url"], trust_env=False)
    assert kept.text.count('"vector"') == job["result"]["chunks"]["count"]
    post = inbox.once("heard", lambda: house.has_told(submitted["job_id"]))
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"
    assert len(jobs(house, source="replicate")) == 1


def until_the_programme_is_there(told: Iterator[Event]) -> dict[str, str]:
    """The types of the jobs that a watcher is told of, by their ids."""
    seen = {}
    for event in told:
        seen[event.data["job_id"]] = event.data["type"]
        if event.event == "status" and (event.data["type"], event.told) == (
            "summaries.programme",
            "finished",
        ):
            break
    return seen


@pytest.mark.slow
def test_ten_meetings_at_once_make_one_summary_of_their_programme_and_their_organisation_sees_it(
    house: System, wait_until: Callable[..., Any]
) -> None:
    house.worker()
    with watching(house, "/stream", tag="acme") as told, socket(house, "/ws?tag=acme") as connection:
        for number in range(10):
            payload = {
                **PLACE,
                "title": f"Meeting {number}",
                "project": f"Project {number % 2}",
                "text": TALK,
            }
            house.submit({"type": "transcripts.process", "payload": payload, "tag": "acme"})
        house.submit(
            {"type": "transcripts.process", "payload": {**payload, "organisation": "other"}, "tag": "other"}
        )
        by_stream, by_socket = (
            until_the_programme_is_there(told),
            until_the_programme_is_there(messages(connection)),
        )
    mine = {one["id"] for one in jobs(house, tag="acme")}
    for seen in (by_stream, by_socket):
        assert sorted(set(seen.values())) == [
            "summaries.meeting", "summaries.programme", "summaries.project", "transcripts.process",
        ]  # fmt: skip
        assert set(seen) <= mine
    queues = {one["type"]: one["queue"] for one in jobs(house, tag="acme")}
    assert queues == {
        "transcripts.process": "default", "summaries.meeting": "high", "summaries.project": "default",
        "summaries.programme": "low",
    }  # fmt: skip

    wait_until(lambda: not any(one["ended_at"] is None for one in jobs(house, tag="acme")), timeout=20)
    newest = jobs(house, type="summaries.programme", tag="acme")
    assert len(newest) <= 2
    result = house.job(newest[0]["id"])["result"]
    assert sorted(result["meetings"]) == [f"Meeting {number}" for number in range(10)]
    assert [one["project"] for one in result["projects"]] == ["Project 0", "Project 1"]
    assert len(jobs(house, type="summaries.project", tag="acme")) <= 4
    assert len(jobs(house, type="summaries.programme", tag="other")) == 1
