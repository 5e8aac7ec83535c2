"""``POST /jobs`` and ``GET /jobs/{id}`` as callers of the API see them (CONTRACT, sections 4 and 6)."""

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, READ_KEY, System, assert_problem
from tests.acceptance.inbox import Inbox


def echo(**more: Any) -> dict[str, Any]:
    return {"type": "echo", "payload": {"number": 7}, **more}


# -- POST /jobs --------------------------------------------------------------------------------------------------------


def test_a_job_is_taken_and_run(house: System, inbox: Inbox) -> None:
    answer = house.submit(echo(callback_url=inbox.url("submitted"), metadata={"order": 7}, tag="blue"))

    assert answer.status_code == 202
    told = answer.json()
    assert told.keys() == {"event_id", "job_id", "status", "duplicate", "status_url"}
    job = house.ended(told["job_id"])
    assert (job["source"], job["type"], job["handler"]) == ("api", "echo", "scenario:echo")
    assert job["result"] == {"payload": {"number": 7}, "attempt": 1}
    (callback,) = inbox.wait_for("submitted")
    assert b'"metadata":{"order":7}' in callback.body


def test_prefer_wait_makes_it_a_synchronous_call(house: System) -> None:
    answer = house.submit(echo(), Prefer="wait=10")
    assert answer.status_code == 200
    assert answer.json()["result"]["payload"] == {"number": 7}


def test_an_idempotency_key_is_used_once(house: System) -> None:
    key = uuid.uuid4().hex
    first = house.submit(echo(idempotency_key=key))
    again = house.submit(echo(idempotency_key=key))
    other = house.submit(echo(idempotency_key=key, payload={"number": 8}))

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["job_id"] == first.json()["job_id"]
    told = assert_problem(other, 409, "idempotency_conflict")
    assert told["job_id"] == first.json()["job_id"]
    assert house.ended(first.json()["job_id"])["result"]["payload"] == {"number": 7}


def test_a_batch_is_taken_in_one_step(house: System) -> None:
    answer = house.submit([echo(payload=number) for number in range(20)])

    assert answer.status_code == 202
    jobs = [house.ended(told["job_id"]) for told in answer.json()]
    assert [job["result"]["payload"] for job in jobs] == list(range(20))


def test_a_batch_with_one_fault_is_refused_whole(house: System) -> None:
    before = house.redis.zcard("hookline:jobs")
    told = assert_problem(house.submit([echo(), echo(run_in="soon")]), 422, "invalid")
    assert "$[1].run_in" in told["detail"]
    assert house.redis.zcard("hookline:jobs") == before


def test_a_job_waits_for_its_time(house: System) -> None:
    told = house.submit(echo(run_in="1s")).json()
    assert told["status"] == "scheduled"
    job = house.job(told["job_id"])
    assert (job["status"], job["attempts"]) == ("scheduled", [])

    due = datetime.fromisoformat(job["next_attempt_at"])
    job = house.ended(told["job_id"])
    started = datetime.fromisoformat(job["started_at"])
    assert timedelta(0) <= started - due < timedelta(seconds=1)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"type": 7},
        {"type": ""},
        {"type": "echo", "unknown": 1},
        {"type": "echo", "run_in": -1},
        {"type": "echo", "run_in": "1s", "run_at": "2099-01-01T00:00:00Z"},
        {"type": "echo", "run_at": "2099-01-01T00:00:00"},
        {"type": "echo", "queue": "a b"},
        {"type": "echo", "metadata": []},
        {"type": "echo", "idempotency_key": "x" * 200},
        [],
        [{"type": "echo"}] * 101,
        "echo",
    ],
)
def test_what_can_not_be_carried_out_is_422(house: System, content: Any) -> None:
    assert_problem(house.submit(content), 422, "invalid")


def test_a_type_that_no_live_worker_handles_is_422(house: System) -> None:
    told = assert_problem(house.submit({"type": "unheard-of"}), 422, "invalid")
    assert "'unheard-of'" in told["detail"]


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/x", "https://[::1]/x", "https://192.168.1.1/", "http://example.com/", "nonsense"]
)
def test_a_callback_url_that_is_refused_is_422(house: System, url: str) -> None:
    assert_problem(house.submit(echo(callback_url=url)), 422, "callback_url_refused")


def test_json_that_can_not_be_read_is_400(house: System) -> None:
    answer = house.http.post("/jobs", content=b"{", headers={"Authorization": f"Bearer {API_KEY}"})
    assert_problem(answer, 400, "body_malformed")


def test_a_key_is_needed_and_its_scopes_count(house: System) -> None:
    nobody = house.http.post("/jobs", json=echo())
    assert_problem(nobody, 401, "unauthorized")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert_problem(house.submit(echo(), key="wrong"), 401, "unauthorized")
    assert_problem(house.submit(echo(), key=READ_KEY), 403, "scope_missing")


# -- GET /jobs/{id} ----------------------------------------------------------------------------------------------------


def test_a_job_is_read_with_a_key_or_with_its_own_link(house: System) -> None:
    told = house.submit(echo()).json()
    house.ended(told["job_id"])
    path = f"/jobs/{told['job_id']}"

    by_key = house.http.get(path, headers={"Authorization": f"Bearer {READ_KEY}"})
    by_link = house.http.get(told["status_url"])
    assert (by_key.status_code, by_link.status_code) == (200, 200)
    assert by_link.json() == by_key.json()
    assert by_link.json().keys() >= {
        *("id", "event_id", "source", "type", "handler", "status", "queue", "position", "progress"),
        *("attempts", "logs", "max_attempts", "next_attempt_at", "result", "error", "callback"),
        *("created_at", "started_at", "ended_at"),
    }
    assert_problem(house.http.get(path), 401, "unauthorized")


def test_a_link_reads_its_own_job_only(house: System) -> None:
    one, other = (house.submit(echo()).json() for _ in range(2))
    token = one["status_url"].partition("?token=")[2]

    assert_problem(house.http.get(f"/jobs/{other['job_id']}?token={token}"), 404, "not_found")
    for broken in (token[:-1], token + "A", "", "a.b.c", f"{one['job_id']}..", token.replace("job_", "job-")):
        answer = house.http.get(f"/jobs/{one['job_id']}", params={"token": broken})
        assert answer.status_code == 401, broken


@pytest.mark.parametrize(
    "job_id", ["job_00000000000000000000000000", "job_", "nonsense", "job_%00", "..%2Fx"]
)
def test_there_is_no_such_job(house: System, job_id: str) -> None:
    answer = house.http.get(f"/jobs/{job_id}", headers={"Authorization": f"Bearer {API_KEY}"})
    assert_problem(answer, 404, "not_found")


def test_wait_returns_when_the_job_ends(house: System) -> None:
    told = house.submit({"type": "gated", "payload": {"gate": "wait"}}).json()
    began = time.monotonic()
    assert house.job(told["job_id"], wait=1)["status"] == "started"
    assert 0.9 < time.monotonic() - began < 5

    house.open_gate("wait")
    assert house.job(told["job_id"], wait=60)["status"] == "finished"


@pytest.mark.parametrize("wait", ["-1", "x", "1.5", "99999"])
def test_a_wait_that_makes_no_sense_is_422(house: System, wait: str) -> None:
    told = house.submit(echo()).json()
    assert_problem(house.http.get(f"{told['status_url']}&wait={wait}"), 422, "invalid")


def test_nothing_that_callers_did_was_a_fault_of_ours(house: System) -> None:
    """Runs last in this module: no line of any process tells of an error."""
    for process in house.started:
        assert '"level": "error"' not in process.output()
