"""Retry, replay and bulk replays: over HTTP, with real workers that are killed (CONTRACT, sections 5, 6 and 8)."""

import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, System, assert_problem
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other

OPERATOR = {"Authorization": f"Bearer {API_KEY}"}


def ask(house: System, path: str, content: Any = None) -> httpx.Response:
    return house.http.post(path, json=content, headers=OPERATOR)


def read(house: System, path: str) -> dict[str, Any]:
    answer = house.http.get(path, headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def until_ended(house: System, replay_id: str, *, seconds: float = 90) -> dict[str, Any]:
    """A bulk replay once it runs no more."""
    limit = time.monotonic() + seconds
    while (replay := read(house, f"/replays/{replay_id}"))["status"] == "running":
        assert time.monotonic() < limit, replay
        time.sleep(0.05)
    return replay


def test_a_retried_job_has_an_outcome_and_a_callback_of_its_own(house: System, inbox: Inbox) -> None:
    name = uuid.uuid4().hex
    told = house.submit(
        {"type": "mendable", "payload": {"gate": name}, "callback_url": inbox.url(name)}
    ).json()
    house.ended(told["job_id"], "failed")
    assert_problem(ask(house, f"/jobs/{uuid.uuid4().hex}/retry"), 404, "not_found")
    inbox.wait_for(name)
    house.open_gate(name)
    assert ask(house, f"/jobs/{told['job_id']}/retry").json()["round"] == 2
    job = house.ended(told["job_id"])
    assert (job["result"], job["error"]) == ("mended", None)
    assert [(one["round"], one["number"], one["outcome"]) for one in job["attempts"]] == [
        (1, 1, "failed"),
        (2, 1, "finished"),
    ]
    first, second = inbox.wait_for(name, 2)
    assert (first.id, second.id) == (f"cb_{told['job_id'][4:]}", f"cb_{told['job_id'][4:]}-2")
    outcomes = [post.verified(CALLBACK_SECRET)["data"] for post in (first, second)]
    assert [(one["status"], one["attempts"]) for one in outcomes] == [("failed", 1), ("finished", 1)]
    assert_problem(ask(house, f"/jobs/{told['job_id']}/retry"), 409, "job_not_failed")
    acts = [
        (one["act"], one["by"])
        for one in read(house, f"/events/{told['event_id']}")["timeline"]
        if one["kind"] == "act"
    ]
    assert acts == [("retry", "tests")]


def test_the_first_rounds_callback_tells_of_the_first_round_however_late(house: System, inbox: Inbox) -> None:
    """Its receiver is down while the job runs again, and up afterwards."""
    name = uuid.uuid4().hex
    url = inbox.answer(name, 500, 500, 500)  # the whole schedule
    told = house.submit({"type": "mendable", "payload": {"gate": name}, "callback_url": url}).json()
    house.ended(told["job_id"], "failed")
    inbox.wait_for(name, 3)
    house.open_gate(name)
    ask(house, f"/jobs/{told['job_id']}/retry")
    house.ended(told["job_id"])
    assert inbox.wait_for(name, 4)[3].verified(CALLBACK_SECRET)["type"] == "job.finished"
    answer = ask(house, f"/callbacks/cb_{told['job_id'][4:]}/redeliver")
    assert answer.status_code == 200, answer.text
    late = inbox.wait_for(name, 5)[4]
    assert (late.id, late.verified(CALLBACK_SECRET)["type"]) == (f"cb_{told['job_id'][4:]}", "job.failed")
    assert late.verified(CALLBACK_SECRET)["data"]["error"]["message"] == "not mended yet"


def test_an_event_is_replayed_as_it_came_or_with_another_payload(house: System) -> None:
    told = house.send({"type": "echo", "n": 1}).json()
    first = house.ended(told["job_id"])
    again = ask(house, f"/events/{told['event_id']}/replay").json()
    assert again["event_id"] == told["event_id"]
    assert house.ended(again["job_id"])["result"] == first["result"]
    edited = ask(house, f"/events/{told['event_id']}/replay", {"payload": {"type": "echo", "n": 2}}).json()
    assert house.ended(edited["job_id"])["result"]["payload"] == {"type": "echo", "n": 2}
    assert read(house, f"/events/{edited['event_id']}")["replay_of"] == told["event_id"]
    ran = [run.event_id for run in house.runs() if run.event_id in (told["event_id"], edited["event_id"])]
    assert ran == [told["event_id"]] * 2 + [edited["event_id"]]


def test_a_bulk_replay_survives_the_workers_that_carry_it_out(build: Callable[..., System]) -> None:
    """Each of the dead letters is retried once, though workers are killed again and again meanwhile."""
    house = build()
    house.web()
    worker = house.worker()
    jobs = [
        told["job_id"]
        for _ in range(2)
        for told in house.submit([{"type": "mendable", "payload": {"gate": "all"}}] * 60).json()
    ]
    for job in jobs:
        house.ended(job, "failed")
    house.open_gate("all")
    assert ask(house, "/replays", {"dry_run": True}).json()["count"] == len(jobs)
    replay = ask(house, "/replays", {"filter": {"status": "failed"}, "rate": 40}).json()
    assert (replay["count"], replay["queue"]) == (len(jobs), "low")
    for _ in range(3):
        time.sleep(0.7)
        worker.stop(signal.SIGKILL)
        worker = house.worker()
    replay = until_ended(house, replay["id"])
    assert (replay["status"], replay["begun"], replay["skipped"]) == ("finished", len(jobs), 0)
    assert (replay["succeeded"], replay["failed"]) == (len(jobs), 0)
    assert Counter(house.ended(job)["round"] for job in jobs) == {2: len(jobs)}


def test_a_bulk_replay_stops_when_what_it_runs_fails(build: Callable[..., System]) -> None:
    house = build()
    house.web()
    house.worker()
    for told in house.submit([{"type": "rejecting"}] * 60).json():
        house.ended(told["job_id"], "failed")
    replay = ask(house, "/replays", {"rate": 20}).json()
    replay = until_ended(house, replay["id"])
    assert (replay["status"], replay["reason"]) == ("stopped", "too many failed")
    assert 20 <= replay["begun"] < 60
    assert replay["failed"] >= 20


def test_a_batch_is_followed_by_its_link_alone(house: System) -> None:
    answer = house.submit([{"type": "echo", "payload": number} for number in range(5)])
    link = answer.headers["Location"]
    limit = time.monotonic() + 30
    while (batch := house.http.get(link).json())["status"] != "finished":
        assert time.monotonic() < limit, batch
        time.sleep(0.02)
    assert (batch["counts"], batch["percent"]) == ({"finished": 5}, 100.0)
    assert [one["id"] for one in batch["jobs"]] == [told["job_id"] for told in answer.json()]
    assert_problem(house.http.get(link.partition("?")[0]), 401, "unauthorized")
