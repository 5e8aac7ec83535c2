"""The body of a callback.

Source: CONTRACT, section 5.
"""

import json
from datetime import datetime
from typing import Any, Final

from infra.clock import rfc3339
from infra.ledger.records import JobRecord

MAX_BODY: Final = 1 << 20
"""Bytes. Receivers refuse more: Make at 5 MB, many web servers at 1 MiB."""


def callback_body(job: JobRecord, *, status_url: str | None) -> bytes:
    """The JSON that tells how a job ended, the same in every attempt. It is plain ASCII, whatever the result holds.

    A result that would make it larger than `MAX_BODY` is left out: ``result`` is null, and ``result_url`` and
    ``result_bytes`` stand beside it, which no other callback has.

    Args:
        job: an ended job; its ``timestamp`` is when it ended.
        status_url: where to look it up; None without a public URL.

    Raises:
        ValueError: the result has a number that JSON lacks, such as infinity.
    """
    body = _encoded(job, status_url, {"result": job.result})
    if len(body) <= MAX_BODY:
        return body
    size = len(json.dumps(job.result, separators=(",", ":")))
    return _encoded(job, status_url, {"result": None, "result_url": status_url, "result_bytes": size})


def _encoded(job: JobRecord, status_url: str | None, result: dict[str, Any]) -> bytes:
    content = {
        "type": f"job.{job.status}",
        "timestamp": _moment(job.ended_at),
        "data": {
            "job_id": job.id,
            "event_id": job.event_id,
            "source": job.source,
            "event_type": job.type,
            "handler": job.handler,
            "status": str(job.status),
            **result,
            "error": None if job.error is None else job.error.public(),
            "attempts": job.attempt,
            "metadata": dict(job.metadata),
            "created_at": _moment(job.created_at),
            "started_at": _moment(job.started_at),
            "ended_at": _moment(job.ended_at),
            "status_url": status_url,
        },
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
