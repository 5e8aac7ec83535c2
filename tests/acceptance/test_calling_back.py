"""Callbacks as receivers see them (CONTRACT, section 5)."""

import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from tests.acceptance.builders import APART_KEY, CALLBACK_SECRET, OWN_CALLBACK_SECRET, System
from tests.acceptance.inbox import Answer, Inbox


def submit(house: System, url: str, *, type: str = "echo", payload: Any = 7, **more: Any) -> str:
    """A job whose outcome goes there. Returns its id."""
    answer = house.submit({"type": type, "payload": payload, "callback_url": url, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def called_back(house: System, job_id: str, status: str, timeout: float = 15.0) -> dict[str, Any]:
    """The job's callback, once it stands so."""
    limit = time.monotonic() + timeout
    while (callback := house.job(job_id)["callback"]) is None or callback["status"] != status:
        assert time.monotonic() < limit, callback
        time.sleep(0.02)
    found: dict[str, Any] = callback
    return found


def test_the_body_and_the_headers_are_as_promised(house: System, inbox: Inbox) -> None:
    answer = house.send(
        {"type": "echo", "callback_url": inbox.url("shape"), "metadata": {"order": 7}, "client_reference_id": "r"}
    )  # fmt: skip
    told = answer.json()
    (post,) = inbox.wait_for("shape")
    job = house.job(told["job_id"])

    body = post.verified(CALLBACK_SECRET)
    assert body == {
        "type": "job.finished",
        "timestamp": job["ended_at"],
        "data": {
            "job_id": told["job_id"],
            "event_id": told["event_id"],
            "source": "acme",
            "event_type": "echo",
            "handler": "scenario:echo",
            "status": "finished",
            "result": job["result"],
            "error": None,
            "attempts": 1,
            "metadata": {"order": 7, "client_reference_id": "r"},
            "created_at": job["created_at"],
            "started_at": job["started_at"],
            "ended_at": job["ended_at"],
            "status_url": None,
        },
    }
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert post.id == told["job_id"].replace("job_", "cb_")
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"].startswith("Hookline/")


def test_a_changed_body_does_not_verify(house: System, inbox: Inbox) -> None:
    """A108."""
    submit(house, inbox.url("changed"))
    (post,) = inbox.wait_for("changed")
    forged = type(post)(post.path, post.headers, post.body.replace(b'"result"', b'"resul7"'), post.at)
    with pytest.raises(WebhookVerificationError):
        forged.verified(CALLBACK_SECRET)


def test_a_source_signs_with_its_own_secret(house: System, inbox: Inbox) -> None:
    house.send({"type": "echo", "callback_url": inbox.url("own")}, source="own-secret")
    (post,) = inbox.wait_for("own")
    assert post.verified(OWN_CALLBACK_SECRET)["data"]["source"] == "own-secret"
    with pytest.raises(WebhookVerificationError):
        post.verified(CALLBACK_SECRET)


def test_what_came_with_an_api_key_is_signed_with_its_own_secret(house: System, inbox: Inbox) -> None:
    wanted = {"type": "echo", "callback_url": inbox.url("apart"), "callback_events": ["progress"]}
    assert house.submit(wanted, key=APART_KEY).status_code == 202
    (post,) = inbox.wait_for("apart")
    assert post.verified(OWN_CALLBACK_SECRET)["type"] == "job.finished"
    with pytest.raises(WebhookVerificationError):
        post.verified(CALLBACK_SECRET)


@pytest.mark.slow
def test_what_is_to_be_signed_with_the_own_secret_of_a_key_waits_for_a_worker_that_has_it(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """No other secret is good enough: its receiver would have to take what others can forge."""
    house = build(HOOKLINE_CALLBACK_SCHEDULE="1s" + ",1s" * 30)
    house.web()
    without = house.worker(HOOKLINE_API_KEY_CALLBACK_SECRETS="")
    answer = house.submit({"type": "echo", "callback_url": inbox.url("later")}, key=APART_KEY)
    job_id = answer.json()["job_id"]
    limit = time.monotonic() + 15
    while not ((callback := house.job(job_id)["callback"]) and callback["attempts"]):
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert (callback["status"], callback["attempts"][0]["error"]) == (
        "pending",
        "there is no secret of the API key apart to sign with, so nothing was sent",
    )
    without.stop()
    house.worker()
    (post,) = inbox.wait_for("later")
    assert post.verified(OWN_CALLBACK_SECRET)["data"]["job_id"] == job_id


def test_a_refused_callback_is_repeated_with_the_same_id_and_a_fresh_signature(
    house: System, inbox: Inbox
) -> None:
    """F52, with a schedule of 200 ms and 200 ms: the same id, a gap within jitter, until it is taken."""
    job_id = submit(house, inbox.answer("repeated", 500, Answer(503, {"Retry-After": "abc"}), 200))

    posts = inbox.wait_for("repeated", 3)
    assert len({post.id for post in posts}) == 1
    assert len({post.body for post in posts}) == 1
    assert all(post.verified(CALLBACK_SECRET) for post in posts)
    gaps = [second.at - first.at for first, second in pairwise(posts)]
    assert all(0.15 < gap < 1.5 for gap in gaps), gaps
    callback = called_back(house, job_id, "delivered")
    assert [attempt["status"] for attempt in callback["attempts"]] == [500, 503, 200]
    assert [attempt["number"] for attempt in callback["attempts"]] == [1, 2, 3]


def test_each_attempt_has_the_timestamp_and_the_signature_of_its_own_moment(
    house: System, inbox: Inbox
) -> None:
    """A108, so that a receiver's tolerance holds for a late attempt."""
    submit(house, inbox.answer("stamps", Answer(500, before=lambda: time.sleep(1.1))))
    first, second = inbox.wait_for("stamps", 2)
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert second.headers["webhook-signature"] != first.headers["webhook-signature"]
    assert first.verified(CALLBACK_SECRET) == second.verified(CALLBACK_SECRET)


@pytest.mark.parametrize(
    ("status", "retry_after", "least"),
    [(429, "1", 0.4), (503, "9999", 0.4), (429, "0", 0.2), (429, "1e309", 0.16), (500, "1", 0.16)],
)
def test_a_retry_after_is_waited_for_up_to_twice_the_step(
    house: System, inbox: Inbox, status: int, retry_after: str, least: float
) -> None:
    """F63: a step of 200 ms, and only where the receiver is busy."""
    name = f"busy-{status}-{retry_after}"
    submit(house, inbox.answer(name, Answer(status, {"Retry-After": retry_after})))
    first, second = inbox.wait_for(name, 2)
    assert least - 0.02 < second.at - first.at < least + 1


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_after_the_schedule_it_is_a_dead_letter(house: System, inbox: Inbox, status: int) -> None:
    """F64: given up, visible, and the result still readable."""
    name = f"dead-{status}"
    job_id = submit(house, inbox.answer(name, *[status] * 3))

    callback = called_back(house, job_id, "dead")
    assert callback["reason"] == f"given up after 3 attempts: the receiver answered {status}"
    assert len(callback["attempts"]) == len(inbox.posts(name)) == 3
    assert house.job(job_id)["result"]["payload"] == 7


def test_nobody_listening_ends_as_a_dead_letter(house: System) -> None:
    """F64: connections are refused for the whole schedule."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and never listening
        callback = called_back(house, submit(house, f"http://127.0.0.1:{unused.getsockname()[1]}/"), "dead")
    assert [attempt["status"] for attempt in callback["attempts"]] == [None] * 3


def test_410_gives_up_at_once(house: System, inbox: Inbox) -> None:
    """F62."""
    job_id = submit(house, inbox.answer("gone", 410))
    assert "410" in called_back(house, job_id, "dead")["reason"]
    assert len(inbox.posts("gone")) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(house: System, inbox: Inbox, status: int) -> None:
    """F61: where it points to is not called."""
    canary, name = f"canary-{status}", f"redirect-{status}"
    job_id = submit(house, inbox.answer(name, Answer(status, {"Location": inbox.url(canary)}), 204))
    called_back(house, job_id, "delivered")
    assert len(inbox.posts(name)) == 2
    assert inbox.posts(canary) == []


def test_the_beginning_of_the_reply_is_kept(house: System, inbox: Inbox) -> None:
    job_id = submit(house, inbox.answer("reply", Answer(200, {}, b"\xff" + b"x" * 10_000)))
    (attempt,) = called_back(house, job_id, "delivered")["attempts"]
    assert attempt["reply"].startswith("\ufffdxxx")
    assert len(attempt["reply"]) <= 4096


@pytest.mark.parametrize(
    ("type", "attempts", "error"),
    [
        ("rejecting", 1, {"type": "Reject", "message": "no such project"}),
        ("failing", 3, {"type": "RuntimeError", "message": "attempt 3 failed"}),
        ("slow", 1, {"type": "TimeoutError", "message": "the attempt took longer than 0.2s"}),
    ],
)
def test_a_failed_job_is_called_back_once(
    house: System, inbox: Inbox, type: str, attempts: int, error: dict[str, str]
) -> None:
    """F70: one callback for the end, none for a retry."""
    job_id = submit(house, inbox.url(f"failed-{type}"), type=type)

    (post,) = inbox.wait_for(f"failed-{type}")
    body = post.verified(CALLBACK_SECRET)
    assert body["type"] == "job.failed"
    assert body["data"]["error"] == error
    assert (body["data"]["attempts"], body["data"]["result"]) == (attempts, None)
    called_back(house, job_id, "delivered")
    assert len(house.runs(job_id)) == attempts
    assert len(inbox.posts(f"failed-{type}")) == 1


def test_a_receiver_that_hangs_delays_nobody_else(house: System, inbox: Inbox) -> None:
    """F65, in small: a dead receiver starves no other. It gets only so many at once."""
    released = threading.Event()
    try:
        for _ in range(20):
            submit(house, inbox.answer("hanging", Answer(before=released.wait)))
        inbox.wait_for("hanging", 16)
        began = time.monotonic()
        submit(house, inbox.url("healthy"))
        inbox.wait_for("healthy")
        assert time.monotonic() - began < 2
    finally:
        released.set()


def test_every_callback_holds_json_only(house: System, inbox: Inbox) -> None:
    submit(house, inbox.url("json"), payload={"text": "ünï \u2028 code", "deep": [[[None, True, 1.5]]]})
    (post,) = inbox.wait_for("json")
    assert json.loads(post.body.decode("ascii"))["data"]["result"]["payload"]["text"] == "ünï \u2028 code"
