"""Receivers that are paused, progress, and other formats, as receivers and operators see them."""

import json
import time
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, System
from tests.acceptance.inbox import Answer, Inbox
from tests.acceptance.test_calling_back import called_back, submit

pytestmark = pytest.mark.slow  # many processes, one after the other


def call(house: System, method: str, path: str, **query: str) -> Any:
    answer = house.http.request(method, path, params=query, headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def receiver_of(house: System, url: str, status: str) -> dict[str, Any]:
    (found,) = [one for one in call(house, "GET", "/receivers", status=status)["items"] if one["url"] == url]
    receiver: dict[str, Any] = found
    return receiver


def test_a_receiver_that_is_gone_gets_nothing_more_until_it_is_resumed(house: System, inbox: Inbox) -> None:
    """F62: it said 410; what comes then is withheld, and made again when an operator says so."""
    url = inbox.url("paused")
    called_back(house, submit(house, inbox.answer("paused?first", 410)), "dead")
    withheld = submit(house, f"{url}?second")
    assert called_back(house, withheld, "dead")["reason"] == "receiver_paused"
    receiver = receiver_of(house, url, "paused")
    assert receiver["reason"] == "gone"

    assert inbox.posts("paused?second") == []

    resumed = call(house, "POST", f"/receivers/{receiver['id']}/resume")
    assert (resumed["status"], resumed["redelivered"]) == ("active", 1)
    (attempt,) = called_back(house, withheld, "delivered")["attempts"]
    assert attempt["number"] == 1


def test_a_receiver_beside_one_that_is_paused_is_called(house: System, inbox: Inbox) -> None:
    submit(house, inbox.answer("beside-gone", 410))
    receiver_id = _paused(house, inbox.url("beside-gone"))
    called_back(house, submit(house, inbox.url("beside")), "delivered")
    assert call(house, "POST", f"/receivers/{receiver_id}/pause")["status"] == "paused"


def _paused(house: System, url: str, timeout: float = 15.0) -> str:
    """The receiver's id, once it is paused."""
    limit = time.monotonic() + timeout
    while not (
        found := [
            one["id"]
            for one in call(house, "GET", "/receivers", status="paused")["items"]
            if one["url"] == url
        ]
    ):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return str(found[0])


def test_progress_is_told_and_then_the_outcome(house: System, inbox: Inbox) -> None:
    url = inbox.answer("progress", Answer(500))
    job_id = submit(
        house,
        url,
        type="gated",
        payload={"gate": "progress"},
        callback_events=["progress"],
        metadata={"order": 7},
    )
    (first,) = inbox.wait_for("progress")
    told = first.verified(CALLBACK_SECRET)
    assert (told["type"], told["data"]["job_id"], told["data"]["metadata"]) == (
        "job.progress",
        job_id,
        {"order": 7},
    )
    assert told["data"]["progress"] == {
        "current": 1, "total": 4, "percent": 25.0, "message": "waiting", "stage": "gate", "item": "progress",
    }  # fmt: skip
    house.open_gate("progress")
    house.ended(job_id)
    called_back(house, job_id, "delivered")
    posts = inbox.posts("progress")
    assert [post.verified(CALLBACK_SECRET)["type"] for post in posts] == ["job.progress", "job.finished"], (
        "what was refused is not told again"
    )
    assert posts[0].id.startswith("msg_")
    assert posts[1].id == job_id.replace("job_", "cb_")


def test_who_did_not_ask_hears_the_outcome_alone(house: System, inbox: Inbox) -> None:
    job_id = submit(house, inbox.url("quiet"), type="gated", payload={"gate": "quiet"})
    while house.job(job_id)["progress"] is None:
        time.sleep(0.02)
    house.open_gate("quiet")
    (post,) = inbox.wait_for("quiet")
    assert post.verified(CALLBACK_SECRET)["type"] == "job.finished"


def test_a_cloud_event_is_signed_as_it_stands(house: System, inbox: Inbox) -> None:
    job_id = submit(house, inbox.url("cloud"), callback_format="cloudevents")
    (post,) = inbox.wait_for("cloud")
    event = post.verified(CALLBACK_SECRET)
    assert post.headers["content-type"] == "application/cloudevents+json"
    assert (event["specversion"], event["id"], event["type"], event["subject"]) == (
        "1.0", post.id, "job.finished", job_id,
    )  # fmt: skip
    assert event["data"]["job_id"] == job_id


def test_the_result_alone_is_signed_as_it_stands(house: System, inbox: Inbox) -> None:
    job_id = submit(house, inbox.url("bare"), callback_format="result", payload={"a": 1})
    (post,) = inbox.wait_for("bare")
    post.verified(CALLBACK_SECRET)
    assert json.loads(post.body) == house.job(job_id)["result"]
    assert (post.headers["hookline-type"], post.headers["hookline-job-id"]) == ("job.finished", job_id)
