"""The body of a callback."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger.records import (
    CallbackFormat,
    CallbackOptions,
    Claim,
    ErrorInfo,
    JobRecord,
    JobStatus,
    Progress,
)
from tests.unit.worker.callback_jobs import ended_job
from worker.callbacks.payload import MAX_BODY, Message, outcome_message, progress_message

CREATED = datetime(2026, 11, 21, 20, 41, 9, tzinfo=UTC)


ID = "cb_1"


def callback_body(job: JobRecord, *, status_url: str | None) -> bytes:
    """The contract's JSON."""
    return outcome_message(job, message_id=ID, status_url=status_url).body


def told(job: JobRecord, **options: Any) -> Message:
    """The same in another format."""
    return outcome_message(job, message_id=ID, status_url=None, options=CallbackOptions(**options))


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


# -- the source's limit ------------------------------------------------------------------------------------------------


def test_a_source_can_have_a_limit_of_its_own() -> None:
    small, large = ended(result="x" * 2000), ended(result="x" * MAX_BODY)
    assert json.loads(told(small, max_body=1024).body)["data"]["result_bytes"] == 2002
    assert json.loads(told(large, max_body=2 * MAX_BODY).body)["data"]["result"] == large.result


# -- other formats -----------------------------------------------------------------------------------------------------


def test_a_cloud_event_has_the_same_data() -> None:
    """CloudEvents 1.0.2, section 3.1: the required attributes, and those that are told besides."""
    event = told(ended(), format=CallbackFormat.CLOUDEVENTS)
    content = json.loads(event.body)
    assert event.content_type == "application/cloudevents+json"
    assert content.pop("data") == json.loads(callback_body(ended(), status_url=None))["data"]
    assert content == {
        "specversion": "1.0",
        "id": ID,
        "source": "urn:hookline:source:fireflies",
        "type": "job.finished",
        "subject": "job_1",
        "time": "2026-11-21T20:41:11.123Z",
        "datacontenttype": "application/json",
    }


def test_the_result_alone_is_nothing_but_the_result() -> None:
    alone = told(ended(), format=CallbackFormat.RESULT)
    assert json.loads(alone.body) == {"action_items": ["write"]}
    assert alone.headers == {"hookline-type": "job.finished", "hookline-job-id": "job_1"}


def test_where_there_is_no_result_the_error_stands_alone() -> None:
    error = ErrorInfo(type="Reject", message="no transcript", trace="secret")
    failed = told(ended(JobStatus.FAILED, result=None, error=error), format=CallbackFormat.RESULT)
    assert json.loads(failed.body) == {"error": {"type": "Reject", "message": "no transcript"}}
    canceled = told(ended(JobStatus.CANCELED, result=None), format=CallbackFormat.RESULT)
    assert json.loads(canceled.body) == {"error": None}


def test_a_result_alone_that_is_too_large_is_a_link() -> None:
    alone = told(ended(result="x" * 2000), format=CallbackFormat.RESULT, max_body=1024)
    assert json.loads(alone.body) == {"result": None, "result_url": None, "result_bytes": 2002}


# -- progress ----------------------------------------------------------------------------------------------------------


def claim(**changes: Any) -> Claim:
    told: dict[str, Any] = {
        "job_id": "job_1", "event_id": "evt_1", "token": "w1-1", "queue": "high", "attempt": 2, "crashes": 0,
        "claimed_at": CREATED + timedelta(seconds=1), "created_at": CREATED, "source": "fireflies",
        "type": "meeting.summarized", "received_at": CREATED, "headers": {}, "content_type": "application/json",
        "body": b"{}", "metadata": {"client_reference_id": "crm-7"},
    }  # fmt: skip
    return Claim(**told | changes)


def progress_body(**options: Any) -> Any:
    message = progress_message(
        claim(callback_options=CallbackOptions(**options)), Progress(current=3, total=12, message="reading"),
        message_id="msg_1", at=CREATED + timedelta(seconds=1, milliseconds=500), status_url=None,
    )  # fmt: skip
    return json.loads(message.body)


def test_progress_tells_how_far_the_job_is() -> None:
    assert progress_body() == {
        "type": "job.progress",
        "timestamp": "2026-11-21T20:41:10.500Z",
        "data": {
            "job_id": "job_1",
            "event_id": "evt_1",
            "source": "fireflies",
            "event_type": "meeting.summarized",
            "status": "started",
            "progress": {
                "current": 3, "total": 12, "percent": 25.0, "message": "reading", "stage": None, "item": None,
            },
            "attempts": 2,
            "metadata": {"client_reference_id": "crm-7"},
            "created_at": "2026-11-21T20:41:09.000Z",
            "started_at": "2026-11-21T20:41:10.000Z",
            "status_url": None,
        },
    }  # fmt: skip


def test_progress_comes_in_the_format_of_the_outcome() -> None:
    assert progress_body(format=CallbackFormat.CLOUDEVENTS)["type"] == "job.progress"
    assert progress_body(format=CallbackFormat.RESULT)["percent"] == 25.0
