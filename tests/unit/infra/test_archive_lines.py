"""A line of the archive: whatever the ledger holds of an event is written and read back as it was; what is no line is said to be none."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.archive import FORMAT, Archived, PartDamaged, merged
from infra.archive.lines import line_of, read_line
from infra.clock import from_unix_milliseconds
from infra.ids import JOB
from infra.ledger.archiving import Dossier, Sealed
from infra.ledger.histories import History, JobHistory, Keeping
from infra.ledger.records import (
    Act,
    AttemptRecord,
    CallbackAttempt,
    CallbackRecord,
    CallbackStatus,
    ErrorInfo,
    EventRecord,
    JobRecord,
    JobStatus,
    Progress,
)

EXAMPLE = Path(__file__).parents[2] / "data" / "archive_line.json"

TEXT = st.text(max_size=12)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MILLISECONDS = st.integers(0, 1 << 42).map(from_unix_milliseconds)
NUMBERS = st.integers(0, 1 << 31)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=3)
ERRORS = st.builds(ErrorInfo, type=TEXT, message=TEXT, trace=TEXT)
ATTEMPTS = st.builds(
    AttemptRecord, number=NUMBERS, outcome=TEXT, worker=TEXT, started_at=MOMENTS, ended_at=MOMENTS,
    error=st.none() | ERRORS, round=NUMBERS,
)  # fmt: skip
POSTS = st.builds(
    CallbackAttempt, number=NUMBERS, at=MOMENTS, duration=st.integers(0, 1 << 40).map(lambda ms: timedelta(milliseconds=ms)),
    status=st.none() | NUMBERS, reply=TEXT, error=st.none() | TEXT,
)  # fmt: skip
CALLBACKS = st.builds(
    CallbackRecord, id=TEXT, job_id=TEXT, event_id=TEXT, url=TEXT, status=st.sampled_from(CallbackStatus),
    reason=st.none() | TEXT, attempts=st.lists(POSTS, max_size=2).map(tuple), created_at=MOMENTS,
    next_attempt_at=st.none() | MOMENTS,
)  # fmt: skip
JOBS = st.builds(
    JobRecord, id=TEXT, event_id=TEXT, source=TEXT, type=TEXT, handler=st.none() | TEXT, status=st.sampled_from(JobStatus),
    queue=TEXT, position=st.none() | NUMBERS, attempts=st.lists(ATTEMPTS, max_size=2).map(tuple), attempt=NUMBERS, crashes=NUMBERS,
    max_attempts=st.none() | NUMBERS, ordering_key=st.none() | TEXT, next_attempt_at=st.none() | MOMENTS, result=VALUES,
    error=st.none() | ERRORS, progress=st.none() | st.builds(Progress, current=NUMBERS, total=st.none() | NUMBERS, message=TEXT),
    logs=st.lists(OBJECTS, max_size=2).map(tuple), metadata=OBJECTS, callback=st.none() | CALLBACKS, created_at=MOMENTS,
    started_at=st.none() | MOMENTS, ended_at=st.none() | MOMENTS, parent=st.none() | TEXT, tag=st.none() | TEXT, round=NUMBERS,
)  # fmt: skip
EVENTS = st.builds(
    EventRecord, id=TEXT, source=TEXT, type=TEXT, received_at=MOMENTS, content_type=TEXT,
    headers=st.dictionaries(TEXT, TEXT, max_size=2), size=NUMBERS, provider_event_id=st.none() | TEXT, metadata=OBJECTS,
    tag=st.none() | TEXT, accepted_by=st.none() | TEXT, jobs=st.lists(TEXT, max_size=2).map(tuple), duplicates=NUMBERS,
    differing_duplicates=NUMBERS, wait_key=st.none() | TEXT, replay_of=st.none() | TEXT, body=st.binary(max_size=40),
)  # fmt: skip
HISTORIES = st.builds(
    JobHistory, rounds=st.lists(JOBS, min_size=1, max_size=2).map(tuple),
    acts=st.lists(st.builds(Act, at=MOMENTS, act=TEXT, by=TEXT), max_size=2).map(tuple),
    steps=st.lists(TEXT, max_size=2).map(tuple),
    kept=st.dictionaries(
        TEXT, st.builds(Keeping, round=NUMBERS, attempt=NUMBERS, at=MOMENTS), max_size=2
    ),
)  # fmt: skip
DOSSIERS = st.builds(
    Dossier, event_id=TEXT,
    history=st.none() | st.builds(History, event=EVENTS, jobs=st.lists(HISTORIES, max_size=2).map(tuple)),
    sealed=st.none() | st.builds(Sealed, head=TEXT, births=st.dictionaries(TEXT, TEXT, max_size=2)),
    raw=st.dictionaries(TEXT, st.dictionaries(TEXT, st.binary(max_size=20), max_size=2), max_size=2),
)  # fmt: skip
ARCHIVED = st.builds(Archived, at=MILLISECONDS, dossier=DOSSIERS)


@settings(max_examples=50)
@given(ARCHIVED)
def test_whatever_is_archived_is_read_back(archived: Archived) -> None:
    line = line_of(archived)
    assert line.isascii()
    assert b"\n" not in line
    assert read_line(line) == archived


@settings(max_examples=50)
@given(st.binary(max_size=200) | ARCHIVED.map(lambda archived: line_of(archived)[:-1]))
def test_what_is_no_line_is_damaged_and_nothing_else(line: bytes) -> None:
    with pytest.raises(PartDamaged):
        read_line(line)


@given(
    OBJECTS | st.just({"format": FORMAT}),
    st.sampled_from(["event", "jobs", "sealed", "raw", "id", "archived_at"]),
    VALUES,
)
def test_a_line_of_another_shape_is_damaged_or_read(told: dict[str, Any], name: str, value: Any) -> None:
    example = json.loads(EXAMPLE.read_text())
    with suppress(PartDamaged):
        read_line(json.dumps(example | told | {name: value}).encode())


def test_a_line_of_this_format_stays_readable() -> None:
    """This file was written by the first version. What it says must never read otherwise."""
    archived = read_line(EXAMPLE.read_bytes())
    assert archived.event is not None
    assert archived.event.body == b'{"total": 12}'
    (job,) = archived.jobs
    first, last = job.rounds
    assert (first.status, last.status) == ("failed", "finished")
    assert [attempt.outcome for attempt in last.attempts] == ["failed", "finished"]
    assert last.result == {"ok": True}
    assert first.error is not None
    assert first.error.public() == {"type": "ValueError", "message": "no total"}
    assert last.callback is not None
    assert last.callback.attempts[0].duration == timedelta(milliseconds=250)
    assert [act.act for act in job.acts] == ["retry"]
    assert read_line(line_of(archived)) == archived


def archived(at: int, *jobs: JobRecord, births: dict[str, str] | None = None) -> Archived:
    """An event with these jobs, as it stood then."""
    example = read_line(EXAMPLE.read_bytes()).dossier
    assert example.history is not None
    history = History(
        event=example.history.event, jobs=tuple(JobHistory(rounds=(job,), acts=(), steps=()) for job in jobs)
    )
    sealed = Sealed(head="{}", births=births or {})
    return Archived(
        at=from_unix_milliseconds(at),
        dossier=Dossier(event_id=example.event_id, history=history, sealed=sealed, raw={}),
    )


def a_job(number: int, status: JobStatus = JobStatus.FINISHED) -> JobRecord:
    from msgspec.structs import replace

    example = read_line(EXAMPLE.read_bytes()).jobs[0].rounds[-1]
    return replace(example, id=f"{JOB}{number}", status=status)


def test_lines_of_one_event_are_one_event() -> None:
    first = archived(1, a_job(1, JobStatus.FAILED), a_job(2), births={"job_1": "a", "job_2": "b"})
    then = archived(2, a_job(1), births={"job_1": "a"})
    (event,) = merged([then, first]).values()
    assert [(job.rounds[0].id, job.rounds[0].status) for job in event.jobs] == [
        ("job_1", "finished"),
        ("job_2", "finished"),
    ]
    assert event.dossier.sealed is not None
    assert set(event.dossier.sealed.births) == {"job_1", "job_2"}
    assert event.at == then.at


def test_a_line_that_stands_twice_is_one_event() -> None:
    line = archived(1, a_job(1))
    assert list(merged([line, line]).values()) == [line]


def test_what_no_seal_vouched_for_stays_beside_what_one_did() -> None:
    sound = archived(1, a_job(1))
    raw = Archived(
        at=from_unix_milliseconds(2), dossier=Dossier(event_id=sound.id, raw={"key": {"field": b"\xff"}})
    )
    for order in ([sound, raw], [raw, sound]):
        (event,) = merged(order).values()
        assert (len(event.jobs), event.dossier.raw) == (1, {"key": {"field": b"\xff"}})
