"""Jobs as the API shows them."""

from datetime import timedelta
from typing import Any, Final

from infra.clock import rfc3339
from infra.ledger.canceling import OpenJobs
from infra.ledger.records import AttemptRecord, HandlerEntry, JobRecord, Progress
from ingest.views.callbacks import callback_view
from ingest.views.moments import moment

_LARGE: Final = ("attempts", "logs", "result", "position", "estimated_seconds")  # what a list leaves out


def job_view(
    job: JobRecord, entry: HandlerEntry | None, *, operator: bool, estimate: timedelta | None = None
) -> dict[str, Any]:
    """A job.

    Args:
        entry: what live workers say of such jobs, for what the record does not know before its first attempt.
        operator: whether who looks may see more of the callback than its fate.
        estimate: how long an attempt usually takes.
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
        "progress": None if job.progress is None else progress_view(job.progress),
        "estimated_seconds": None if estimate is None else round(estimate.total_seconds(), 3),
        "round": job.round,
        "attempts": [_attempt(attempt) for attempt in job.attempts],
        "logs": [dict(line) for line in job.logs],
        "ordering_key": job.ordering_key,
        "max_attempts": job.max_attempts or (entry.max_attempts if entry else None),
        "next_attempt_at": moment(job.next_attempt_at),
        "result": job.result,
        "error": None if job.error is None else job.error.public(),
        "callback": None if job.callback is None else callback_view(job.callback, operator=operator),
        "metadata": dict(job.metadata),
        "tag": job.tag,
        "created_at": rfc3339(job.created_at),
        "started_at": moment(job.started_at),
        "ended_at": moment(job.ended_at),
        "parent": job.parent,
    }


def listed_job_view(job: JobRecord) -> dict[str, Any]:
    """A job on a list: what is small."""
    shown = job_view(job, None, operator=True)
    for name in _LARGE:
        del shown[name]
    shown["attempt"] = job.attempt
    if job.callback is not None:
        shown["callback"] = {"id": job.callback.id, "url": job.callback.url, "status": job.callback.status}
    return shown


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "round": attempt.round,
        "number": attempt.number,
        "outcome": attempt.outcome,
        "worker": attempt.worker,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "error": None if attempt.error is None else attempt.error.public(),
    }


def canceled_view(found: OpenJobs, canceled: int | None) -> dict[str, Any]:
    """What became of many. Where `complete` is false, there are at least so many.

    Args:
        canceled: how many; None: they were only to be counted.
    """
    return {
        "dry_run": canceled is None,
        "count": len(found.statuses),
        "counts": dict(found.counts),
        "complete": found.complete,
        "canceled": canceled or 0,
    }


def progress_view(progress: Progress) -> dict[str, Any]:
    """How far a handler is; `percent` only where it told a total."""
    return {
        "current": progress.current,
        "total": progress.total,
        "percent": progress.percent,
        "message": progress.message,
        "stage": progress.stage,
        "item": progress.item,
    }
