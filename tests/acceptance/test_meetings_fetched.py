"""Meetings that Fireflies tells of, by both versions of its webhooks; and a worker that is killed between two batches of vectors."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from handlers.testing import signed
from infra.cli.background import serving
from infra.cli.standins import embeddings, fireflies
from infra.cli.standins.fireflies import FirefliesStandIn, Trouble
from infra.cli.standins.fireflies_meeting import MEETING_ID
from tests.acceptance.builders import CALLBACK_SECRET, FIREFLIES_SECRET, System
from tests.acceptance.gate import Gate
from tests.acceptance.inbox import Inbox
from tests.acceptance.media import AUTHORIZED

pytestmark = pytest.mark.slow

V1 = {"meetingId": MEETING_ID, "eventType": "Transcription completed", "clientReferenceId": "Launch"}
V2 = {"meeting_id": MEETING_ID, "event": "meeting.summarized", "client_reference_id": "Launch"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def over_fireflies(
    build: Callable[..., System], stack: ExitStack, inbox: Inbox, tmp_path: Path, **how: Any
) -> tuple[System, FirefliesStandIn]:
    """A web and a worker, and the Fireflies that they ask."""
    stand_in = FirefliesStandIn(**how)
    house = build(
        HOOKLINE_HANDLERS="handlers",
        HOOKLINE_FILES=str(tmp_path / "files"),
        FIREFLIES_API_URL=f"{stack.enter_context(serving(stand_in.app))}/graphql",
        FIREFLIES_API_KEY=fireflies.API_KEY,
        FIREFLIES_ORGANISATION="acme",
        FIREFLIES_PROGRAMME="2026",
        SUMMARIES_WAIT="200ms",
        SOURCE_FIREFLIES_CALLBACK_URL=inbox.url(f"minutes-{tmp_path.name}"),
        SOURCE_FIREFLIES_TAG="acme",
    )
    house.web()
    house.worker()
    return house, stand_in


def send(house: System, event: dict[str, Any], *, bare: bool = False) -> httpx.Response:
    request = signed("fireflies", event, secret=FIREFLIES_SECRET)
    headers = dict(request.headers)
    if bare:
        headers["x-hub-signature"] = headers["x-hub-signature"].removeprefix("sha256=")
    return house.http.post("/hooks/fireflies", content=request.content, headers=headers)


def summaries_of_programmes(house: System) -> list[dict[str, Any]]:
    """Their results, newest first."""
    wanted = {"type": "summaries.programme", "status": "finished"}
    listed = house.http.get("/jobs", params=wanted, headers=AUTHORIZED).json()["items"]
    return [house.job(one["id"])["result"] for one in listed]


@pytest.mark.parametrize(
    ("event", "bare"), [(V1, False), (V1, True), (V2, False)], ids=["v1", "v1, bare", "v2"]
)
def test_a_webhook_of_either_version_becomes_minutes_and_a_transcript_of_its_project(
    build: Callable[..., System],
    stack: ExitStack,
    inbox: Inbox,
    tmp_path: Path,
    wait_until: Callable[..., Any],
    event: dict[str, Any],
    bare: bool,
) -> None:
    house, _ = over_fireflies(build, stack, inbox, tmp_path)
    answer = send(house, event, bare=bare)
    assert answer.status_code == 202, answer.text
    again = send(house, event, bare=bare)
    assert (again.status_code, again.json()["job_id"]) == (200, answer.json()["job_id"])

    minutes = house.ended(answer.json()["job_id"])["result"]
    assert minutes["action_items"]
    transcript = house.ended(minutes["transcript_job"])
    assert transcript["tag"] == "acme"
    assert transcript["result"]["organisation"] == "acme"
    assert transcript["result"]["summary"]["project"] == "Launch"
    programme = wait_until(lambda: summaries_of_programmes(house), timeout=20)[0]
    assert programme["programme"] == "2026"
    assert programme["meetings"] == [transcript["result"]["title"]]
    post = inbox.once(f"minutes-{tmp_path.name}", lambda: house.has_told(answer.json()["job_id"]))
    assert post.verified(CALLBACK_SECRET)["data"]["result"]["action_items"] == minutes["action_items"]


def test_a_fireflies_that_wants_a_pause_gets_it_and_the_attempt_does_not_count(
    build: Callable[..., System], stack: ExitStack, inbox: Inbox, tmp_path: Path
) -> None:
    busy = [Trouble.TOO_MANY_REQUESTS, Trouble.SUMMARY_SKIPPED]
    house, stand_in = over_fireflies(
        build, stack, inbox, tmp_path, troubles=busy, retry_after=timedelta(seconds=5)
    )
    job_id = send(house, V2).json()["job_id"]
    job = house.ended(job_id, wait=30)
    assert [one["outcome"] for one in job["attempts"]] == ["retried", "finished"]
    assert [one["number"] for one in job["attempts"]] == [1, 1]
    assert stand_in.requests == 2


def test_a_worker_is_killed_between_two_batches_and_none_is_paid_for_twice(
    build: Callable[..., System],
    stack: ExitStack,
    inbox: Inbox,
    tmp_path: Path,
    wait_until: Callable[..., Any],
) -> None:
    model = embeddings.EmbeddingsStandIn()
    gate = Gate(model.app, passes=1)
    house = build(
        HOOKLINE_HANDLERS="handlers",
        HOOKLINE_FILES=str(tmp_path / "files"),
        EMBEDDINGS_URL=stack.enter_context(serving(gate)),
        EMBEDDINGS_KEY=embeddings.API_KEY,
    )
    house.web()
    worker = house.worker()
    talk = "\n".join(
        f"Ana: We decided on point {number} of the launch, {'and so on, ' * 60}" for number in range(60)
    )
    payload = {"organisation": "acme", "title": "Long", "text": talk}
    job_id = house.submit(
        {"type": "transcripts.process", "payload": payload, "callback_url": inbox.url("vectors")}
    ).json()["job_id"]
    wait_until(lambda: gate.held == 1, timeout=30)
    assert house.job(job_id)["progress"]["stage"] == "embeddings"
    paid = model.texts
    worker.process.kill()
    worker.process.wait()
    gate.open()
    house.worker()

    result = house.ended(job_id, wait=60)["result"]
    lines = house.http.get(result["chunks"]["file"]["url"]).text.splitlines()
    assert len(lines) == result["chunks"]["count"] > paid > 0
    assert all(json.loads(line)["vector"] for line in lines)
    assert model.texts == len(lines), "the first batch was kept"
    post = inbox.once("vectors", lambda: house.has_told(job_id))
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"
