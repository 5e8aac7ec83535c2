"""Spans for a collector, by OpenTelemetry. Where they go, and how many, its own variables say (``OTEL_…``).

An event has one trace, and under the span of its arrival stand what it waited, each attempt, and each POST of its callback::

    POST /hooks/github              receiving, until it was recorded
    ├── queued                      until a worker took it
    ├── attempt handlers.ship:ship  each, with what became of it; the handler's own spans stand under it
    └── callback                    each POST

Refused requests have none: strangers would fill the collector. The names of attributes are OpenTelemetry's where it has one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from infra.clock import Clock
from infra.ledger.records import (
    Arrival,
    CallbackStatus,
    Claim,
    Delivery,
    DueCallback,
    Failed,
    Outcome,
    Receipt,
    Retried,
)
from infra.routes import API_SOURCE
from infra.tracing import AttemptSpan
from infra.tracing.contexts import TRACEPARENT, TraceContext, first_span, read_traceparent, span_of

_SECOND: Final = 1_000_000_000
_PATIENCE: Final = 3.0  # seconds
_chosen: ContextVar[tuple[str | None, str | None]] = ContextVar("hookline_span_ids", default=(None, None))


class _Ids(RandomIdGenerator):
    """Gives our own spans the ids that follow from what they are of, and those of handlers random ones."""

    def generate_trace_id(self) -> int:
        trace_id, _ = _chosen.get()
        return super().generate_trace_id() if trace_id is None else int(trace_id, 16)

    def generate_span_id(self) -> int:
        _, span_id = _chosen.get()
        return super().generate_span_id() if span_id is None else int(span_id, 16)


class ExportedTraces:
    """Records spans.

    Args:
        processor: what becomes of them once they end; batches for a collector, or a list for a test.
        service: what this process calls itself, unless ``OTEL_SERVICE_NAME`` says.
    """

    def __init__(self, processor: SpanProcessor, *, service: str, clock: Clock) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("hookline")
        self._clock = clock

    def received(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt], seconds: float) -> None:
        end = _nanoseconds(self._clock.now())
        for arrival, receipt in zip(arrivals, receipts, strict=True):
            event_id = arrival.event_id if receipt.duplicate else receipt.event_id  # a shard spells its own
            first = self._first(event_id, arrival.headers)
            route = "/jobs" if arrival.source == API_SOURCE else f"/hooks/{arrival.source}"
            span = self._start(
                f"POST {route}",
                SpanKind.SERVER,
                parent=read_traceparent(arrival.headers.get(TRACEPARENT)),
                own=first,
                begun=end - int(seconds * _SECOND),
            )
            span.set_attributes(
                {
                    "http.request.method": "POST",
                    "http.route": route,
                    "hookline.source": arrival.source,
                    "hookline.type": arrival.type,
                    "hookline.event": receipt.event_id,
                    "hookline.job": receipt.job_id,
                    "hookline.duplicate": receipt.duplicate,
                }
            )
            span.end(end)

    @contextmanager
    def attempt(self, claim: Claim, handler: str) -> Iterator[AttemptSpan]:
        first = self._first(claim.event_id, claim.headers)
        if (
            claim.attempt == 1
        ):  # again where it was put back as if it had not been taken: the same span, longer
            queued = self._start(
                "queued",
                SpanKind.INTERNAL,
                parent=first,
                own=TraceContext(first.trace_id, span_of(claim.job_id, "queued"), first.sampled),
                begun=_nanoseconds(claim.created_at),
            )
            queued.set_attribute("messaging.destination.name", claim.queue)
            queued.end(_nanoseconds(claim.claimed_at))
        span = self._start(
            f"attempt {handler}", SpanKind.CONSUMER, parent=first, own=_attempt_span(first, claim)
        )
        span.set_attributes(
            {
                "messaging.destination.name": claim.queue,
                "hookline.source": claim.source,
                "hookline.type": claim.type,
                "hookline.event": claim.event_id,
                "hookline.job": claim.job_id,
                "hookline.handler": handler,
                "hookline.attempt": claim.attempt,
            }
        )
        entered = otel_context.attach(trace.set_span_in_context(span))
        try:
            yield _Running(span)
        finally:
            otel_context.detach(entered)
            span.end(_nanoseconds(self._clock.now()))

    def handed_on(self, claim: Claim) -> Mapping[str, str]:
        return {TRACEPARENT: str(_attempt_span(self._first(claim.event_id, claim.headers), claim))}

    def sending(self, due: DueCallback) -> Mapping[str, str]:
        return {TRACEPARENT: str(self._callback_span(due))}

    def called(self, delivery: Delivery) -> None:
        due, attempt = delivery.callback, delivery.attempt
        if not delivery.sent:
            return
        first = self._first_of(due)
        begun = _nanoseconds(attempt.at)
        span = self._start(
            "callback", SpanKind.CLIENT, parent=first, own=self._callback_span(due), begun=begun
        )
        span.set_attributes(
            {
                "http.request.method": "POST",
                "server.address": urlsplit(due.url).hostname or "",
                "hookline.job": due.job.id,
                "hookline.callback": due.id,
                "hookline.attempt": attempt.number,
            }
        )
        if attempt.status is not None:
            span.set_attribute("http.response.status_code", attempt.status)
        if delivery.status is not CallbackStatus.DELIVERED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(begun + int(attempt.duration.total_seconds() * _SECOND))

    def close(self) -> None:
        # Where no collector answers, its own patience is half a minute; a platform's is less.
        last = Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(_PATIENCE)

    def _first(self, event_id: str, headers: Mapping[str, str]) -> TraceContext:
        return first_span(event_id, headers.get(TRACEPARENT), self._sample)

    def _first_of(self, due: DueCallback) -> TraceContext:
        return first_span(due.job.event_id, due.job.traceparent, self._sample)

    def _callback_span(self, due: DueCallback) -> TraceContext:
        first = self._first_of(due)
        return TraceContext(first.trace_id, span_of(due.id, str(due.attempts + 1)), first.sampled)

    def _sample(self, trace_id: str) -> bool:
        """All processes come to the same answer: a sampler that takes a share of the traces goes by their ids."""
        decided = self._provider.sampler.should_sample(otel_context.Context(), int(trace_id, 16), "")
        return decided.decision is Decision.RECORD_AND_SAMPLE

    def _start(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: TraceContext | None,
        own: TraceContext | None = None,
        begun: int | None = None,
    ) -> Span:
        chosen = _chosen.set((None, None) if own is None else (own.trace_id, own.span_id))
        try:
            return self._tracer.start_span(
                name,
                _context(parent),
                kind=kind,
                start_time=_nanoseconds(self._clock.now()) if begun is None else begun,
            )
        finally:
            _chosen.reset(chosen)


def to_collector(*, service: str, clock: Clock) -> ExportedTraces:
    """Spans go out in batches, from a thread of their own; what a collector does not take in time is lost, and nothing waits for it."""
    return ExportedTraces(BatchSpanProcessor(OTLPSpanExporter()), service=service, clock=clock)


class _Running:
    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, outcome: Outcome) -> None:
        self._span.set_attribute("hookline.outcome", type(outcome).__name__.lower())
        if isinstance(outcome, Failed | Retried):
            # Its text may quote what was sent; the job has it.
            self._span.set_attribute("error.type", outcome.error.type)
            self._span.set_status(Status(StatusCode.ERROR))


def _attempt_span(first: TraceContext, claim: Claim) -> TraceContext:
    return TraceContext(first.trace_id, span_of(claim.job_id, claim.token), first.sampled)


def _context(parent: TraceContext | None) -> otel_context.Context:
    """None: a trace begins here."""
    if parent is None:
        return otel_context.Context()
    named = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT),
    )
    return trace.set_span_in_context(NonRecordingSpan(named), otel_context.Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
