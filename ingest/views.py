"""Records as the API shows them (CONTRACT, section 6): plain functions from a record to JSON."""

from datetime import datetime
from typing import Any

from infra.clock import rfc3339
from infra.ledger.records import AttemptRecord, CallbackRecord, EventRecord, HandlerEntry, JobRecord, Progress
from ingest.diagnose import Diagnosis


def diagnosis_view(diagnosis: Diagnosis) -> dict[str, Any]:
    """Why one request was refused, as the API and the command line show it."""
    return {
        "received_at": rfc3339(diagnosis.received_at),
        "because": diagnosis.because,
        "size": diagnosis.size,
        "holds": list(diagnosis.holds),
        "cures": list(diagnosis.cures),
        "cut_short": diagnosis.cut_short,
    }


def job_view(job: JobRecord, entry: HandlerEntry | None, *, operator: bool) -> dict[str, Any]:
    """A job.

    Args:
        entry: what live workers say of such jobs, for what the record does not know before its first attempt.
        operator: whether who looks may see more of the callback than its fate.
    """
    return {
        "id": job.id,
        "event_id": job.event_id,
        "source": job.source,
        "type": job.type,
        "handler": job.handler or (entry.handler if entry else None),
        "status": job.status,
        "queue": job.queue,
        "position": job.position,
        "progress": None if job.progress is None else _progress(job.progress),
        "attempts": [_attempt(attempt) for attempt in job.attempts],
        "logs": [dict(line) for line in job.logs],
        "ordering_key": job.ordering_key,
        "max_attempts": job.max_attempts or (entry.max_attempts if entry else None),
        "next_attempt_at": _moment(job.next_attempt_at),
        "result": job.result,
        "error": None if job.error is None else job.error.public(),
        "callback": None if job.callback is None else callback_view(job.callback, operator=operator),
        "metadata": dict(job.metadata),
        "created_at": rfc3339(job.created_at),
        "started_at": _moment(job.started_at),
        "ended_at": _moment(job.ended_at),
        "parent": job.parent,
    }


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
        view["next_attempt_at"] = _moment(callback.next_attempt_at)
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


def event_view(event: EventRecord) -> dict[str, Any]:
    """An event, its body as text; what is no text in UTF-8 is marked."""
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "received_at": rfc3339(event.received_at),
        "provider_event_id": event.provider_event_id,
        "content_type": event.content_type,
        "headers": dict(event.headers),
        "body": event.body.decode("utf-8", "replace"),
        "metadata": dict(event.metadata),
        "tag": event.tag,
        "accepted_by": event.accepted_by,
        "jobs": list(event.jobs),
        "duplicates": event.duplicates,
        "differing_duplicates": event.differing_duplicates,
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "worker": attempt.worker,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "error": None if attempt.error is None else attempt.error.public(),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    total = progress.total
    return {
        "current": progress.current,
        "total": total,
        "percent": None if not total else round(100 * min(max(progress.current / total, 0), 1), 1),
        "message": progress.message,
        "stage": progress.stage,
        "item": progress.item,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
