"""Whatever stands in Redis, reading it gives a record."""

import json
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger.parsing import (
    attempt_record,
    callback_record,
    log_line,
    manifest_of,
    moment,
    progress_of,
    result_of,
    rq_time,
    seconds,
    text,
    whole,
)
from infra.ledger.records import (
    AttemptRecord,
    CallbackAttempt,
    CallbackRecord,
    CallbackStatus,
    ErrorInfo,
    HandlerEntry,
    Progress,
)
from infra.ledger.wire import (
    Story,
    callback_attempt_json,
    error_json,
    manifest_json,
    meta_of,
    rq_result,
    rq_trace,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STORY = Story({}, {"queue": "default", "callback": "pending", "url": "https://x.example/", "refusal": None})

NUMBERS = st.integers() | st.floats() | st.just(10**400)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def garbage(*names: str) -> st.SearchStrategy[bytes]:
    """Bytes of any kind: noise, numbers out of range, JSON that is not what is expected, JSON that nearly is."""
    nearly = st.dictionaries(st.sampled_from(names or ("x",)), JSON).map(json.dumps)
    return (
        st.binary()
        | st.sampled_from(
            [b"[" * 100_000, b"9" * 5000, b"1e999", b"nan", b"-inf", b"\xff\xfe", b'{"a":', b"null"]
        )
        | JSON.map(lambda value: json.dumps(value).encode())
        | nearly.map(str.encode)
        | nearly.map(lambda one: json.dumps({"progress": json.loads(one)}).encode())
        | nearly.map(lambda one: json.dumps([one]).encode())
        | nearly.map(lambda one: json.dumps([json.loads(one)]).encode())
    )


def entries(*names: str) -> st.SearchStrategy[dict[bytes, bytes]]:
    """Hashes with the fields that are read."""
    return st.dictionaries(
        st.sampled_from([name.encode() for name in names]),
        garbage("type", "message", "n", "at", "ms", "status", "reply", "error"),
    )


def test_an_attempt_reads_as_it_was_kept() -> None:
    entry = {
        b"type": b"4",
        b"worker_name": b"w1",
        b"execution_started_at": b"1795219199.500",
        b"number": b"3",
        b"error": error_json(ErrorInfo(type="ValueError", message="ü")).encode(),
        b"exc_string": rq_trace("Traceback").encode(),
    }
    assert attempt_record(b"1795219200000-0", entry) == AttemptRecord(
        number=3,
        outcome="retried",
        worker="w1",
        started_at=NOW - timedelta(seconds=0.5),
        ended_at=NOW,
        error=ErrorInfo(type="ValueError", message="ü", trace="Traceback"),
    )


@given(
    entries(
        "type",
        "worker_name",
        "execution_started_at",
        "number",
        "outcome",
        "error",
        "exc_string",
        "return_value",
    )
)
def test_any_entry_is_an_attempt(entry: dict[bytes, bytes]) -> None:
    attempt = attempt_record(b"1-0", entry)
    assert attempt.number >= 0
    assert attempt.outcome
    result_of(entry)


def test_a_trace_that_swells_is_cut() -> None:
    bomb = b64encode(zlib.compress(bytes(64 << 20)))
    error = attempt_record(b"1-0", {b"error": b"{}", b"exc_string": bomb}).error
    assert error is not None
    assert len(error.trace) == 1 << 20


def test_a_result_reads_as_it_was_kept() -> None:
    assert result_of({b"return_value": rq_result('{"a":[1,"ü"]}').encode()}) == {"a": [1, "ü"]}
    assert result_of({}) is None


@pytest.mark.parametrize("progress", [
    Progress(current=1),
    Progress(current=0.5, total=2, message="ü", stage="up", item="x"),
])  # fmt: skip
def test_progress_reads_as_it_was_kept(progress: Progress) -> None:
    assert progress_of(meta_of(progress).encode()) == progress


@given(garbage("current", "total", "message", "stage", "item"))
def test_any_meta_is_a_progress_or_none(meta: bytes) -> None:
    found = progress_of(meta)
    assert found is None or isinstance(found.current, int | float)


@given(garbage("message"))
def test_any_line_is_a_line(line: bytes) -> None:
    assert isinstance(log_line(line), dict)


def record(
    kept: dict[bytes, bytes], *, due: float | None = None, story: Story = STORY
) -> CallbackRecord | None:
    return callback_record(
        "cb_1", kept, job_id="job_1", event_id="evt_1", story=story, created_at=NOW, due=due
    )


def test_a_callback_reads_as_it_was_kept() -> None:
    attempt = CallbackAttempt(
        number=1, at=NOW, duration=timedelta(milliseconds=80), status=503, reply="\ud800", error="busy"
    )
    kept = {
        b"status": b"pending",
        b"created_at": b"1795219201000",
        b"log": json.dumps([callback_attempt_json(attempt)]).encode(),
    }
    found = record(kept, due=1795219260000.0)
    assert found is not None
    assert (found.status, found.url, found.reason) == (CallbackStatus.PENDING, "https://x.example/", None)
    assert found.attempts == (attempt,)
    assert found.created_at == NOW + timedelta(seconds=1)
    assert found.next_attempt_at == NOW + timedelta(minutes=1)


def test_a_job_without_a_url_has_no_callback() -> None:
    assert record({b"status": b"pending"}, story=Story({}, {"queue": "default"})) is None


@given(entries("status", "created_at", "reason", "log", "attempts"), st.none() | st.floats())
def test_any_record_of_a_callback_can_be_read(kept: dict[bytes, bytes], due: float | None) -> None:
    found = record(kept, due=due)
    assert found is not None
    assert found.url == "https://x.example/"


def test_a_manifest_reads_as_it_was_kept() -> None:
    entries = (
        HandlerEntry(source="acme", type="*", handler="h:x", queue=None),
        HandlerEntry(source="a", type="b", handler="c", queue="q"),
    )
    assert manifest_of(manifest_json(entries).encode()) == entries


@given(garbage("source", "type", "handler", "queue", "timeout", "max_attempts"))
def test_any_manifest_is_a_manifest(manifest: bytes) -> None:
    assert all(isinstance(entry.handler, str) for entry in manifest_of(manifest))


@pytest.mark.parametrize(
    "manifest",
    [
        b'[{"source":"a","type":"b","handler":"c","queue":null,"timeout":1e300,"max_attempts":1}]',
        b"[1]",
        b'{"a":1}',
    ],
)
def test_a_manifest_that_can_not_be_read_says_nothing(manifest: bytes) -> None:
    assert manifest_of(manifest) == ()


@pytest.mark.parametrize("kept", [b"", b"0001-01-01T00:00:00+23:59", b"2026-11-21T20:41:11", b"\xff", None])
def test_what_is_no_moment_of_rq_is_none(kept: bytes | None) -> None:
    assert rq_time(kept) is None


@given(garbage())
def test_scalars_read_as_their_default(kept: bytes) -> None:
    assert isinstance(text(kept), str)
    assert whole(kept, 7) >= 0
    for moment_of in (rq_time, seconds, moment):
        found: Any = moment_of(kept)
        assert found is None or found.tzinfo is UTC
