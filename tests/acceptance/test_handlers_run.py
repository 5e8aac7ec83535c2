"""What handlers may do, and what becomes of their jobs (CONTRACT, section 7), seen over HTTP."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.builders import System


def submit(house: System, type: str, payload: Any = None) -> str:
    answer = house.submit({"type": type, "payload": payload})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_def_handler_runs_in_a_thread(house: System) -> None:
    assert house.ended(submit(house, "plain"))["result"] == {"thread": True}


def test_reject_fails_the_job_at_once(house: System) -> None:
    job = house.ended(submit(house, "rejecting"), "failed")
    assert job["error"] == {"type": "Reject", "message": "no such project"}
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failed"]


def test_retry_later_runs_the_job_again_after_its_delay(house: System) -> None:
    job = house.ended(submit(house, "later"))
    assert job["result"] == 2
    first, second = job["attempts"]
    assert (first["outcome"], second["outcome"]) == ("retried", "finished")
    assert first["error"] == {"type": "RetryLater", "message": "still summarising"}
    assert moment(second["started_at"]) - moment(first["ended_at"]) >= timedelta(milliseconds=145)


def test_an_exception_runs_the_job_again_by_its_backoff_until_max_attempts(house: System) -> None:
    job = house.ended(submit(house, "failing"), "failed")
    assert job["max_attempts"] == 3
    assert job["error"] == {"type": "RuntimeError", "message": "attempt 3 failed"}
    attempts = job["attempts"]
    assert [(one["number"], one["outcome"]) for one in attempts] == [
        (1, "retried"),
        (2, "retried"),
        (3, "failed"),
    ]
    waits = [moment(two["started_at"]) - moment(one["ended_at"]) for one, two in pairwise(attempts)]
    assert waits[0] >= timedelta(milliseconds=75)
    assert waits[1] >= timedelta(milliseconds=155)
    assert [run.attempt for run in house.runs(job["id"])] == [1, 2, 3]


def test_an_attempt_that_takes_too_long_fails(house: System) -> None:
    job = house.ended(submit(house, "slow"), "failed")
    assert job["error"]["type"] == "TimeoutError"
    (attempt,) = job["attempts"]
    lasted = moment(attempt["ended_at"]) - moment(attempt["started_at"])
    assert timedelta(milliseconds=190) < lasted < timedelta(seconds=5)


def test_a_payload_that_fits_its_model_arrives_as_one(house: System) -> None:
    assert house.ended(submit(house, "order", {"number": 7, "lines": ["a"]}))["result"] == 7


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"number": "7", "lines": []}, "`$.number`"),
        ({"number": 7, "lines": ["a", 2]}, "`$.lines[1]`"),
        ([], "object"),
    ],
)
def test_a_payload_that_does_not_fit_is_rejected_with_the_path(
    house: System, payload: Any, path: str
) -> None:
    job = house.ended(submit(house, "order", payload), "failed")
    assert job["error"]["type"] == "Reject"
    assert path in job["error"]["message"]
    assert len(job["attempts"]) == 1
    assert house.runs(job["id"]) == []


@pytest.mark.parametrize(("type", "current"), [("gated", 1), ("gated-plain", 2)])
def test_progress_and_logs_are_seen_while_the_job_runs(
    house: System, wait_until: Callable[..., Any], type: str, current: int
) -> None:
    job_id = submit(house, type, {"gate": f"progress-{type}"})

    job = wait_until(lambda: (found := house.job(job_id))["logs"] and found)
    assert job["status"] == "started"
    assert [line["message"] for line in job["logs"]] == ["at the gate"]
    assert job["progress"] | {"current": current, "total": 4, "message": "waiting"} == job["progress"]
    assert job["progress"]["percent"] == 25 * current

    house.open_gate(f"progress-{type}")
    assert house.ended(job_id)["result"] == "through"
