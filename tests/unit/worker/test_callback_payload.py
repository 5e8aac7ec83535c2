"""The body of a callback."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger.records import ErrorInfo, JobRecord, JobStatus
from tests.unit.worker.callback_jobs import ended_job
from worker.callbacks.payload import MAX_BODY, callback_body

CREATED = datetime(2026, 11, 21, 20, 41, 9, tzinfo=UTC)


def ended(status: JobStatus = JobStatus.FINISHED, **changes: Any) -> JobRecord:
    told: dict[str, Any] = {
        "result": {"action_items": ["write"]},
        "metadata": {"client_reference_id": "crm-7"},
        "created_at": CREATED,
        "started_at": CREATED + timedelta(seconds=1),
        "ended_at": CREATED + timedelta(seconds=2, milliseconds=123),
    }
    return ended_job(status, **told | changes)


def test_a_finished_job_tells_everything_in_the_contracts_words() -> None:
    body = callback_body(ended(), status_url="https://hooks.example.com/jobs/job_1?token=t")
    assert json.loads(body) == {
        "type": "job.finished",
        "timestamp": "2026-11-21T20:41:11.123Z",
        "data": {
            "job_id": "job_1",
            "event_id": "evt_1",
            "source": "fireflies",
            "event_type": "meeting.summarized",
            "handler": "handlers.fireflies:meeting_summarized",
            "status": "finished",
            "result": {"action_items": ["write"]},
            "error": None,
            "attempts": 1,
            "metadata": {"client_reference_id": "crm-7"},
            "created_at": "2026-11-21T20:41:09.000Z",
            "started_at": "2026-11-21T20:41:10.000Z",
            "ended_at": "2026-11-21T20:41:11.123Z",
            "status_url": "https://hooks.example.com/jobs/job_1?token=t",
        },
    }


def test_a_failed_job_tells_its_error_but_no_traceback() -> None:
    error = ErrorInfo(type="Reject", message="no transcript", trace='File "/app/handlers/fireflies.py"')
    body = callback_body(ended(JobStatus.FAILED, result=None, error=error, attempt=5), status_url=None)
    content = json.loads(body)
    assert content["type"] == "job.failed"
    assert content["data"]["error"] == {"type": "Reject", "message": "no transcript"}
    assert (content["data"]["attempts"], content["data"]["status_url"]) == (5, None)
    assert b"fireflies.py" not in body


def test_a_job_canceled_before_it_started_has_no_start() -> None:
    content = json.loads(
        callback_body(ended(JobStatus.CANCELED, result=None, started_at=None, attempt=0), status_url=None)
    )
    assert content["type"] == "job.canceled"
    assert content["data"]["started_at"] is None


@pytest.mark.parametrize("result", ["naïve ✓", "\ud800", {"a": [1, None, True, "\x00"]}, 10**30])
def test_the_body_is_ascii_whatever_the_result_holds(result: Any) -> None:
    body = callback_body(ended(result=result), status_url=None)
    assert body.isascii()
    assert json.loads(body)["data"]["result"] == result


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        callback_body(ended(result=float("inf")), status_url=None)


def test_a_result_that_is_too_large_is_replaced_by_a_link() -> None:
    url = "https://hooks.example.com/jobs/job_1?token=t"
    data = json.loads(callback_body(ended(result="x" * MAX_BODY), status_url=url))["data"]
    assert (data["result"], data["result_url"], data["result_bytes"]) == (None, url, MAX_BODY + 2)
    assert data["status_url"] == url


def test_without_a_public_url_a_result_that_is_too_large_has_no_link() -> None:
    body = callback_body(ended(result=["é"] * 200_000), status_url=None)
    data = json.loads(body)["data"]
    assert (data["result"], data["result_url"]) == (None, None)
    assert len(body) < 1000


def test_a_result_that_just_fits_is_sent() -> None:
    around = len(callback_body(ended(result=""), status_url=None))
    body = callback_body(ended(result="x" * (MAX_BODY - around)), status_url=None)
    assert len(body) == MAX_BODY
    assert "result_url" not in json.loads(body)["data"]
