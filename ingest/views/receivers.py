"""Receivers as the API shows them."""

from typing import Any

from infra.ledger.records import ReceiverRecord
from ingest.views.moments import moment


def receiver_view(receiver: ReceiverRecord) -> dict[str, Any]:
    """Where callbacks go, and how that stands, for the operator."""
    return {
        "id": receiver.id,
        "url": receiver.url,
        "status": receiver.status,
        "reason": receiver.reason,
        "error": receiver.error,
        "failing_since": moment(receiver.failing_since),
        "paused_at": moment(receiver.paused_at),
        "last_delivered_at": moment(receiver.taken_at),
        "seen_at": moment(receiver.seen_at),
    }
