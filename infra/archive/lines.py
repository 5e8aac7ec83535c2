"""One event as a line of the archive: JSON, in ASCII. ``docs/archive.md`` says what each name means.

The records are written as they are, under the names of their fields (`infra.ledger.records`); ``tests/data/archive_line.json`` is a line
of this format, which stays readable whatever becomes of the records.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import msgspec

from infra.archive.errors import PartDamaged
from infra.clock import rfc3339
from infra.ids import time_told
from infra.ledger.archiving import Dossier, Sealed
from infra.ledger.histories import History, JobHistory
from infra.ledger.records import EventRecord
from infra.strict_json import written

FORMAT: Final = "hookline-archive-1"

_UNKNOWN_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What the archive has of one event."""

    at: datetime
    dossier: Dossier

    @property
    def id(self) -> str:
        """The event's."""
        return self.dossier.event_id

    @property
    def event(self) -> EventRecord | None:
        """None where no seal held."""
        return None if self.dossier.history is None else self.dossier.history.event

    @property
    def jobs(self) -> tuple[JobHistory, ...]:
        """Made of it, the oldest first."""
        return () if self.dossier.history is None else self.dossier.history.jobs


def day_of(event_id: str) -> date:
    """The day in whose parts an event stands; 1970-01-01 where its id does not tell.

    >>> day_of("evt_01k00000000000000000000000").isoformat(), day_of("evt_u").isoformat()
    ('2025-07-12', '1970-01-01')
    """
    told = time_told(event_id)
    return _UNKNOWN_DAY if told is None else told.date()


def line_of(archived: Archived) -> bytes:
    """An event as a line, without the line's end."""
    return written(document_of(archived))


def document_of(archived: Archived) -> dict[str, Any]:
    """The JSON object that a line is."""
    dossier = archived.dossier
    history, sealed = dossier.history, dossier.sealed
    return {
        "format": FORMAT,
        "id": dossier.event_id,
        "archived_at": rfc3339(archived.at),
        "event": None if history is None else _event(history.event),
        "jobs": [] if history is None else msgspec.to_builtins(history.jobs),
        "sealed": None if sealed is None else {"head": sealed.head, "births": dict(sealed.births)},
        "raw": {
            key: {name: b64encode(value).decode() for name, value in fields.items()}
            for key, fields in dossier.raw.items()
        },
    }


def read_line(line: bytes) -> Archived:
    """What `line_of` wrote.

    Raises:
        PartDamaged: it is no line of this format.
    """
    try:
        return _archived(_loads(line))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PartDamaged(f"a line can't be read: {type(error).__name__}") from None


def merged(lines: Iterable[Archived]) -> dict[str, Archived]:
    """Lines by their events, each once: of a job that stands in several, as it stood last.

    An event comes again where its jobs went at different times, or where a worker died before it could let it go.
    """
    found: dict[str, Archived] = {}
    for line in sorted(lines, key=lambda line: line.at):
        found[line.id] = _joined(found[line.id], line) if line.id in found else line
    return found


def _joined(old: Archived, new: Archived) -> Archived:
    before, after = old.dossier, new.dossier
    raw = {**before.raw, **after.raw}
    if after.history is None:
        return Archived(at=new.at, dossier=replace(before, raw=raw))
    if before.history is None or before.sealed is None or after.sealed is None:
        return Archived(at=new.at, dossier=replace(after, raw=raw))
    jobs = {job.rounds[-1].id: job for job in (*before.history.jobs, *after.history.jobs)}
    births = {**before.sealed.births, **after.sealed.births}
    event = replace(
        after.history.event, jobs=tuple(sorted({*before.history.event.jobs, *after.history.event.jobs}))
    )
    history = History(event=event, jobs=tuple(jobs[job_id] for job_id in sorted(jobs)))
    sealed = Sealed(head=after.sealed.head, births=births)
    return Archived(at=new.at, dossier=Dossier(event_id=new.id, history=history, sealed=sealed, raw=raw))


def _event(event: EventRecord) -> dict[str, Any]:
    """With the body as text where it is UTF-8, which compresses better than base64."""
    told: dict[str, Any] = msgspec.to_builtins(event)
    try:
        return told | {"body": event.body.decode("utf-8"), "body_encoding": "utf-8"}
    except UnicodeDecodeError:
        return told | {"body_encoding": "base64"}


def _archived(told: Any) -> Archived:
    if told["format"] != FORMAT:
        raise ValueError(told["format"])
    event, sealed = told["event"], told["sealed"]
    history = None
    if event is not None:
        history = History(event=_event_of(event), jobs=_converted(told["jobs"], tuple[JobHistory, ...]))
    return Archived(
        at=datetime.fromisoformat(told["archived_at"]),
        dossier=Dossier(
            event_id=told["id"],
            history=history,
            sealed=None if sealed is None else _converted(sealed, Sealed),
            raw={
                key: {name: b64decode(value, validate=True) for name, value in fields.items()}
                for key, fields in told["raw"].items()
            },
        ),
    )


def _event_of(told: Mapping[str, Any]) -> EventRecord:
    body = (
        told["body"].encode() if told["body_encoding"] == "utf-8" else b64decode(told["body"], validate=True)
    )
    rest = {name: value for name, value in told.items() if name != "body_encoding"}
    found: EventRecord = _converted(rest | {"body": b64encode(body).decode()}, EventRecord)
    return found


def _converted(told: Any, kind: Any) -> Any:
    return msgspec.convert(told, kind)


def _loads(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:  # a lone surrogate, or a number beyond its bounds
        return json.loads(line)
