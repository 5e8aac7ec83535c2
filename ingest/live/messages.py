"""What watchers are told: one message a change, encoded once, whoever gets it."""

from functools import cached_property
from typing import Any, Final

from infra.clock import from_unix_milliseconds, rfc3339
from infra.ledger.live import About, CallbackChange, Change, LogLine, Position
from infra.ledger.records import HandlerEntry, JobRecord, JobStatus, Progress
from infra.strict_json import written
from ingest.views import job_view, progress_view

_LAST_MOMENT: Final = 253_402_300_799_999  # of the year 9999


class Message:
    """One event, as Server-Sent Events and WebSockets carry it; its data is JSON in ASCII, on one line.

    Args:
        event: ``status``, ``progress``, ``log``, ``callback`` or ``gap``.
        change: what it tells of; None where it tells how things stand.

    >>> message = Message(Position(5, 0, 1), "status", {"status": "queued"})
    >>> message.block
    b'id: 5-0-1\\nevent: status\\ndata: {"status":"queued"}\\n\\n'
    >>> message.text
    '{"id":"5-0-1","event":"status","data":{"status":"queued"}}'
    """

    def __init__(
        self, position: Position, event: str, data: dict[str, Any], change: Change | None = None
    ) -> None:
        self.position = position
        self.change = change
        self._event = event
        self._data = data

    @cached_property
    def block(self) -> bytes:
        """It in an event stream."""
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (
            str(self.position).encode(),
            self._event.encode(),
            written(self._data),
        )

    @cached_property
    def text(self) -> str:
        """It over a WebSocket."""
        return f'{{"id":"{self.position}","event":"{self._event}","data":{written(self._data).decode()}}}'


def of_change(change: Change, about: About) -> Message:
    """What changed: the part of the job, as `job_view` names it, and what the job is told apart by."""
    data = _common(change.job_id, about, change.position)
    match change.what:
        case JobStatus() as status:
            return Message(change.position, "status", data | {"status": status}, change)
        case Progress() as progress:
            return Message(change.position, "progress", data | {"progress": progress_view(progress)}, change)
        case LogLine() as line:
            told = {"at": line.at, "level": line.level, "message": line.message}
            return Message(change.position, "log", data | {"log": told}, change)
        case CallbackChange() as callback:
            told = {"id": callback.id, "status": callback.status}
            return Message(change.position, "callback", data | {"callback": told}, change)


def of_job(
    job: JobRecord, position: Position, entry: HandlerEntry | None, *, operator: bool, missed: bool
) -> Message:
    """How a job stands, whole.

    Args:
        entry, operator: as `job_view` takes them.
        missed: whether changes were missed before it.
    """
    data = _common(job.id, About.of(job), position) | {
        "status": job.status,
        "snapshot": "gap" if missed else "start",
        "job": job_view(job, entry, operator=operator),
    }
    return Message(position, "status", data)


def of_gap(position: Position) -> Message:
    """Changes before this place were missed, and nobody knows which."""
    return Message(position, "gap", {"at": _moment(position)})


def _common(job_id: str, about: About, position: Position) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "event_id": about.event_id,
        "source": about.source,
        "type": about.type,
        "queue": about.queue,
        "tag": about.tag,
        "at": _moment(position),
    }


def _moment(position: Position) -> str:
    return rfc3339(from_unix_milliseconds(min(position.milliseconds, _LAST_MOMENT)))
