"""What is handed over, to the ledger and by it.

An `Arrival` is accepted and becomes an event and its job. A worker holds a `Claim` on a job, runs it, and settles it
with an `Outcome`. A `DueCallback` is an outcome on its way to the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from infra.ledger.records.standing import CallbackAttempt, JobRecord
from infra.ledger.records.words import (
    AS_USUAL,
    DEFAULT_TIMEOUT,
    CallbackOptions,
    CallbackStatus,
    ErrorInfo,
    JobStatus,
)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One verified event, and the job to make for it. A struct, as `Claim` is one: it is made for every request.

    Args:
        provider_event_id: what deduplication goes by, or None for none.
        wait_key: what jobs may wait for it by, besides that.
        callback_refusal: why `callback_url` may not be called; its callback is then born ``blocked``.
        timeout: how long one attempt may take.
        run_at: not before this moment; None is at once.
        run_in: the same from now on by Redis's clock, where that was asked for; `run_at` is then what it comes to here.
        ordering_key: jobs of the source with the same key run one after the other; None: in any order.
        metadata: what the caller wants echoed in the callback.
        accepted_by: the name of the API key, for ``POST /jobs``.
        parent: the id of the job whose handler made this one.
        replay_of: the id of the event that this one is an edited replay of.
        client: the address that its request came from, as far as that can be known.
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
    run_in: timedelta | None = None
    ordering_key: str | None = None
    callback_url: str | None = None
    callback_refusal: str | None = None
    callback_options: CallbackOptions = AS_USUAL
    metadata: Mapping[str, Any] = {}
    tag: str | None = None
    accepted_by: str | None = None
    parent: str | None = None
    replay_of: str | None = None
    client: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded: this arrival's ids, or the first one's when it is a duplicate."""

    event_id: str
    job_id: str
    status: JobStatus
    duplicate: bool = False
    same_body: bool = True


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
