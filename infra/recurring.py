"""What becomes of a recurring handler's time: an event like any other, whose job is that handler's."""

import json
from datetime import datetime

from infra.bounds import short_id
from infra.clock import rfc3339
from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import Arrival, HandlerEntry
from infra.routes import DEFAULT_QUEUE, ordering_key_of


def tick(
    entry: HandlerEntry,
    schedule: str,
    *,
    due: datetime,
    now: datetime,
    once: str | None = None,
    accepted_by: str | None = None,
) -> Arrival:
    """The arrival of one time.

    Args:
        schedule: as it was written.
        once: of all that say the same of this handler one becomes a job; None: the time does.
        accepted_by: who wanted it, if it is not due.
    """
    suffix = new_suffix()
    body = json.dumps({"due": rfc3339(due), "schedule": schedule}).encode()
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=entry.source,
        type=entry.type,
        received_at=now,
        body=body,
        provider_event_id=short_id(f"{entry.handler}@{rfc3339(due) if once is None else once}"),
        queue=entry.queue or DEFAULT_QUEUE,
        timeout=entry.timeout,
        ordering_key=ordering_key_of(entry, Document(headers={}, body=body)),
        accepted_by=accepted_by,
    )
