"""All of an event as one document, for whoever is asked for help; the same over HTTP and from the command line."""

from datetime import datetime
from typing import Any

from infra.clock import rfc3339
from infra.ledger.histories import History
from ingest.sources import Source
from ingest.timeline import timeline
from ingest.views import event_view, job_view


def exported(history: History, source: Source | None, *, with_body: bool, now: datetime) -> dict[str, Any]:
    """What `infra.exports` signs: the event without secrets, its jobs with their callbacks, and the timeline.

    Args:
        with_body: whether the event's body is there, which may be nobody else's business.
    """
    event = event_view(history.event)
    if not with_body:
        del event["body"], event["body_encoding"]
    return {
        "exported_at": rfc3339(now),
        "event": event,
        "jobs": [job_view(job.rounds[-1], None, operator=True) for job in history.jobs],
        "timeline": timeline(history, source),
    }
