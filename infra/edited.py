"""An event that is to run again, with another payload or out of the archive: a new event, which names the old one."""

from datetime import datetime
from typing import Any

from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival, EventRecord, HandlerEntry
from infra.ledger.steering import Origin
from infra.routes import ordering_key_of
from infra.submission import body_of


def edited_replay(
    event: EventRecord,
    origin: Origin,
    payload: Any,
    *,
    entry: HandlerEntry | None,
    queue: str | None,
    now: datetime,
    accepted_by: str,
) -> Arrival:
    """What is to be recorded where an event gets another payload."""
    return new_event(
        event, origin, body_of(payload), entry=entry, queue=queue, now=now, accepted_by=accepted_by
    )


def new_event(
    event: EventRecord,
    origin: Origin,
    body: bytes,
    *,
    content_type: str = "application/json",
    entry: HandlerEntry | None,
    queue: str | None,
    now: datetime,
    accepted_by: str,
) -> Arrival:
    """What is to be recorded. All but the body is as it was: headers, type, metadata, tag, and who is called back.

    It has no id with its provider, for that is the old one's.

    Args:
        origin: what the old event tells of its job.
        entry: what live workers say of such jobs.
        queue: None: the handler's, else the old job's.
        accepted_by: the name of the API key.
    """
    suffix, birth = new_suffix(), origin.story.birth
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=event.source,
        type=event.type,
        received_at=now,
        body=body,
        content_type=content_type,
        headers=event.headers,
        queue=queue or (entry.queue if entry else None) or birth["queue"],
        timeout=entry.timeout if entry else DEFAULT_TIMEOUT,
        ordering_key=ordering_key_of(entry, Document(headers=event.headers, body=body))
        or birth.get("ordering_key"),
        callback_url=birth.get("url"),
        callback_refusal=birth.get("refusal"),
        callback_options=origin.story.callback_options,
        metadata=event.metadata,
        tag=event.tag,
        accepted_by=accepted_by,
        replay_of=event.id,
    )
