"""The page of a batch, for a person: the whole, and the parts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from infra.ledger.records import TERMINAL_STATUSES, JobStatus
from ingest.pages.progress import bar, in_percent
from ingest.pages.renderer import VARY, Pages

_WORDS: Final = {
    "queued": "waits for its turn",
    "started": "is running",
    "finished": "has ended",
}


def batch_page(pages: Pages, batch: Mapping[str, Any], *, now: datetime) -> Response:
    """The page.

    Args:
        batch: as `ingest.views.batch_view` shows it.
    """
    over = batch["status"] == JobStatus.FINISHED
    left = batch["estimated_seconds"]
    values = {
        "batch": batch,
        "now": now,
        "over": over,
        "words": _WORDS[batch["status"]],
        "percent": in_percent(batch["percent"]),
        "counts": [(status, batch["counts"][status]) for status in JobStatus if status in batch["counts"]],
        "ended": _ended(batch),
        "left_until": None if left is None else now + timedelta(seconds=left),
        "parts": [part | {"bar": bar(part["progress"])} for part in batch["jobs"]],
    }
    return pages.page("batch.html", values, headers=VARY)


def _ended(batch: Mapping[str, Any]) -> int:
    """How many jobs have ended; those that are past their retention among them."""
    open_ones = sum(part["status"] not in TERMINAL_STATUSES for part in batch["jobs"])
    return int(batch["count"]) - open_ones
