"""The timeline of an event: one list of what happened, the oldest first, derived from what is stored anyway."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from infra.clock import rfc3339
from infra.ids import EVENT, JOB
from infra.ledger.histories import History, JobHistory, Keeping
from infra.ledger.records import CallbackRecord, CallbackStatus, EventRecord, JobRecord, JobStatus
from ingest.sources import Source
from ingest.views import progress_view

Entry = dict[str, Any]

_UNDELIVERED: Final = (CallbackStatus.BLOCKED, CallbackStatus.DEAD)


def timeline(history: History, source: Source | None) -> list[Entry]:
    """What happened: each entry has the moment (`at`; None where it is not known), a `kind`, and what belongs to that.

    Args:
        source: as it is set up now; None where it is no more, or is one of ours.
    """
    own = JOB + history.event.id.removeprefix(
        EVENT
    )  # the job that was recorded with it; replays have ids of their own
    recorded_at = next((job.rounds[0].created_at for job in history.jobs if job.rounds[0].id == own), None)
    entries = [*_arrival(history.event, source, recorded_at)]
    for job in history.jobs:
        entries += _job(job)
    return sorted(entries, key=_order)


def _arrival(event: EventRecord, source: Source | None, recorded_at: datetime | None) -> Iterator[Entry]:
    at = rfc3339(event.received_at)
    yield {
        "at": at,
        "kind": "received",
        "source": event.source,
        "type": event.type,
        "size": event.size,
        "accepted_by": event.accepted_by,
        "client": event.client,
        "took_ms": None if recorded_at is None else _milliseconds(recorded_at - event.received_at),
        "forwarded_for": event.headers.get("x-forwarded-for"),
    }
    if source is not None:
        yield {"at": at, "kind": "verified", "provider": source.provider, "covers": source.scheme.covers}
    if event.duplicates or event.differing_duplicates:
        yield {
            "at": None,
            "kind": "duplicates",
            "count": event.duplicates + event.differing_duplicates,
            "differing": event.differing_duplicates,
        }


def _job(job: JobHistory) -> Iterator[Entry]:
    present = job.rounds[-1]
    yield _entry(present, present.created_at, "queued", queue=job.rounds[0].queue, parent=present.parent)
    for number, round_ in enumerate(job.rounds):
        yield from _attempts(round_, is_present=number == len(job.rounds) - 1)
        if round_.callback is not None:
            yield from _posts(round_, round_.callback)
    for line in present.logs:
        said = {name: str(line[name]) for name in ("level", "message") if name in line}
        at, attempt = line.get("at"), line.get("attempt")
        yield {"at": at if isinstance(at, str) else None, "kind": "log", "job_id": present.id,
               "attempt": attempt if isinstance(attempt, int) else None, **said}  # fmt: skip
    for act in job.acts:
        yield _entry(present, act.at, "act", act=act.act, by=act.by)
    yield from _steps(present, job)


def _attempts(job: JobRecord, *, is_present: bool) -> Iterator[Entry]:
    """Those of one round, the one that runs among them, and how the round ended."""
    for attempt in job.attempts:
        if attempt.round == job.round:
            yield _entry(
                job,
                attempt.started_at,
                "attempt",
                number=attempt.number,
                round=attempt.round,
                worker=attempt.worker,
                ended_at=rfc3339(attempt.ended_at),
                outcome=attempt.outcome,
                error=None if attempt.error is None else attempt.error.public(),
            )
    if is_present and job.status is JobStatus.STARTED:
        progress = None if job.progress is None else progress_view(job.progress)
        yield _entry(job, job.started_at, "attempt", number=job.attempt, round=job.round, ended_at=None,
                     outcome=None, progress=progress)  # fmt: skip
    if job.ended_at is not None:
        yield _entry(job, job.ended_at, "ended", status=job.status, round=job.round)


def _steps(present: JobRecord, job: JobHistory) -> Iterator[Entry]:
    """Those that each attempt kept, in the order in which it did, at the moment of the last of them."""
    unknown = [name for name in job.steps if name not in job.kept]
    if unknown:
        yield _entry(present, None, "steps", round=None, attempt=None, names=unknown)
    in_order = sorted(job.kept.items(), key=lambda step: step[1].at)
    attempts: defaultdict[tuple[int, int], list[tuple[str, Keeping]]] = defaultdict(list)
    for name, keeping in in_order:
        attempts[keeping.round, keeping.attempt].append((name, keeping))
    for (round_, attempt), kept in attempts.items():
        names = [name for name, _ in kept]
        yield _entry(present, kept[-1][1].at, "steps", round=round_, attempt=attempt, names=names)


def _posts(job: JobRecord, callback: CallbackRecord) -> Iterator[Entry]:
    """What was sent, what came back, and that nothing more will be."""
    for post in callback.attempts:
        yield _entry(
            job,
            post.at,
            "callback",
            callback_id=callback.id,
            number=post.number,
            status=post.status,
            duration_ms=round(post.duration.total_seconds() * 1000),
            reply=post.reply,
            error=post.error,
        )
    if callback.status in _UNDELIVERED:
        at = callback.attempts[-1].at if callback.attempts else job.ended_at
        yield _entry(
            job, at, "undelivered", callback_id=callback.id, status=callback.status, reason=callback.reason
        )


def _milliseconds(duration: timedelta) -> int:
    """Never less than none: the two moments are of two clocks."""
    return max(0, round(duration.total_seconds() * 1000))


def _entry(job: JobRecord, at: datetime | None, kind: str, **told: Any) -> Entry:
    return {"at": None if at is None else rfc3339(at), "kind": kind, "job_id": job.id, **told}


_RANKS = {
    kind: rank
    for rank, kind in enumerate(
        (
            "received",
            "verified",
            "queued",
            "act",
            "attempt",
            "log",
            "steps",
            "ended",
            "callback",
            "undelivered",
            "duplicates",
        )
    )
}


def _order(entry: Entry) -> tuple[bool, str, int]:
    """By time, what has none last; of one millisecond, in the order in which such things happen."""
    return entry["at"] is None, entry["at"] or "", _RANKS[entry["kind"]]
