"""A job that somebody asks for, by ``POST /jobs`` or by a handler's ``context.enqueue``: what it may say, and what it becomes.

HooklineError
└── SubmissionError (ValueError)   an entry can't be carried out; says what is wrong, and where
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from infra.bounds import LONGEST_NAME, MOST_METADATA, fits
from infra.durations import parse_duration
from infra.errors import HooklineError
from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival, CallbackFormat, CallbackOptions, HandlerEntry
from infra.routes import API_SOURCE, DEFAULT_QUEUE, ordering_key_of

_FARTHEST: Final = timedelta(days=365)
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)


class SubmissionError(HooklineError, ValueError):
    """An entry can't be carried out.

    Args:
        path: where in the entry, such as ``.run_in``; empty: the whole of it.
    """

    def __init__(self, words: str, path: str) -> None:
        super().__init__(f"{words} - at `${path}`")
        self.words = words
        self.path = path


class Submission(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry. A number in `run_in` is seconds; text is a duration such as ``15m``. `link` says what the status URL may do."""

    type: str
    payload: Any = None
    queue: str | None = None
    callback_url: str | None = None
    callback_format: CallbackFormat = CallbackFormat.HOOKLINE
    callback_events: tuple[Literal["progress"], ...] = ()
    run_in: str | float | None = None
    run_at: datetime | None = None
    idempotency_key: str | None = None
    ordering_key: str | None = None
    link: Literal["read", "cancel"] = "read"
    tag: str | None = None
    metadata: dict[str, Any] = {}

    @property
    def body(self) -> bytes:
        """The payload as the event's body."""
        return body_of(self.payload)

    def due(self, now: datetime) -> datetime | None:
        """When the job may run first; None is at once. For an entry that was checked."""
        due = now + _delay(self.run_in) if self.run_in is not None else self.run_at
        return None if due is None or due <= now else due.astimezone(UTC)

    def arrival(
        self,
        entry: HandlerEntry | None,
        now: datetime,
        *,
        accepted_by: str | None = None,
        secret_of: str | None = None,
        parent: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        client: str | None = None,
    ) -> Arrival:
        """What is to be recorded of it. For an entry that was checked.

        Args:
            entry: what live workers say of such jobs.
            accepted_by: the name of the API key.
            secret_of: the same, where it has secrets of its own to sign callbacks with.
            parent: the id of the job that asked for it.
            headers: what its event keeps of those that it came with.
            client: the address that asked for it.
        """
        suffix, body, due = new_suffix(), self.body, self.due(now)
        return Arrival(
            event_id=EVENT + suffix,
            job_id=JOB + suffix,
            source=API_SOURCE,
            type=self.type,
            received_at=now,
            body=body,
            headers=headers,
            client=client,
            provider_event_id=self.idempotency_key,
            queue=self.queue or (entry.queue if entry else None) or DEFAULT_QUEUE,
            timeout=entry.timeout if entry else DEFAULT_TIMEOUT,
            run_at=due,
            run_in=_delay(self.run_in) if due is not None and self.run_in is not None else None,
            ordering_key=self.ordering_key or ordering_key_of(entry, Document(headers={}, body=body)),
            callback_url=self.callback_url,
            callback_options=CallbackOptions(
                format=self.callback_format,
                progress="progress" in self.callback_events,
                secret_of=secret_of,
            ),
            metadata=self.metadata,
            tag=self.tag,
            accepted_by=accepted_by,
            parent=parent,
        )


def body_of(payload: Any) -> bytes:
    """A payload as an event's body."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def read_queue(sent: Any) -> str | None:
    """Check the name of a queue; None is none.

    Raises:
        SubmissionError: no queue can have it.
    """
    if sent is not None and not (isinstance(sent, str) and _QUEUE.fullmatch(sent)):
        raise SubmissionError("Needs at most 63 letters, digits, - and _", ".queue")
    return sent


def read_submission(sent: Any, *, now: datetime) -> Submission:
    """Check one entry, all but its callback's URL: what that may be, a policy says.

    Raises:
        SubmissionError: with the first fault.

    >>> read_submission({"type": "report", "run_in": "15m"}, now=datetime(2026, 11, 21, tzinfo=UTC)).run_in
    '15m'
    """
    try:
        submission = msgspec.convert(sent, Submission)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$")
        raise SubmissionError(words, path.removesuffix("`")) from None
    for name in ("type", "idempotency_key", "ordering_key", "tag"):
        text = getattr(submission, name)
        if text is not None and not (0 < len(text) <= LONGEST_NAME and text.isprintable()):
            raise SubmissionError(f"Needs 1 to {LONGEST_NAME} printable characters", f".{name}")
    read_queue(submission.queue)
    if not fits(submission.metadata):
        raise SubmissionError(f"Takes at most {MOST_METADATA} bytes", ".metadata")
    _check_time(submission, now)
    return submission


def _check_time(submission: Submission, now: datetime) -> None:
    if submission.run_in is not None and submission.run_at is not None:
        raise SubmissionError("Give run_in or run_at, not both", "")
    if submission.run_at is not None and submission.run_at.tzinfo is None:
        raise SubmissionError("Needs an offset from UTC, such as Z", ".run_at")
    try:
        wait = _delay(submission.run_in) if submission.run_in is not None else timedelta(0)
    except (ValueError, OverflowError):
        raise SubmissionError("Needs seconds, or a duration such as 15m", ".run_in") from None
    if wait < timedelta(0):
        raise SubmissionError("Can't lie in the past", ".run_in")
    if wait > _FARTHEST or (submission.run_at is not None and submission.run_at - now > _FARTHEST):
        raise SubmissionError("At most a year ahead", "")


def _delay(value: str | float) -> timedelta:
    return parse_duration(value) if isinstance(value, str) else timedelta(seconds=value)
