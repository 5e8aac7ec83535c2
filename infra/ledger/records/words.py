"""The words of the contract that records hold: statuses, formats, and what went wrong."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

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
        secret_of: the API key whose own secrets sign; None: its source's, or the house's.
    """

    format: CallbackFormat = CallbackFormat.HOOKLINE
    progress: bool = False
    max_body: int | None = None
    secret_of: str | None = None


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
