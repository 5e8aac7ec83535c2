"""Jobs that have ended, and callbacks of them that are due, for the tests of their sending."""

from datetime import UTC, datetime
from typing import Any

from infra.ledger.records import AS_USUAL, CallbackOptions, DueCallback, JobRecord, JobStatus

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def ended_job(status: JobStatus = JobStatus.FINISHED, **changes: Any) -> JobRecord:
    """A job that went well, but for what the test says."""
    told: dict[str, Any] = {
        "id": "job_1",
        "event_id": "evt_1",
        "source": "fireflies",
        "type": "meeting.summarized",
        "handler": "handlers.fireflies:meeting_summarized",
        "queue": "high",
        "position": None,
        "ordering_key": None,
        "attempts": (),
        "attempt": 1,
        "crashes": 0,
        "max_attempts": 5,
        "next_attempt_at": None,
        "result": {"n": 1},
        "error": None,
        "progress": None,
        "logs": (),
        "metadata": {},
        "callback": None,
        "created_at": NOW,
        "started_at": NOW,
        "ended_at": NOW,
    }
    return JobRecord(status=status, **told | changes)


def due(
    url: str,
    attempts: int = 0,
    *,
    number: int = 1,
    job: JobRecord | None = None,
    token: str = "token",
    options: CallbackOptions = AS_USUAL,
) -> DueCallback:
    """A callback whose time has come, after so many attempts."""
    return DueCallback(
        id=f"cb_{number}",
        token=token,
        attempts=attempts,
        url=url,
        job=ended_job() if job is None else job,
        options=options,
    )
