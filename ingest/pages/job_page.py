"""The page of one job, for a person: from what the API shows of it (`ingest.views`), to what the template says."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from infra.ledger.records import TERMINAL_STATUSES, JobStatus
from ingest.pages.progress import bar
from ingest.pages.renderer import VARY, Pages

_RESULT_SHOWN: Final = 100_000  # characters
_LOOKED_AT: Final = 50  # values of one list, in search of files
_WORDS: Final = {
    "scheduled": "waits for its time",
    "started": "is running",
    "finished": "is done",
    "failed": "was given up",
    "canceled": "was canceled",
    "ignored": "was accepted; no handler takes such events",
}
_UNITS: Final = (("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))


def job_page(
    pages: Pages, job: Mapping[str, Any], *, token: str | None, may_cancel: bool, now: datetime
) -> Response:
    """The page.

    Args:
        job: as `ingest.views.job_view` shows it.
        token: of the link by which it is read; None: by a key, which a browser can't bring along by itself, so that page is
            not live.
        may_cancel: whether that link may.
    """
    query = "" if token is None else urlencode({"token": token})
    over = job["status"] in TERMINAL_STATUSES
    address = f"/jobs/{job['id']}"
    values = {
        "job": job,
        "now": now,
        "over": over,
        "words": _words(job),
        "bar": None if job["status"] == JobStatus.FINISHED else bar(job["progress"]),
        "attempts_told": len(job["attempts"]) > 1 or (job["attempts"] and not over),
        "took": _took(job),
        "usual": job.get("estimated_seconds"),
        "left_until": _left_until(job),
        "result": _shown(job["result"]),
        "links": _files(job["result"]),
        "stream_url": f"{address}/stream?{query}" if token is not None else None,
        "cancel_url": f"{address}/cancel?{query}" if may_cancel and not over else None,
    }
    return pages.page("job.html", values, headers=VARY)


def _words(job: Mapping[str, Any]) -> str:
    if job["status"] == JobStatus.SCHEDULED and job["attempts"]:
        return "waits to be tried again"
    if job["status"] != JobStatus.QUEUED:
        return _WORDS.get(job["status"], "")
    position = job["position"]
    if position is None:
        return "waits for its turn"
    return "is next" if position == 1 else f"is number {position} of its queue"


def _took(job: Mapping[str, Any]) -> float | None:
    """The seconds of the last attempt, once the job has ended."""
    if job["started_at"] is None or job["ended_at"] is None:
        return None
    took = datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])
    return max(took.total_seconds(), 0.0)


def _left_until(job: Mapping[str, Any]) -> datetime | None:
    """When the attempt that runs will have ended, if it takes as long as others did."""
    usual = job.get("estimated_seconds")
    if usual is None or job["status"] != JobStatus.STARTED or job["started_at"] is None:
        return None
    return datetime.fromisoformat(job["started_at"]) + timedelta(seconds=usual)


def _shown(result: Any) -> str | None:
    if result is None:
        return None
    text = json.dumps(result, indent=2, ensure_ascii=False)
    return text if len(text) <= _RESULT_SHOWN else f"{text[:_RESULT_SHOWN]}\n… cut here; the API has the rest"


def _files(result: Any) -> list[dict[str, str]]:
    """The artifacts in a result, up to two levels down; nothing but links to this installation's own."""
    found = []
    for value in _nearby(result):
        if isinstance(value, dict) and {"name", "url", "size", "sha256"} <= value.keys():
            path = urlsplit(str(value["url"]))
            if path.path.startswith("/artifacts/") and isinstance(value["size"], int):
                found.append(
                    {
                        "name": str(value["name"]),
                        "url": f"{path.path}?{path.query}",
                        "size": _size(value["size"]),
                    }
                )
    return found


def _nearby(result: Any) -> Iterator[Any]:
    """A value, what is in it, and what is in that; of each no more than the first few."""
    level = [result]
    for _ in range(3):
        yield from level
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in islice(value.values() if isinstance(value, dict) else value, _LOOKED_AT)
        ]


def _size(size: int) -> str:
    unit, factor = next((unit, factor) for unit, factor in _UNITS if size >= factor or factor == 1)
    return f"{size / factor:.1f} {unit}".replace(".0 ", " ")
