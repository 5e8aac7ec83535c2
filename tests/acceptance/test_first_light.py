"""The main job over separate processes: a signed Fireflies event in, a signed callback out."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from rq.job import Job, JobStatus
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import Worker

from infra.cli.background import serving as in_a_thread
from infra.cli.standins.fireflies import API_KEY, FirefliesStandIn
from tests.acceptance.builders import (
    CALLBACK_SECRET,
    FIREFLIES_SECRET,
    System,
    assert_problem,
    hmac_hex,
    serving,
    system,
)
from tests.acceptance.inbox import Inbox

MEETING = "meeting-1"


@pytest.fixture(scope="module", params=["valkey", "redis_server"])
def light(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, inbox: Inbox
) -> Iterator[System]:
    """Web and worker with the handlers that Hookline brings, over either server, and a Fireflies that knows one meeting."""
    request.getfixturevalue(request.param)  # skips where there is none
    binary = Path(shutil.which("redis-server") or "") if request.param == "redis_server" else None
    with ExitStack() as stack:
        server = stack.enter_context(serving(binary=binary))
        fireflies = stack.enter_context(in_a_thread(FirefliesStandIn(meeting_id=MEETING).app))
        running = system(
            tmp_path_factory.mktemp("light"),
            server.url,
            HOOKLINE_HANDLERS="handlers",
            HOOKLINE_PUBLIC_URL="https://hooks.example.com",
            FIREFLIES_API_URL=f"{fireflies}/graphql",
            FIREFLIES_API_KEY=API_KEY,
            SOURCE_FIREFLIES_CALLBACK_URL=inbox.url(request.param),
        )
        light = stack.enter_context(running)
        light.worker()
        light.web()
        yield light


def summarized(meeting: str) -> bytes:
    return json.dumps(
        {"event": "meeting.summarized", "timestamp": 1795306551835, "meeting_id": meeting, "client_reference_id": "ref-7"}
    ).encode()  # fmt: skip


def post(light: System, body: bytes, *, signed: bytes | None = None) -> httpx.Response:
    signature = hmac_hex(FIREFLIES_SECRET, body if signed is None else signed)
    return light.http.post(
        "/hooks/fireflies", content=body, headers={"X-Hub-Signature": f"sha256={signature}"}
    )


def callbacks_of(light: System, inbox: Inbox) -> str:
    """The name of this system's receiver."""
    return light.environ["SOURCE_FIREFLIES_CALLBACK_URL"].rpartition("/")[2]


def test_a_signed_event_becomes_a_signed_callback_and_its_repetition_runs_nothing(
    light: System, inbox: Inbox
) -> None:
    first = post(light, summarized(MEETING))
    assert first.status_code == 202
    told = first.json()
    assert told | {"duplicate": False, "status": "queued"} == told
    assert told["status_url"].startswith(f"https://hooks.example.com/jobs/{told['job_id']}?token=")

    (callback,) = inbox.wait_for(callbacks_of(light, inbox))
    body = callback.verified(CALLBACK_SECRET)
    assert body["type"] == "job.finished"
    assert body["data"]["job_id"] == told["job_id"]
    assert body["data"]["metadata"] == {"client_reference_id": "ref-7"}
    assert {speaker["name"] for speaker in body["data"]["result"]["speakers"]} == {
        "Amara Okafor",
        "Jonas Lindqvist",
        "Priya Raman",
    }

    again = post(light, summarized(MEETING))
    assert again.status_code == 200
    assert again.json() | {"duplicate": True, "status": "finished"} == again.json()
    assert [again.json()[name] for name in ("event_id", "job_id")] == [told["event_id"], told["job_id"]]
    job = light.ended(told["job_id"])
    assert len(job["attempts"]) == 1
    assert len(inbox.posts(callbacks_of(light, inbox))) == 1


def test_a_body_that_was_changed_by_one_byte_is_refused_and_leaves_no_key_behind(light: System) -> None:
    body = summarized("meeting-2")
    before = light.keys()

    answer = post(light, body.replace(b"meeting-2", b"meeting-3"), signed=body)

    assert_problem(answer, 401, "signature_invalid")
    assert light.keys() == before


def test_rqs_own_tools_see_the_job(light: System) -> None:
    job_id = post(light, summarized(MEETING)).json()["job_id"]
    light.ended(job_id)

    job = Job.fetch(job_id, connection=light.redis, serializer=JSONSerializer)
    assert job.get_status() == JobStatus.FINISHED
    assert (job.return_value() or {})["speakers"]
    assert job_id in FinishedJobRegistry("high", connection=light.redis, serializer=JSONSerializer)
    (worker,) = Worker.all(connection=light.redis, serializer=JSONSerializer)
    assert {queue.name for queue in worker.queues} == {"high", "default", "low"}
    assert worker.successful_job_count >= 1
