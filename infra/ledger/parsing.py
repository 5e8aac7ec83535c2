"""What Redis gives back, as records. Anything may stand there: what is not what it should be reads as its default, and
never as an error.
"""

import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from infra.clock import from_unix_milliseconds
from infra.ledger.records import (
    Act,
    AttemptRecord,
    CallbackAttempt,
    CallbackRecord,
    CallbackStatus,
    ErrorInfo,
    HandlerEntry,
    PastRound,
    Progress,
)
from infra.ledger.wire import Story

_OUTCOMES: Final = {
    b"1": "finished",
    b"2": "failed",
    b"3": "canceled",
    b"4": "retried",
}  # rq.results.Result.Type
_LONGEST_TRACE: Final = 1 << 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rq_time(text: bytes | None) -> datetime | None:
    """A moment as RQ writes it, or None where there is none that can be read.

    >>> rq_time(b"2026-11-21T20:41:11.123000Z").isoformat()
    '2026-11-21T20:41:11.123000+00:00'
    """
    try:
        moment = datetime.fromisoformat((text or b"").decode())
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def attempt_record(entry_id: bytes, entry: Mapping[bytes, bytes]) -> AttemptRecord:
    """One entry of a job's result stream."""
    ended_at = moment(entry_id.split(b"-")[0]) or _EPOCH
    return AttemptRecord(
        number=whole(entry.get(b"number"), 1),
        outcome=text(entry.get(b"outcome")) or _OUTCOMES.get(entry.get(b"type", b""), "failed"),
        worker=text(entry.get(b"worker_name")),
        started_at=seconds(entry.get(b"execution_started_at")) or ended_at,
        ended_at=ended_at,
        error=_error(entry.get(b"error"), entry.get(b"exc_string")),
    )


def past_round(kept: bytes | None) -> PastRound:
    """How an earlier round ended, as ``again.lua`` notes it."""
    said = object_in(kept) or {}
    told = {name: value.encode() if isinstance(value, str) else None for name, value in said.items()}
    return PastRound(
        last=place_of(told.get("last")),
        attempts=whole(told.get("attempts")),
        started_at=rq_time(told.get("started_at")),
        ended_at=rq_time(told.get("ended_at")),
        error=_error(told.get("error"), None),
    )


def place_of(entry_id: bytes | None) -> tuple[int, int]:
    """Where an entry stands in its stream; before all where its id can't be read.

    >>> place_of(b"1795293671123-2"), place_of(None)
    ((1795293671123, 2), (0, 0))
    """
    parts = (entry_id or b"").split(b"-")
    known = len(parts) == 2 and all(part.isdigit() and len(part) <= 20 for part in parts)
    return (int(parts[0]), int(parts[1])) if known else (0, 0)


def act_of(line: bytes) -> Act:
    """What was done to a job by hand; what can't be read was nothing, by nobody."""
    said = object_in(line) or {}
    return Act(
        at=moment(str(said.get("at")).encode()) or _EPOCH,
        act=str(said.get("act", "")),
        by=str(said.get("by", "")),
    )


def result_of(entry: Mapping[bytes, bytes]) -> Any:
    """The handler's result in an entry, or None."""
    try:
        told = b64decode(entry.get(b"return_value", b""))
        try:
            return msgspec.json.decode(told)
        except msgspec.DecodeError:  # a lone surrogate, or a number beyond its bounds
            return json.loads(told)
    except (ValueError, RecursionError):
        return None


def progress_of(meta: bytes | None) -> Progress | None:
    """The progress in RQ's ``meta``."""
    return progress_in(object_in(meta) or {})


def progress_in(told: Mapping[str, Any]) -> Progress | None:
    """The progress in what was told of a job."""
    said = told.get("progress")
    if not isinstance(said, dict) or not _is_number(said.get("current")):
        return None
    total = said.get("total")
    return Progress(
        current=said["current"],
        total=total if _is_number(total) else None,
        message=str(said.get("message", "")),
        stage=_text_or_none(said.get("stage")),
        item=_text_or_none(said.get("item")),
    )


def log_line(line: bytes) -> Mapping[str, Any]:
    """A line of a handler's log; one that is no JSON object reads as a message."""
    said = object_in(line)
    return {"message": text(line)} if said is None else said


def callback_record(
    id: str,  # noqa: A002
    kept: Mapping[bytes, bytes],
    *,
    job_id: str,
    event_id: str,
    story: Story,
    created_at: datetime,
    due: float | None,
) -> CallbackRecord | None:
    """The callback of a job, or None without one.

    Args:
        kept: its record, which is empty before the job ends.
        created_at: what to tell where the record doesn't: the job's own moment.
        due: its score in the outbox, in milliseconds.
    """
    if story.callback is None:
        return None
    try:
        status = CallbackStatus(text(kept.get(b"status")))
    except ValueError:
        status = story.callback
    return CallbackRecord(
        id=id,
        job_id=job_id,
        event_id=event_id,
        url=story.birth["url"],
        status=status,
        reason=text(kept.get(b"reason"))
        or (story.birth["refusal"] if status is CallbackStatus.BLOCKED else None),
        attempts=tuple(_callback_attempt(attempt) for attempt in _list(kept.get(b"log"))),
        created_at=moment(kept.get(b"created_at")) or created_at,
        next_attempt_at=moment(due) if status is CallbackStatus.PENDING else None,
        secret_of=story.birth.get("secret_of"),
    )


def manifest_of(manifest: bytes) -> tuple[HandlerEntry, ...]:
    """The manifest that a worker wrote; nothing at all if it can't be read."""
    try:
        return tuple(
            HandlerEntry(
                source=str(entry["source"]),
                type=str(entry["type"]),
                handler=str(entry["handler"]),
                queue=_text_or_none(entry["queue"]),
                timeout=timedelta(seconds=entry["timeout"]),
                max_attempts=int(entry["max_attempts"]),
                concurrency=None if entry.get("concurrency") is None else int(entry["concurrency"]),
                ordering_key=_text_or_none(entry.get("ordering_key")),
            )
            for entry in json.loads(manifest)
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return ()


def object_in(kept: bytes | None) -> dict[str, Any] | None:
    """A JSON object; None where there is none that can be read.

    >>> object_in(b'{"reason": "lost"}'), object_in(b"[]"), object_in(b"{"), object_in(None)
    ({'reason': 'lost'}, None, None, None)
    """
    if not kept:
        return None
    try:
        value = json.loads(kept)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text(kept: bytes | None) -> str:
    """Text, whatever bytes stand there; empty for none."""
    return (kept or b"").decode("utf-8", "replace")


def whole(kept: bytes | None, default: int = 0) -> int:
    """A whole number of up to nine digits.

    >>> whole(b"12"), whole(b"twelve"), whole(b"9" * 5000, 1)
    (12, 0, 1)
    """
    return int(kept) if kept and len(kept) <= 9 and kept.isdigit() else default


def seconds(kept: bytes | float | None) -> datetime | None:
    """A moment in seconds since 1970, or None where there is none that can be read.

    >>> seconds(b"1.5").isoformat(), seconds(b"inf"), seconds(b"nan"), seconds(None)
    ('1970-01-01T00:00:01.500000+00:00', None, None, None)
    """
    try:
        return datetime.fromtimestamp(float(b"" if kept is None else kept), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moment(kept: bytes | float | None) -> datetime | None:
    """The same in milliseconds."""
    try:
        return from_unix_milliseconds(round(float(b"" if kept is None else kept)))
    except (ValueError, OverflowError, OSError):
        return None


def _callback_attempt(kept: str) -> CallbackAttempt:
    said = object_in(kept.encode("utf-8", "replace")) or {}
    status, took = said.get("status"), said.get("ms")
    return CallbackAttempt(
        number=whole(str(said.get("n")).encode()),
        at=moment(str(said.get("at")).encode()) or _EPOCH,
        duration=timedelta(milliseconds=took)
        if isinstance(took, int) and 0 <= took < 1 << 40
        else timedelta(0),
        status=status if isinstance(status, int) else None,
        reply=str(said.get("reply", "")),
        error=_text_or_none(said.get("error")),
    )


def _error(kept: bytes | None, trace: bytes | None) -> ErrorInfo | None:
    said = object_in(kept)
    if said is None:
        return None
    return ErrorInfo(
        type=str(said.get("type", "Error")), message=str(said.get("message", "")), trace=_trace(trace)
    )


def _trace(kept: bytes | None) -> str:
    try:
        return text(zlib.decompressobj().decompress(b64decode(kept or b""), _LONGEST_TRACE))
    except (ValueError, zlib.error):
        return "(can't be read)"


def _list(kept: bytes | None) -> list[str]:
    try:
        value = json.loads(kept or b"[]")
    except (ValueError, RecursionError):
        return []
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)
