"""One event's timeline as a picture: each step a row, its time a bar from the first moment to the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from infra.durations import in_words

WIDE: Final = 1000  # of a lane, in its own units
_LEAST: Final = 6

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One row.

    Args:
        after: how long after the first moment it was.
        wait: the thin bar of a wait before it: where it begins, and how wide it is.
        span: the bar of the step itself.
        tone: ``good``, ``bad`` or ``quiet``.
        link: what it is about, if that has a page.
    """

    kind: str
    words: str
    detail: str
    at: str | None
    after: str = ""
    status: str = ""
    wait: Span | None = None
    span: Span | None = None
    tone: str = "quiet"
    took: str = ""
    link: str = ""


def picture(entries: Sequence[dict[str, Any]], now: datetime) -> list[Step]:
    """The rows of a timeline (`ingest.timeline`), the oldest first. What has not ended goes on until now."""
    ends = [_end(entry, now) for entry in entries]
    moments = [
        moment for entry, end in zip(entries, ends, strict=True) for moment in (_at(entry), end) if moment
    ]
    first, last = min(moments, default=now), max(moments, default=now)
    scale = _Scale(first, max(last - first, timedelta(milliseconds=1)))
    waiting: dict[str, datetime] = {}
    steps = []
    for entry, end in zip(entries, ends, strict=True):
        at, job = _at(entry), entry.get("job_id", "")
        wait = None
        if entry["kind"] in ("attempt", "callback") and at is not None and job in waiting:
            wait = scale.span(waiting[job], at)
        if entry["kind"] in ("queued", "attempt", "callback", "ended", "act") and (end or at):
            waiting[job] = end or at or now
        steps.append(_step(entry, at, end, wait, scale))
    return steps


@dataclass(frozen=True, slots=True)
class _Scale:
    first: datetime
    whole: timedelta

    def span(self, begin: datetime, end: datetime) -> Span:
        left = min(WIDE - _LEAST, max(0, round(WIDE * ((begin - self.first) / self.whole))))
        width = max(_LEAST, round(WIDE * ((end - begin) / self.whole)))
        return left, min(width, WIDE - left)


def _step(
    entry: dict[str, Any], at: datetime | None, end: datetime | None, wait: Span | None, scale: _Scale
) -> Step:
    words, detail, status, link = _told(entry)
    tone = "bad" if status in _BAD else "good" if status in _GOOD else "quiet"
    return Step(
        kind=entry["kind"],
        words=words,
        detail=detail,
        at=entry["at"],
        after="" if at is None else f"+{in_words(at - scale.first)}",
        status=status,
        wait=wait,
        span=None if at is None else scale.span(at, end or at),
        tone=tone,
        took="" if at is None or end is None else in_words(end - at),
        link=link,
    )


_GOOD: Final = ("finished", "delivered")
_BAD: Final = ("failed", "crashed", "dead", "blocked", "refused", "unreachable")


def _told(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """What happened, how, the word for its outcome, and where more is."""
    job = f"/console/jobs/{entry['job_id']}" if "job_id" in entry else ""
    match entry["kind"]:
        case "received":
            return "Received", f"{entry['size']} bytes", "", ""
        case "verified":
            return "Signature held", f"{entry['provider']}, covers {entry['covers']}", "", ""
        case "queued":
            return "Queued", f"in {entry['queue']}", "", job
        case "attempt":
            return f"Attempt {entry['number']}", _why(entry.get("error")), entry["outcome"] or "started", job
        case "ended":
            return "Ended", "", str(entry["status"]), job
        case "callback" | "undelivered":
            return _told_of_callback(entry)
        case "act":
            return str(entry["act"]).capitalize(), f"by {entry['by']}", "", job
        case "log":
            return "Log", str(entry.get("message", "")), "", job
        case "duplicates":
            return "Came again", f"{entry['count']} times, {entry['differing']} with another body", "", ""
        case _:
            by = "" if entry["attempt"] is None else f"by attempt {entry['attempt']}: "
            return "Steps kept", by + ", ".join(entry["names"]), "", job


def _told_of_callback(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    link = f"/console/callbacks/{entry['callback_id']}"
    if entry["kind"] == "undelivered":
        return "Not called any more", str(entry["reason"] or ""), str(entry["status"]), link
    status, answer = _answer(entry)
    return f"Callback {entry['number']}", answer, status, link


def _answer(entry: dict[str, Any]) -> tuple[str, str]:
    if entry["status"] is None:
        return "unreachable", str(entry["error"] or "")
    good = 200 <= int(entry["status"]) < 300
    return ("delivered" if good else "refused"), f"answered {entry['status']}"


def _why(error: dict[str, str] | None) -> str:
    return "" if error is None else f"{error['type']}: {error['message']}"


def _at(entry: dict[str, Any]) -> datetime | None:
    return None if entry["at"] is None else datetime.fromisoformat(entry["at"])


def _end(entry: dict[str, Any], now: datetime) -> datetime | None:
    """When it was over; None for what is over at once."""
    at = _at(entry)
    if at is None:
        return None
    if entry["kind"] == "callback":
        return at + timedelta(milliseconds=entry["duration_ms"])
    if entry["kind"] == "attempt":
        return now if entry["ended_at"] is None else datetime.fromisoformat(entry["ended_at"])
    return None
