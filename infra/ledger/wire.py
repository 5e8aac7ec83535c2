"""Between records and what Redis keeps: plain functions, no Redis.

An event's head and a job's birth are written once, as JSON text, and sealed (`infra.ledger.seal`); what is read back is
believed only while the seal holds. The head starts with source, type and, if there is one, tag; then ``at`` and ``digest``: scripts read
them off it. `infra.ledger.parsing` reads what is not sealed.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2s, sha256
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final, NamedTuple

import msgspec

from infra.clock import unix_milliseconds
from infra.durations import milliseconds
from infra.ledger.records import (
    DEFAULT_TIMEOUT,
    Arrival,
    CallbackAttempt,
    CallbackOptions,
    CallbackStatus,
    ErrorInfo,
    HandlerEntry,
    JobStatus,
    Progress,
)
from infra.ledger.seal import SEAL_LENGTH, Seal
from infra.strict_json import written
from infra.url_safe import url_safe


class Story(NamedTuple):
    """What an event tells of a job, as sealed."""

    head: Mapping[str, Any]
    birth: Mapping[str, Any]

    @property
    def callback(self) -> CallbackStatus | None:
        """What the job's callback is when the job ends; None without a callback URL."""
        return CallbackStatus(self.birth["callback"]) if "callback" in self.birth else None

    @property
    def callback_options(self) -> CallbackOptions:
        """How its caller wants to be called back."""
        return msgspec.convert(self.birth, CallbackOptions)

    @property
    def progress_url(self) -> str | None:
        """Where its progress is told; None: nowhere."""
        asked = self.birth.get("progress") and self.callback is CallbackStatus.PENDING
        return self.birth["url"] if asked else None


class _Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event's head, in the order in which it is written."""

    source: str
    type: str
    tag: str | None = None
    at: int
    digest: str
    client: str | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    id: str | None = None
    wait_key: str | None = None
    metadata: dict[str, Any] | None = None
    accepted_by: str | None = None
    parent: str | None = None
    replay_of: str | None = None


_COMPACT: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> str:
    """Compact JSON, ASCII only, so that a lone surrogate can't spoil a later read."""
    return _COMPACT.encode(value)


def plain(text: str) -> str:
    """Text that has UTF-8: a lone surrogate becomes its escape.

    >>> plain("meeting\\ud800") == "meeting" + chr(92) + "ud800"
    True
    """
    return text.encode("utf-8", "backslashreplace").decode()


def digest(body: bytes) -> str:
    """Stands for a body; 22 characters. SHA-256, for processors know it by heart."""
    return url_safe(sha256(body).digest()[:16]).decode()


def seen_key(source: str, provider_event_id: str) -> str:
    """What stands behind ``hookline:seen:`` for an id that a stranger chose.

    >>> seen_key("github", "a") == seen_key("github", "b"), len(seen_key("github", "x" * 1000))
    (False, 22)
    """
    return _short(source, provider_event_id, person=b"hl.seen")


def line_of(source: str, ordering_key: str) -> str:
    """What stands behind ``hookline:line:`` for an ordering key; two sources never share a line.

    >>> line_of("acme", "order-1") == line_of("api", "order-1"), len(line_of("acme", "x" * 1000))
    (False, 22)
    """
    return _short(source, ordering_key, person=b"hl.line")


def change(
    *,
    job_id: str,
    event_id: str,
    status: str,
    queue: str,
    source: str,
    type: str,  # noqa: A002 - the contract's word
    tag: str | None,
) -> str:
    """A change of a job as the live stream carries it."""
    tagged = "" if tag is None else f',"tag":{_quoted(tag)}'
    return (
        f'{{"job_id":{_quoted(job_id)},"event_id":{_quoted(event_id)},"status":"{status}","queue":{_quoted(queue)},'
        f'"source":{_quoted(source)},"type":{_quoted(type)}{tagged}}}'
    )


def head_of(arrival: Arrival, *, body: str) -> bytes:
    """What is known of the event besides its body; what is as usual is left out.

    Args:
        body: its digest.
    """
    return written(
        _Head(
            source=arrival.source,
            type=plain(arrival.type),
            tag=None if arrival.tag is None else plain(arrival.tag),
            at=unix_milliseconds(arrival.received_at),
            digest=body,
            client=arrival.client,
            content_type=None if arrival.content_type == "application/json" else arrival.content_type,
            headers=dict(arrival.headers) or None,
            id=arrival.provider_event_id,
            wait_key=arrival.wait_key,
            metadata=dict(arrival.metadata) or None,
            accepted_by=arrival.accepted_by,
            parent=arrival.parent,
            replay_of=arrival.replay_of,
        )
    )


def birth_of(arrival: Arrival) -> bytes:
    """How the job came into the world: enough to make its record anew."""
    birth: dict[str, Any] = {"queue": arrival.queue}
    if arrival.timeout != DEFAULT_TIMEOUT:
        birth["timeout"] = _seconds_of(arrival.timeout)
    if arrival.run_at is not None:
        birth["run_at"] = unix_milliseconds(arrival.run_at)
    if arrival.ordering_key is not None:
        birth["ordering_key"] = arrival.ordering_key
        birth["line"] = line_of(arrival.source, arrival.ordering_key)
    if arrival.callback_url is not None:
        birth["callback"] = CallbackStatus.BLOCKED if arrival.callback_refusal else CallbackStatus.PENDING
        birth["url"] = arrival.callback_url
        birth["refusal"] = arrival.callback_refusal
        birth |= msgspec.to_builtins(arrival.callback_options)
    return written(birth)


def accept_arguments(arrival: Arrival, seal: Seal) -> list[str | bytes | int]:
    """One arrival as ``accept.lua`` takes it.

    Raises:
        ValueError: the ids of the event and the job don't share their end.
    """
    if arrival.event_id[4:] != arrival.job_id[4:]:
        raise ValueError("an event and its first job share the end of their ids")
    body = digest(arrival.body)
    head, birth = head_of(arrival, body=body), birth_of(arrival)
    sealed = seal.make(arrival.job_id.encode(), arrival.event_id.encode(), head, birth) + birth
    status = JobStatus.QUEUED if arrival.run_at is None else JobStatus.SCHEDULED
    return [
        arrival.event_id,
        arrival.job_id,
        "" if arrival.provider_event_id is None else seen_key(arrival.source, arrival.provider_event_id),
        body,
        head,
        arrival.body,
        sealed,
        arrival.source,
        arrival.type,
        arrival.queue,
        "" if arrival.timeout == DEFAULT_TIMEOUT else _seconds_of(arrival.timeout),
        _due(arrival),
        "" if arrival.ordering_key is None else line_of(arrival.source, arrival.ordering_key),
        "" if arrival.wait_key is None else seen_key(arrival.source, arrival.wait_key),
        change(job_id=arrival.job_id, event_id=arrival.event_id, status=status, queue=arrival.queue,
               source=arrival.source, type=arrival.type, tag=arrival.tag),
    ]  # fmt: skip


def unsealed(seal: Seal, job_id: str, event_id: str, head: bytes | None, birth: bytes | None) -> Story | None:
    """What the event tells of a job, if it is what was sealed; else None."""
    if head is None or birth is None:
        return None
    made, born = birth[:SEAL_LENGTH], birth[SEAL_LENGTH:]
    if not seal.holds(made, plain(job_id).encode(), plain(event_id).encode(), head, born):
        return None
    return Story(_loads(head), _loads(born))


def rq_result(result: str) -> str:
    """A JSON result as RQ's result stream keeps it."""
    return b64encode(result.encode("utf-8", "backslashreplace")).decode()


def rq_trace(trace: str) -> str:
    """A traceback as RQ's result stream keeps it; empty for none."""
    return b64encode(zlib.compress(trace.encode("utf-8", "replace"))).decode() if trace else ""


def error_json(error: ErrorInfo) -> str:
    """Type and message; the trace goes its own way."""
    return dumps(error.public())


def meta_of(progress: Progress) -> str:
    """RQ's ``meta`` for a progress."""
    return dumps({"progress": {"current": progress.current, "total": progress.total, "message": progress.message,
                               "stage": progress.stage, "item": progress.item}})  # fmt: skip


def callback_attempt_json(attempt: CallbackAttempt) -> str:
    """One POST as the callback's log keeps it."""
    return dumps({"n": attempt.number, "at": unix_milliseconds(attempt.at), "ms": round(attempt.duration.total_seconds() * 1000),
                  "status": attempt.status, "reply": attempt.reply, "error": attempt.error})  # fmt: skip


def manifest_json(entries: Sequence[HandlerEntry]) -> str:
    """A worker's manifest."""
    return dumps([
        {"source": entry.source, "type": entry.type, "handler": entry.handler, "queue": entry.queue,
         "timeout": entry.timeout.total_seconds(), "max_attempts": entry.max_attempts,
         "concurrency": entry.concurrency, "ordering_key": entry.ordering_key}
        for entry in entries
    ])  # fmt: skip


def limits_of(entries: Sequence[HandlerEntry], paused: Collection[str] = ()) -> list[str | bytes | int]:
    """The limits of some handlers as ``claim.lua`` takes them: nothing about sources that have none.

    Args:
        paused: handlers of which none may run.

    >>> entries = [HandlerEntry(source="acme", type="*", handler="m:f", concurrency=2), HandlerEntry(source="api", type="x", handler="m:g")]
    >>> limits_of(entries), limits_of(entries, ["m:g"])
    (['acme:*', 'm:f', 2], ['acme:*', 'm:f', 2, 'api:x', 'm:g', 0])
    """
    limits = {entry.handler: 0 if entry.handler in paused else entry.concurrency for entry in entries}
    limited = {entry.source for entry in entries if limits[entry.handler] is not None}
    told: list[str | bytes | int] = []
    for entry in entries:
        if entry.source in limited:
            most = limits[entry.handler]
            told += [f"{entry.source}:{plain(entry.type)}", entry.handler, "" if most is None else most]
    return told


def _short(source: str, text: str, *, person: bytes) -> str:
    """Stands for a text of any length that belongs to a source; 22 characters."""
    state = _begun(source, person).copy()
    state.update(text.encode("utf-8", "surrogatepass"))
    return url_safe(state.digest()).decode()


@lru_cache(maxsize=1024)
def _begun(source: str, person: bytes) -> blake2s:
    return blake2s(source.encode() + b"\0", digest_size=16, person=person)


def _loads(sealed: bytes) -> Any:
    """What `dumps` wrote."""
    try:
        return msgspec.json.decode(sealed)
    except msgspec.DecodeError:  # a lone surrogate, or a number beyond its bounds
        return json.loads(sealed)


def _due(arrival: Arrival) -> str | int:
    """When the job may run first, as ``accept.lua`` takes it."""
    if arrival.run_at is None:
        return ""
    return unix_milliseconds(arrival.run_at) if arrival.run_in is None else f"+{milliseconds(arrival.run_in)}"


def _seconds_of(timeout: timedelta) -> int:
    return max(1, round(timeout.total_seconds()))
