"""What `infra.client.operations` are answered with. Fields that a later version adds are passed over."""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

_T = TypeVar("_T")


class Items(msgspec.Struct, Generic[_T], frozen=True, kw_only=True):
    """A list that is no page."""

    items: list[_T]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in a queue; for `oldest_seconds` the job at its head."""

    name: str
    queued: int
    scheduled: int
    started: int
    failed: int
    oldest_seconds: float
    paused: bool = False


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process that is alive: it holds `busy` jobs of the `slots` that it may."""

    name: str
    host: str
    queues: list[str]
    busy: int
    version: str
    slots: int | None = None
    draining: bool = False
    started_at: datetime | None = None
    last_seen_at: datetime | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A queue, or a handler (`kind`), none of whose jobs begins."""

    kind: str
    name: str
    by: str
    paused_at: datetime | None = None


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """How the work stands."""

    queues: list[Queue]
    workers: list[Worker]
    pauses: list[Pause] = []


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue, or a handler, stands now; `changed` is false where it was so before."""

    name: str
    paused: bool
    changed: bool


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that takes no further job; `changed` is false where it was asked before."""

    name: str
    draining: bool
    changed: bool


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Where callbacks go: ``active``, ``failing`` or ``paused``, and why (`reason`, `error`).

    Args:
        redelivered: where it was resumed, how many callbacks are made again.
    """

    id: str
    url: str
    status: str
    reason: str | None = None
    error: str | None = None
    failing_since: datetime | None = None
    paused_at: datetime | None = None
    last_delivered_at: datetime | None = None
    seen_at: datetime | None = None
    redelivered: int = 0


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused: what would have to be otherwise (`holds`), and what to do (`cures`), in the same order."""

    received_at: datetime
    because: str
    size: int
    holds: list[str] = []
    cures: list[str] = []
    cut_short: bool = False


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs were found (`count`, and `counts` by the status in which they stood), and canceled.

    Args:
        complete: False: there may be more than could be looked at; ask again.
    """

    dry_run: bool
    count: int
    counts: dict[str, int]
    complete: bool
    canceled: int


class Redelivery(msgspec.Struct, frozen=True, kw_only=True):
    """How many callbacks were found (`count`), and made again.

    Args:
        complete: False: there may be more than could be looked at; ask again.
    """

    dry_run: bool
    count: int
    complete: bool
    redelivered: int


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What would be run again: `count` jobs, as `retries` of failed ones and `replays` of others."""

    count: int
    complete: bool
    retries: int
    replays: int
    already_succeeded: int
    warnings: list[str] = []


class BulkReplay(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk replay: ``running``, ``finished`` or ``stopped`` (for its `reason`), and how many of its `count` jobs are where."""

    id: str
    status: str
    queue: str
    rate: int
    max_error_share: float
    count: int
    complete: bool
    begun: int
    skipped: int
    succeeded: int
    failed: int
    canceled: int
    ignored: int
    percent: float
    reason: str | None = None
    by: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
