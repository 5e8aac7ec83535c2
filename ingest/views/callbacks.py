"""Callbacks as the API shows them."""

from typing import Any

from infra.clock import rfc3339
from infra.ledger.records import CallbackRecord, JobRecord
from ingest.views.moments import moment


def callback_view(callback: CallbackRecord, *, operator: bool) -> dict[str, Any]:
    """A callback. Why it is not delivered, and what its receiver answered, is for the operator: it tells of the inner network."""
    view: dict[str, Any] = {
        "id": callback.id,
        "url": callback.url,
        "status": callback.status,
        "attempts": [
            {"number": attempt.number, "at": rfc3339(attempt.at), "status": attempt.status}
            for attempt in callback.attempts
        ],
    }
    if operator:
        view["reason"] = callback.reason
        view["next_attempt_at"] = moment(callback.next_attempt_at)
        for shown, attempt in zip(view["attempts"], callback.attempts, strict=True):
            shown["duration_ms"] = round(attempt.duration.total_seconds() * 1000)
            shown["reply"] = attempt.reply
            shown["error"] = attempt.error
    return view


def called_view(job: JobRecord) -> dict[str, Any]:
    """The callback of a job that has one, with the job's ids, for the operator."""
    view: dict[str, Any] = {
        "job_id": job.id,
        "event_id": job.event_id,
        "source": job.source,
        "type": job.type,
        "created_at": None if job.callback is None else rfc3339(job.callback.created_at),
    }
    return view if job.callback is None else callback_view(job.callback, operator=True) | view
