from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from infra.clock import ManualClock
from infra.ledger.records import (
    Arrival,
    CallbackAttempt,
    CallbackStatus,
    Claim,
    Delivery,
    DueCallback,
    ErrorInfo,
    Failed,
    Finished,
    JobRecord,
    JobStatus,
    Receipt,
)
from infra.tracing import UNTRACED, Traces
from infra.tracing.contexts import TraceContext, first_span, read_traceparent
from infra.tracing.exported import ExportedTraces

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SENT[:-2] + "00"


class Collected:
    """One process's traces, and what a collector would have of them."""

    def __init__(self, service: str = "hookline-worker") -> None:
        self.clock = ManualClock(NOW)
        self.exporter = InMemorySpanExporter()
        self.traces = ExportedTraces(SimpleSpanProcessor(self.exporter), service=service, clock=self.clock)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def arrival(**changes: Any) -> Arrival:
    told: dict[str, Any] = {
        "event_id": "evt_1", "job_id": "job_1", "source": "acme", "type": "paid", "received_at": NOW, "body": b"{}",
    }  # fmt: skip
    return Arrival(**told | changes)


def receipt_of(arrived: Arrival, *, duplicate: bool = False) -> Receipt:
    return Receipt(
        event_id=arrived.event_id, job_id=arrived.job_id, status=JobStatus.QUEUED, duplicate=duplicate
    )


def claim(**changes: Any) -> Claim:
    told: dict[str, Any] = {
        "job_id": "job_1", "event_id": "evt_1", "token": "w-1", "queue": "high", "attempt": 1, "crashes": 0,
        "claimed_at": NOW, "created_at": NOW - timedelta(seconds=2), "source": "acme", "type": "paid",
        "received_at": NOW, "headers": {}, "content_type": "application/json", "body": b"{}", "metadata": {},
    }  # fmt: skip
    return Claim(**told | changes)


def due(*, traceparent: str | None = None, attempts: int = 0) -> DueCallback:
    job = JobRecord(
        id="job_1", event_id="evt_1", source="acme", type="paid", handler=None, status=JobStatus.FINISHED, queue="high",
        position=None, attempts=(), attempt=1, crashes=0, max_attempts=5, ordering_key=None, next_attempt_at=None,
        result=None, error=None, progress=None, logs=(), metadata={}, callback=None, created_at=NOW, started_at=NOW,
        ended_at=NOW, traceparent=traceparent,
    )  # fmt: skip
    return DueCallback(id="cb_1", token="t", attempts=attempts, url="https://receiver.example/hook?key=s3cret", job=job)  # fmt: skip


def delivered(callback: DueCallback, status: int | None = 204) -> Delivery:
    attempt = CallbackAttempt(
        number=callback.attempts + 1, at=NOW, duration=timedelta(milliseconds=30), status=status, reply="", error=None
    )  # fmt: skip
    went = CallbackStatus.DELIVERED if status == 204 else CallbackStatus.PENDING
    return Delivery(callback=callback, attempt=attempt, status=went)


def run_through(web: Traces, worker: Traces, sent: str | None) -> None:
    """What the two processes are told of one event, from its arrival to its callback."""
    headers = {} if sent is None else {"traceparent": sent}
    came = arrival(headers=headers)
    web.received([came], [receipt_of(came)], 0.004)
    with worker.attempt(claim(headers=headers), "handlers.acme:paid") as span:
        span.ended(Finished(result="1"))
    worker.called(delivered(due(traceparent=sent)))


@pytest.mark.parametrize("sent", [None, SENT])
def test_two_processes_tell_one_trace_without_a_word_between_them(sent: str | None) -> None:
    web, worker = Collected("hookline-web"), Collected()
    run_through(web.traces, worker.traces, sent)
    first = web.spans["POST /hooks/acme"]
    assert first.context is not None
    below = worker.spans
    assert set(below) == {"queued", "attempt handlers.acme:paid", "callback"}
    for span in below.values():
        assert span.parent is not None
        assert span.parent.span_id == first.context.span_id
        assert span.context is not None
        assert span.context.trace_id == first.context.trace_id


def test_a_senders_trace_goes_on() -> None:
    web, worker = Collected(), Collected()
    run_through(web.traces, worker.traces, SENT)
    first = web.spans["POST /hooks/acme"]
    assert first.parent is not None
    assert first.parent.span_id == 0xB7AD6B7169203331
    assert first.parent.trace_id == 0x0AF7651916CD43DD8448EB211C80319C


def test_what_a_sender_does_not_record_is_not_recorded_here() -> None:
    web, worker = Collected(), Collected()
    run_through(web.traces, worker.traces, UNSAMPLED)
    assert not web.spans
    assert not worker.spans


def test_a_share_of_the_traces_is_the_same_share_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    web, worker = Collected(), Collected()
    for number in range(40):
        came = arrival(event_id=f"evt_{number}")
        web.traces.received([came], [receipt_of(came)], 0.004)
        with worker.traces.attempt(claim(event_id=f"evt_{number}"), "h"):
            pass
    recorded = [_trace_ids(one.exporter.get_finished_spans()) for one in (web, worker)]
    assert recorded[0] == recorded[1]
    assert 0 < len(recorded[0]) < 40


def _trace_ids(spans: Sequence[ReadableSpan]) -> set[int]:
    return {span.context.trace_id for span in spans if span.context is not None}


def test_times_are_those_of_what_happened() -> None:
    collected = Collected()
    run_through(collected.traces, collected.traces, None)
    spans = {name: _seconds(span) for name, span in collected.spans.items()}
    assert spans["POST /hooks/acme"] == pytest.approx(0.004)
    assert spans["queued"] == pytest.approx(2)
    assert spans["callback"] == pytest.approx(0.03)


def _seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_handlers_own_spans_stand_under_its_attempt() -> None:
    collected = Collected()
    with collected.traces.attempt(claim(), "handlers.acme:paid"):
        inside = trace.get_current_span().get_span_context()
    assert not trace.get_current_span().get_span_context().is_valid
    own = collected.spans["attempt handlers.acme:paid"].context
    assert own is not None
    assert (inside.trace_id, inside.span_id) == (own.trace_id, own.span_id)


def test_a_later_attempt_has_waited_for_no_worker() -> None:
    collected = Collected()
    with collected.traces.attempt(claim(attempt=2), "h"):
        pass
    assert set(collected.spans) == {"attempt h"}


def test_an_event_that_an_attempt_makes_is_under_it() -> None:
    collected = Collected()
    with collected.traces.attempt(claim(), "h"):
        handed = read_traceparent(collected.traces.handed_on(claim())["traceparent"])
    own = collected.spans["attempt h"].context
    assert own is not None
    assert handed == TraceContext(f"{own.trace_id:032x}", f"{own.span_id:016x}", sampled=True)


def test_a_callback_names_the_span_of_its_own_post() -> None:
    collected = Collected()
    callback = due(attempts=2)
    named = read_traceparent(collected.traces.sending(callback)["traceparent"])
    collected.traces.called(delivered(callback))
    own = collected.spans["callback"].context
    assert named is not None
    assert own is not None
    assert named.span_id == f"{own.span_id:016x}"


def test_what_failed_is_marked_by_its_kind_and_never_by_its_words() -> None:
    collected = Collected()
    with collected.traces.attempt(claim(), "h") as span:
        span.ended(Failed(error=ErrorInfo(type="Reject", message="card 4242 is no card")))
    collected.traces.called(delivered(due(), status=500))
    for name in ("attempt h", "callback"):
        assert collected.spans[name].status.status_code is StatusCode.ERROR
    told = "".join(span.to_json() for span in collected.spans.values())
    assert "4242" not in told
    assert "s3cret" not in told


def test_nothing_is_told_of_a_post_that_was_never_made() -> None:
    collected = Collected()
    collected.traces.called(replace(delivered(due()), sent=False))
    assert not collected.spans


def test_without_a_collector_a_senders_trace_goes_through_unchanged() -> None:
    assert UNTRACED.sending(due(traceparent=SENT)) == {"traceparent": SENT}
    assert UNTRACED.handed_on(claim(headers={"traceparent": SENT})) == {"traceparent": SENT}
    assert UNTRACED.sending(due(traceparent="00-what-ever-01")) == {}
    assert UNTRACED.sending(due()) == {}


@pytest.mark.parametrize(
    "field",
    [
        "",
        "00",
        SENT.upper(),
        SENT + "-more",
        "ff" + SENT[2:],
        SENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        SENT.replace("b7ad6b7169203331", "0" * 16),
        SENT[:-1],
        SENT + "\n",
        "01" + SENT[2:] + "-é",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_of_its_own(field: str) -> None:
    assert read_traceparent(field) is None
    assert first_span("evt_1", field, lambda _: True) == first_span("evt_1", None, lambda _: True)


def test_a_later_versions_field_is_read_as_far_as_it_is_known() -> None:
    assert read_traceparent("01" + SENT[2:] + "-more") == read_traceparent(SENT)


@given(st.text(max_size=80))
def test_whatever_a_sender_writes_is_read_or_is_nothing(field: str) -> None:
    read = read_traceparent(field)
    assert read is None or str(read)[3:52] == field[3:52]
