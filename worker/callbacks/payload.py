"""What a callback says: the contract's JSON, a CloudEvent around the same data, or the result alone.

Sources: CONTRACT, section 5; CloudEvents 1.0.2, JSON event format, sections 2 and 3 (https://github.com/cloudevents/spec).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from infra.clock import rfc3339
from infra.ledger.records import (
    AS_USUAL,
    CallbackFormat,
    CallbackOptions,
    Claim,
    JobRecord,
    JobStatus,
    Progress,
)

MAX_BODY: Final = 1 << 20
"""Bytes. Receivers refuse more: Make at 5 MB, many web servers at 1 MiB."""

_JSON: Final = "application/json"
_CLOUD_EVENT: Final = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Message:
    """A body, what it is, and the headers that say what it does not."""

    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def outcome_message(
    job: JobRecord, *, message_id: str, status_url: str | None, options: CallbackOptions = AS_USUAL
) -> Message:
    """What tells how a job ended, the same in every attempt. It is plain ASCII, whatever the result holds.

    A result that would make it larger than it may be is left out: ``result`` is null, and ``result_url`` and
    ``result_bytes`` stand beside it, which no other callback has.

    Args:
        job: an ended job; its ``timestamp`` is when it ended.
        message_id: the callback's id.
        status_url: where to look it up; None without a public URL.

    Raises:
        ValueError: the result has a number that JSON lacks, such as infinity.
    """
    whole = _outcome(job, message_id, status_url, options, {"result": job.result})
    if len(whole.body) <= (options.max_body or MAX_BODY):
        return whole
    link = {"result_url": status_url, "result_bytes": len(_encoded(job.result))}
    return _outcome(job, message_id, status_url, options, {"result": None, **link})


def progress_message(
    claim: Claim, progress: Progress, *, message_id: str, at: datetime, status_url: str | None
) -> Message:
    """What tells how far a running job is."""
    told = {
        "current": progress.current,
        "total": progress.total,
        "percent": progress.percent,
        "message": progress.message,
        "stage": progress.stage,
        "item": progress.item,
    }
    data = {
        "job_id": claim.job_id,
        "event_id": claim.event_id,
        "source": claim.source,
        "event_type": claim.type,
        "status": str(JobStatus.STARTED),
        "progress": told,
        "attempts": claim.attempt,
        "metadata": dict(claim.metadata),
        "created_at": _moment(claim.created_at),
        "started_at": _moment(claim.claimed_at),
        "status_url": status_url,
    }
    return _formatted(
        "job.progress", at, data, alone=told, message_id=message_id, options=claim.callback_options
    )


def _outcome(
    job: JobRecord, message_id: str, status_url: str | None, options: CallbackOptions, result: dict[str, Any]
) -> Message:
    error = None if job.error is None else job.error.public()
    data = {
        "job_id": job.id,
        "event_id": job.event_id,
        "source": job.source,
        "event_type": job.type,
        "handler": job.handler,
        "status": str(job.status),
        **result,
        "error": error,
        "attempts": job.attempt,
        "metadata": dict(job.metadata),
        "created_at": _moment(job.created_at),
        "started_at": _moment(job.started_at),
        "ended_at": _moment(job.ended_at),
        "status_url": status_url,
    }
    alone: Any = result["result"] if len(result) == 1 else result
    if job.status is not JobStatus.FINISHED:
        alone = {"error": error}
    return _formatted(
        f"job.{job.status}", job.ended_at, data, alone=alone, message_id=message_id, options=options
    )


def _formatted(
    type_: str,
    at: datetime | None,
    data: dict[str, Any],
    *,
    alone: Any,
    message_id: str,
    options: CallbackOptions,
) -> Message:
    """The message in the format that is wanted.

    Args:
        alone: what stands for the data in the barest format; headers say the rest.
    """
    if options.format is CallbackFormat.RESULT:
        return Message(_encoded(alone), headers={"hookline-type": type_, "hookline-job-id": data["job_id"]})
    if options.format is CallbackFormat.HOOKLINE:
        return Message(_encoded({"type": type_, "timestamp": _moment(at), "data": data}))
    event = {
        "specversion": "1.0",
        "id": message_id,
        "source": f"urn:hookline:source:{data['source']}",
        "type": type_,
        "subject": data["job_id"],
        "time": _moment(at),
        "datacontenttype": _JSON,
        "data": data,
    }
    return Message(_encoded(event), _CLOUD_EVENT)


def _encoded(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
