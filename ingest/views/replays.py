"""Bulk replays as the API and the command line show them."""

from typing import Any

from infra.ledger.bulk import BulkReplay
from infra.ledger.selections import Selection
from ingest.views.moments import moment


def selection_view(chosen: Selection) -> dict[str, Any]:
    """What a dry run found. Where `complete` is false, there are at least so many."""
    warnings = []
    if chosen.succeeded:
        warnings.append(f"{chosen.succeeded} have succeeded already: what they do may be done twice.")
    if not chosen.complete:
        warnings.append("There may be more: narrow the filter, or run it again afterwards.")
    return {
        "dry_run": True,
        "count": len(chosen.jobs),
        "complete": chosen.complete,
        "retries": chosen.retries,
        "replays": len(chosen.jobs) - chosen.retries,
        "already_succeeded": chosen.succeeded,
        "warnings": warnings,
    }


def replay_view(replay: BulkReplay) -> dict[str, Any]:
    """A bulk replay as it stands."""
    done = replay.begun + replay.skipped
    return {
        "id": replay.id,
        "status": replay.status,
        "reason": replay.reason,
        "by": replay.by,
        "filter": dict(replay.filter),
        "queue": replay.terms.queue,
        "rate": replay.terms.rate,
        "max_error_share": replay.terms.share,
        "count": replay.total,
        "complete": replay.complete,
        "begun": replay.begun,
        "skipped": replay.skipped,
        "succeeded": replay.succeeded,
        "failed": replay.failed,
        "canceled": replay.canceled,
        "ignored": replay.ignored,
        "percent": round(100 * done / replay.total, 1) if replay.total else 100.0,
        "created_at": moment(replay.created_at),
        "ended_at": moment(replay.ended_at),
    }
