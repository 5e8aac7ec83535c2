"""What the ledger takes and gives: plain values, no Redis.

An `Arrival` is accepted and becomes an event and its job. A worker holds a `Claim` on a job, runs it, and settles it
with an `Outcome`. A `DueCallback` is an outcome on its way to the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

DEFAULT_TIMEOUT = timedelta(minutes=3)  # of one attempt, where no handler has said


class JobStatus(StrEnum):
    """RQ's words, and the one it lacks (CONTRACT, section 1)."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"
    IGNORED = "ignored"


TERMINAL_STATUSES = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.IGNORED})


class CallbackStatus(StrEnum):
    """Where a callback stands; only `PENDING` is tried again by itself."""

    PENDING = "pending"
    DELIVERED = "delivered"
    BLOCKED = "blocked"
    DEAD = "dead"


class CallbackFormat(StrEnum):
    """What the body of a callback is."""

    HOOKLINE = "hookline"
    """The contract's JSON."""
    CLOUDEVENTS = "cloudevents"
    """CloudEvents 1.0 in structured mode, around the same data."""
    RESULT = "result"
    """The handler's result, and nothing around it."""


class CallbackOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a job's caller wants to be called back. A struct: a job's birth holds what is not as usual, under these names.

    Args:
        progress: whether it is told of progress too.
        max_body: bytes; a result that makes the body larger is replaced by a link. None: what `infra.bounds` says.
    """

    format: CallbackFormat = CallbackFormat.HOOKLINE
    progress: bool = False
    max_body: int | None = None


AS_USUAL = CallbackOptions()


class ReceiverStatus(StrEnum):
    """Where a receiver stands; nothing is sent to one that is `PAUSED`."""

    ACTIVE = "active"
    FAILING = "failing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """What went wrong in an attempt, as callbacks and the API show it: never a traceback.

    Args:
        type: the exception's class name, such as ``Reject`` or ``TimeoutError``.
        message: its text.
        trace: the formatted traceback, for the operator and RQ's dashboard only.
    """

    type: str
    message: str
    trace: str = field(default="", repr=False)

    def public(self) -> dict[str, str]:
        """The two fields that leave the house."""
        return {"type": self.type, "message": self.message}


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One verified event, and the job to make for it. A struct, as `Claim` is one: it is made for every request.

    Args:
        provider_event_id: what deduplication goes by, or None for none.
        wait_key: what jobs may wait for it by, besides that.
        callback_refusal: why `callback_url` may not be called; its callback is then born ``blocked``.
        timeout: how long one attempt may take.
        run_at: not before this moment; None is at once.
        ordering_key: jobs of the source with the same key run one after the other; None: in any order.
        metadata: what the caller wants echoed in the callback.
        accepted_by: the name of the API key, for ``POST /jobs``.
        parent: the id of the job whose handler made this one.
        replay_of: the id of the event that this one is an edited replay of.
    """

    event_id: str
    job_id: str
    source: str
    type: str
    received_at: datetime
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    provider_event_id: str | None = None
    wait_key: str | None = None
    queue: str = "default"
    timeout: timedelta = DEFAULT_TIMEOUT
    run_at: datetime | None = None
    ordering_key: str | None = None
    callback_url: str | None = None
    callback_refusal: str | None = None
    callback_options: CallbackOptions = AS_USUAL
    metadata: Mapping[str, Any] = {}
    tag: str | None = None
    accepted_by: str | None = None
    parent: str | None = None
    replay_of: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded: this arrival's ids, or the first one's when it is a duplicate."""

    event_id: str
    job_id: str
    status: JobStatus
    duplicate: bool = False
    same_body: bool = True


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a worker holds under a lease. A struct: it is made for every attempt, ten times as fast as a dataclass.

    Args:
        token: what the ledger compares before it believes an outcome; ``{worker}-{sequence}``.
        attempt: the number of this execution, from 1, as handlers see it.
        crashes: how many earlier executions ended with their worker.
        claimed_at: when it was given out, on Redis's clock.
        callback: what its callback is once it ends, as sealed; None without one.
        progress_url: where its progress is told; None: nowhere.
    """

    job_id: str
    event_id: str
    token: str
    queue: str
    attempt: int
    crashes: int
    claimed_at: datetime
    created_at: datetime
    source: str
    type: str
    received_at: datetime
    headers: Mapping[str, str]
    content_type: str
    body: bytes
    metadata: Mapping[str, Any]
    tag: str | None = None
    provider_event_id: str | None = None
    callback: CallbackStatus | None = None
    callback_options: CallbackOptions = AS_USUAL
    progress_url: str | None = None

    @property
    def failures_before(self) -> int:
        """Attempts that a handler's own failure ended; crashes are counted apart."""
        return self.attempt - 1 - self.crashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The handler returned. `result` is JSON text."""

    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Given up: rejected, or out of attempts."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """To run again after `delay`. When not `counted`, the attempt's number is given back."""

    delay: timedelta
    error: ErrorInfo
    counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Put back as if it had not been taken: at the front of its queue, or in `queue` after `delay`."""

    queue: str | None = None
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """No live worker has a handler for it; nobody is called back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Runs again when an event comes, or when its time is up; until then it holds nothing, and it was no attempt.

    Args:
        key: what `source`'s event is known by: its provider's id, or what the source's ``wait_key`` says.
        until: on Redis's clock.
    """

    source: str
    key: str
    until: datetime


Outcome = Finished | Failed | Retried | Released | Ignored | Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """An outcome, the claim that it ends, and who ran it (as in the manifest)."""

    claim: Claim
    outcome: Outcome
    handler: str = ""
    max_attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerEntry:
    """One line of a worker's manifest: what it runs, and where such jobs wait.

    Args:
        queue: None: the source's queue.
        timeout: of one attempt.
        concurrency: the most of its jobs that run at a time, over all workers; None: any number.
        ordering_key: the expression whose text orders its jobs; None: no order.
    """

    source: str
    type: str
    handler: str
    queue: str | None = None
    timeout: timedelta = DEFAULT_TIMEOUT
    max_attempts: int = 5
    concurrency: int | None = None
    ordering_key: str | None = None


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
    """A callback as it stands."""

    id: str
    job_id: str
    event_id: str
    url: str
    status: CallbackStatus
    reason: str | None
    attempts: tuple[CallbackAttempt, ...]
    created_at: datetime
    next_attempt_at: datetime | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(EventSummary):
    """An event as it was accepted, and the jobs made of it."""

    body: bytes


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands, with what it knows of its event. A struct, as `Claim` is one: whoever polls has one made.

    Args:
        attempts: of all its rounds, as far as they are kept; `attempt` counts those of the present one.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCallback:
    """A callback whose time has come, leased to one sender.

    Args:
        token: compared when its attempt is recorded.
        attempts: how many POSTs were made before.
        earlier: how many of those before it was redelivered; the schedule counts from there.
        url: as sealed at acceptance, as are the `options`.
        job: the job it tells of, as it stands: what a callback needs of it.
    """

    id: str
    token: str
    attempts: int
    url: str
    job: JobRecord
    options: CallbackOptions = AS_USUAL
    earlier: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one POST, for the ledger to keep.

    Args:
        status: ``pending`` with `retry_after` set, or a final one.
        reason: why it is blocked or dead.
        sent: False where nothing went out for a reason of ours, which says nothing of the receiver.
    """

    callback: DueCallback
    attempt: CallbackAttempt
    status: CallbackStatus
    retry_after: timedelta | None = None
    reason: str | None = None
    sent: bool = True


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
