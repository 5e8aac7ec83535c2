"""What stands in the ledger, as it is read: jobs, events, callbacks, receivers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from infra.ledger.records.words import CallbackStatus, ErrorInfo, JobStatus, ReceiverStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a handler says it is."""

    current: float
    total: float | None = None
    message: str = ""
    stage: str | None = None
    item: str | None = None

    @property
    def percent(self) -> float | None:
        """From 0 to 100; None where no total was told.

        >>> Progress(current=1, total=3).percent, Progress(current=4, total=3).percent, Progress(current=4).percent
        (33.3, 100.0, None)
        """
        return None if not self.total else round(100 * min(max(self.current / self.total, 0.0), 1.0), 1)


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One execution that ended, as kept in RQ's result stream.

    Args:
        number: from 1 in each round.
        outcome: ``finished``, ``failed``, ``retried``, ``canceled`` or ``crashed``.
        round: 1, until an operator has the failed job run again.
    """

    number: int
    outcome: str
    worker: str
    started_at: datetime
    ended_at: datetime
    error: ErrorInfo | None = None
    round: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRound:
    """How a round ended, which failed, for otherwise there would be no other.

    Args:
        last: the entry of the job's result stream that it ended with.
        attempts: how many it took.
    """

    last: tuple[int, int]
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    error: ErrorInfo | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that was done to a job by hand.

    Args:
        act: ``cancel``, ``retry``, ``replay`` or ``redeliver``.
        by: the name of an API key, ``link``, ``command line``, or the id of a bulk replay.
    """

    at: datetime
    act: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAttempt:
    """One POST of a callback.

    Args:
        status: the receiver's HTTP status, None if there was no answer.
        reply: the first 4 KiB of its body, as text.
        error: what went wrong, in words; None when delivered.
    """

    number: int
    at: datetime
    duration: timedelta
    status: int | None = None
    reply: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRecord:
    """A callback as it stands.

    Args:
        secret_of: the API key whose own secrets sign it; None: its source's, or the house's.
    """

    id: str
    job_id: str
    event_id: str
    url: str
    status: CallbackStatus
    reason: str | None
    attempts: tuple[CallbackAttempt, ...]
    created_at: datetime
    next_attempt_at: datetime | None
    secret_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """What is known of an event besides its body.

    Args:
        size: of the body, in bytes.
        jobs: made of it, the oldest first.
    """

    id: str
    source: str
    type: str
    received_at: datetime
    content_type: str
    headers: Mapping[str, str]
    size: int
    provider_event_id: str | None
    metadata: Mapping[str, Any]
    tag: str | None
    accepted_by: str | None
    jobs: tuple[str, ...]
    duplicates: int
    differing_duplicates: int
    wait_key: str | None = None
    replay_of: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(EventSummary):
    """An event as it was accepted, and the jobs made of it."""

    body: bytes


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands, with what it knows of its event. A struct, as `Claim` is one: whoever polls has one made.

    Args:
        attempts: of all its rounds, as far as they are kept; `attempt` counts those of the present one.
        traceparent: what its event came with (`infra.tracing`).
    """

    id: str
    event_id: str
    source: str
    type: str
    handler: str | None
    status: JobStatus
    queue: str
    position: int | None
    attempts: tuple[AttemptRecord, ...]
    attempt: int
    crashes: int
    max_attempts: int | None
    ordering_key: str | None
    next_attempt_at: datetime | None
    result: Any
    error: ErrorInfo | None
    progress: Progress | None
    logs: tuple[Mapping[str, Any], ...]
    metadata: Mapping[str, Any]
    callback: CallbackRecord | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    parent: str | None = None
    tag: str | None = None
    round: int = 1
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverRecord:
    """A receiver that callbacks went to: a URL without its query.

    Args:
        seen_at: when it was last noted, to the minute.
        taken_at: when it last took a callback, to the minute; None: never.
        failing_since: since when it has taken none; None: it takes them.
        error: what went wrong last, in words.
        reason: why it is paused: ``failing``, ``gone`` (it said 410) or ``operator``.
    """

    id: str
    url: str
    status: ReceiverStatus
    seen_at: datetime | None = None
    taken_at: datetime | None = None
    failing_since: datetime | None = None
    error: str | None = None
    paused_at: datetime | None = None
    reason: str | None = None
