"""Batches as the API shows them: the whole, and the parts."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from infra.clock import rfc3339
from infra.ledger.batches import BatchRecord
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from ingest.views.jobs import progress_view
from ingest.views.moments import moment


def batch_view(batch: BatchRecord, *, now: datetime, urls: Sequence[str]) -> dict[str, Any]:
    """A batch; its `status` is `finished` when all of its jobs have ended, however they have.

    `estimated_seconds` are left if it goes on as it went so far; None before anything was done.

    Args:
        urls: where each of its jobs can be read, in their order.
    """
    share = _share(batch)
    ended = [job.ended_at for job in batch.jobs if job.ended_at is not None]
    over = len(ended) == len(batch.jobs)
    return {
        "id": batch.id,
        "status": _status(batch, over=over),
        "count": batch.size,
        "counts": dict(Counter(str(job.status) for job in batch.jobs)),
        "percent": round(100 * share, 1),
        "estimated_seconds": None if over or not share else _left(now - batch.created_at, share),
        "created_at": rfc3339(batch.created_at),
        "ended_at": moment(max(ended, default=None)) if over else None,
        "jobs": [_part(job, url) for job, url in zip(batch.jobs, urls, strict=True)],
    }


def _share(batch: BatchRecord) -> float:
    """How much is done, from 0 to 1: a job that runs counts as far as it says that it is."""
    done = batch.size - len(batch.jobs) + sum(map(_done, batch.jobs))
    return min(1.0, done / batch.size)


def _done(job: JobRecord) -> float:
    if job.status in TERMINAL_STATUSES:
        return 1.0
    progress = job.progress
    if job.status is not JobStatus.STARTED or progress is None or not progress.total:
        return 0.0
    return min(max(progress.current / progress.total, 0.0), 1.0)


def _status(batch: BatchRecord, *, over: bool) -> JobStatus:
    if over:
        return JobStatus.FINISHED
    begun = any(job.status is JobStatus.STARTED or job.status in TERMINAL_STATUSES for job in batch.jobs)
    return JobStatus.STARTED if begun else JobStatus.QUEUED


def _left(elapsed: timedelta, share: float) -> int:
    return max(0, round(elapsed.total_seconds() * (1 - share) / share))


def _part(job: JobRecord, url: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "attempt": job.attempt,
        "progress": None if job.progress is None else progress_view(job.progress),
        "error": None if job.error is None else job.error.public(),
        "ended_at": moment(job.ended_at),
        "status_url": url,
    }
