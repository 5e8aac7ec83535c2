"""What the API answers, with types. Fields that a later version adds are passed over."""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

_T = TypeVar("_T")
_ENDED = frozenset({"finished", "failed", "canceled", "ignored"})


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt or a job failed."""

    type: str
    message: str


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. `percent` is 0 to 100, where a total was told."""

    current: float
    total: float | None = None
    percent: float | None = None
    message: str = ""
    stage: str | None = None
    item: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One execution."""

    number: int
    outcome: str
    started_at: datetime
    ended_at: datetime
    worker: str | None = None
    error: Fault | None = None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a callback: what the receiver answered (`status`, `reply`), or why there was no answer (`error`)."""

    number: int
    at: datetime
    status: int | None = None
    reply: str = ""
    error: str | None = None


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a job's callback: ``pending``, ``delivered``, ``blocked`` or ``dead``, and why (`reason`)."""

    id: str
    url: str
    status: str
    reason: str | None = None
    attempts: list[Post] = []
    job_id: str | None = None
    event_id: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was accepted.

    Args:
        duplicate: whether it is an earlier one, by its idempotency key.
        status_url: from which anyone may read the job; a path where Hookline has no public address.
        batch_id: of those that were submitted together.
        code: in a batch, ``idempotency_conflict``: the key was used for another payload or type, and this is the first job.
    """

    job_id: str
    event_id: str
    status: str
    duplicate: bool = False
    status_url: str | None = None
    batch_id: str | None = None
    code: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands.

    Args:
        status: ``queued``, ``scheduled``, ``started``, ``finished``, ``failed``, ``canceled`` or ``ignored``.
        position: in its queue, from 1, while it waits there.
        estimated_seconds: until it ends, from what such jobs took before.
    """

    id: str
    event_id: str
    source: str
    type: str
    status: str
    queue: str
    created_at: datetime
    handler: str | None = None
    position: int | None = None
    progress: Progress | None = None
    estimated_seconds: float | None = None
    attempts: list[Attempt] = []
    max_attempts: int | None = None
    next_attempt_at: datetime | None = None
    result: Any = None
    error: Fault | None = None
    callback: Callback | None = None
    metadata: dict[str, Any] = {}
    tag: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether it has come to an end."""
        return self.status in _ENDED


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a stream.

    Args:
        id: where it stands; a stream can be taken up again behind it.
        event: ``status``, ``progress``, ``log``, ``callback`` or ``gap`` (``docs/live.md``).
    """

    id: str
    event: str
    data: dict[str, Any]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was sent up; a payload names it by its `id`. `size` in bytes, `sha256` in hex."""

    id: str
    size: int
    sha256: str
    expires_at: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event; from a list without its headers, its body and its timeline.

    Args:
        jobs: their ids, the newest last.
        body_encoding: ``utf-8``, or ``base64`` where the body is no text.
        timeline: what happened, the oldest first (``docs/api.md``).
    """

    id: str
    source: str
    type: str
    received_at: datetime
    provider_event_id: str | None = None
    content_type: str = ""
    size: int = 0
    tag: str | None = None
    jobs: list[str] = []
    duplicates: int = 0
    replay_of: str | None = None
    status: str | None = None
    headers: dict[str, str] = {}
    body: str = ""
    body_encoding: str = "utf-8"
    metadata: dict[str, Any] = {}
    timeline: list[dict[str, Any]] = []


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together: the whole. `counts` is by status, `percent` 0 to 100."""

    id: str
    status: str
    count: int
    counts: dict[str, int]
    percent: float
    created_at: datetime
    estimated_seconds: float | None = None
    ended_at: datetime | None = None


class Page(msgspec.Struct, Generic[_T], frozen=True, kw_only=True):
    """A page of a list, and where the next begins."""

    items: list[_T]
    next_cursor: str | None = None
