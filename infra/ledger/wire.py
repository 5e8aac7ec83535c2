"""Between records and what Redis keeps: plain functions, no Redis.

An event's head and a job's birth are written once, as JSON text, and sealed (`infra.ledger.seal`); what is read back is
believed only while the seal holds. The head starts with source, type and tag, which scripts read off it.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from typing import Any

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.ledger.records import (
    Arrival,
    AttemptRecord,
    CallbackAttempt,
    CallbackRecord,
    CallbackStatus,
    ErrorInfo,
    HandlerEntry,
    JobStatus,
    Progress,
)
from infra.ledger.seal import SEAL_LENGTH, Seal


def dumps(value: Any) -> str:
    """Compact JSON, ASCII only, so that a lone surrogate can't spoil a later read."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def digest(body: bytes) -> str:
    """Tells two bodies apart; 16 hex characters."""
    return blake2s(body, digest_size=8).hexdigest()


def seen_key(source: str, provider_event_id: str) -> str:
    """What stands behind ``hookline:seen:`` for an id that a stranger chose.

    >>> seen_key("github", "a") == seen_key("github", "b"), len(seen_key("github", "x" * 1000))
    (False, 39)
    """
    return f"{source}:{blake2s(provider_event_id.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def change(*, job_id: str, event_id: str, status: str, queue: str, source: str, type: str, tag: str | None) -> str:  # noqa: A002
    """A change of a job as the live stream carries it."""
    return dumps(
        {"job_id": job_id, "event_id": event_id, "status": status, "queue": queue,
         "source": source, "type": type, "tag": tag}
    )  # fmt: skip


def head_of(arrival: Arrival) -> bytes:
    """What is known of the event besides its body."""
    head = {
        "source": arrival.source,
        "type": arrival.type,
        "tag": arrival.tag,
        "at": unix_milliseconds(arrival.received_at),
        "content_type": arrival.content_type,
        "headers": dict(arrival.headers),
        "provider_event_id": arrival.provider_event_id,
        "metadata": dict(arrival.metadata),
        "accepted_by": arrival.accepted_by,
    }
    return dumps(head).encode()


def birth_of(arrival: Arrival) -> bytes:
    """How the job came into the world: enough to make its record anew."""
    callback = "" if arrival.callback_url is None else "blocked" if arrival.callback_refusal else "pending"
    birth = {
        "callback": callback,
        "url": arrival.callback_url,
        "refusal": arrival.callback_refusal,
        "queue": arrival.queue,
        "timeout": max(1, round(arrival.timeout.total_seconds())),
    }
    return dumps(birth).encode()


def accept_arguments(arrival: Arrival, seal: Seal) -> list[str | bytes | int]:
    """One arrival as ``accept.lua`` takes it."""
    head, birth = head_of(arrival), birth_of(arrival)
    sealed = seal.make(arrival.job_id.encode(), arrival.event_id.encode(), head, arrival.body, birth) + birth
    status = JobStatus.QUEUED if arrival.run_at is None else JobStatus.SCHEDULED
    return [
        arrival.event_id,
        arrival.job_id,
        "" if arrival.provider_event_id is None else seen_key(arrival.source, arrival.provider_event_id),
        digest(arrival.body),
        head,
        arrival.body,
        sealed,
        arrival.source,
        arrival.type.encode("utf-8", "backslashreplace"),
        arrival.queue,
        max(1, round(arrival.timeout.total_seconds())),
        "" if arrival.run_at is None else unix_milliseconds(arrival.run_at),
        change(job_id=arrival.job_id, event_id=arrival.event_id, status=status, queue=arrival.queue,
               source=arrival.source, type=arrival.type, tag=arrival.tag),
    ]  # fmt: skip


def unsealed(
    seal: Seal, job_id: str, event_id: str, head: bytes | None, body: bytes | None, birth: bytes | None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Head and birth, if they are what was sealed; else None."""
    if head is None or body is None or birth is None:
        return None
    made, born = birth[:SEAL_LENGTH], birth[SEAL_LENGTH:]
    if not seal.holds(made, job_id.encode(), event_id.encode(), head, body, born):
        return None
    return json.loads(head), json.loads(born)


def rq_time(text: bytes | None) -> datetime | None:
    """A moment as RQ writes it, or None where there is none that can be read.

    >>> rq_time(b"2026-11-21T20:41:11.123000Z").isoformat()
    '2026-11-21T20:41:11.123000+00:00'
    """
    if not text:
        return None
    try:
        return datetime.strptime(text.decode(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def rq_result(result: str) -> str:
    """A JSON result as RQ's result stream keeps it."""
    return b64encode(result.encode()).decode()


def rq_trace(trace: str) -> str:
    """A traceback as RQ's result stream keeps it; empty for none."""
    return b64encode(zlib.compress(trace.encode("utf-8", "replace"))).decode() if trace else ""


def error_json(error: ErrorInfo) -> str:
    """Type and message; the trace goes its own way."""
    return dumps(error.public())


def attempt_record(entry_id: bytes, entry: Mapping[bytes, bytes]) -> AttemptRecord:
    """One entry of a job's result stream."""
    ended_at = from_unix_milliseconds(int(entry_id.split(b"-")[0]))
    error = _object(entry.get(b"error"))
    trace = ""
    if entry.get(b"exc_string"):
        try:
            trace = zlib.decompress(b64decode(entry[b"exc_string"])).decode()
        except (ValueError, zlib.error):
            trace = "(can't be read)"
    return AttemptRecord(
        number=_whole(entry.get(b"number"), 1),
        outcome=entry.get(b"outcome", b"finished").decode(),
        worker=entry.get(b"worker_name", b"").decode(),
        started_at=_seconds(entry.get(b"execution_started_at"), ended_at),
        ended_at=ended_at,
        error=None if error is None else ErrorInfo(type=str(error.get("type", "Error")), message=str(error.get("message", "")), trace=trace),
    )


def result_of(entry: Mapping[bytes, bytes]) -> Any:
    """The handler's result in an entry, or None."""
    try:
        return json.loads(b64decode(entry.get(b"return_value", b"")))
    except ValueError:
        return None


def progress_of(meta: bytes | None) -> Progress | None:
    """The progress in RQ's ``meta``."""
    said = (_object(meta) or {}).get("progress")
    return Progress(**said) if isinstance(said, dict) else None


def meta_of(progress: Progress) -> str:
    """RQ's ``meta`` for a progress."""
    return dumps({"progress": {"current": progress.current, "total": progress.total, "message": progress.message,
                               "stage": progress.stage, "item": progress.item}})  # fmt: skip


def callback_attempt_json(attempt: CallbackAttempt) -> str:
    """One POST as the callback's log keeps it."""
    return dumps({"n": attempt.number, "at": unix_milliseconds(attempt.at), "ms": round(attempt.duration.total_seconds() * 1000),
                  "status": attempt.status, "reply": attempt.reply, "error": attempt.error})  # fmt: skip


def callback_record(id: str, hash: Mapping[bytes, bytes], *, url: str, due: float | None) -> CallbackRecord:  # noqa: A002
    """A callback's record; `due` is its score in the outbox, in milliseconds."""
    status = CallbackStatus(hash.get(b"status", b"pending").decode())
    return CallbackRecord(
        id=id,
        job_id=hash.get(b"job", b"").decode(),
        event_id=hash.get(b"event", b"").decode(),
        url=url,
        status=status,
        reason=hash.get(b"reason", b"").decode() or None,
        attempts=tuple(_callback_attempt(text) for text in _list(hash.get(b"log"))),
        created_at=from_unix_milliseconds(_whole(hash.get(b"created_at"), 0)),
        next_attempt_at=None if due is None or status is not CallbackStatus.PENDING else from_unix_milliseconds(round(due)),
    )


def manifest_json(entries: Sequence[HandlerEntry]) -> str:
    """A worker's manifest."""
    return dumps([
        {"source": entry.source, "type": entry.type, "handler": entry.handler, "queue": entry.queue,
         "timeout": entry.timeout.total_seconds(), "max_attempts": entry.max_attempts}
        for entry in entries
    ])  # fmt: skip


def manifest_of(text: bytes) -> tuple[HandlerEntry, ...]:
    """The manifest that a worker wrote; nothing at all if it can't be read."""
    try:
        return tuple(HandlerEntry(**{**entry, "timeout": timedelta(seconds=entry["timeout"])}) for entry in json.loads(text))
    except (ValueError, TypeError, KeyError):
        return ()


def _callback_attempt(text: str) -> CallbackAttempt:
    kept = _object(text.encode()) or {}
    return CallbackAttempt(
        number=kept.get("n", 0),
        at=from_unix_milliseconds(kept.get("at", 0)),
        duration=timedelta(milliseconds=kept.get("ms", 0)),
        status=kept.get("status"),
        reply=kept.get("reply", ""),
        error=kept.get("error"),
    )


def _object(text: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or b"null")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _list(text: bytes | None) -> list[str]:
    try:
        value = json.loads(text or b"[]")
    except ValueError:
        return []
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _whole(text: bytes | None, default: int) -> int:
    try:
        return int(text or b"")
    except ValueError:
        return default


def _seconds(text: bytes | None, default: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(float(text or b""), UTC)
    except (ValueError, OverflowError, OSError):
        return default
