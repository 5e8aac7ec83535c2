"""What a collector of OpenTelemetry sees of an event, over the wire, and what it may do to us by being away."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.builders import CALLBACK_SECRET, System, free_port
from tests.acceptance.inbox import Answer, Inbox

pytestmark = pytest.mark.slow

SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced(build: Callable[..., System], endpoint: str) -> System:
    house = build(HOOKLINE_TRACES="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="100")
    house.worker()
    house.web()
    return house


def collected(inbox: Inbox) -> dict[str, tuple[str, Any]]:
    """The spans by name, each with the service that sent it."""
    return {
        span.name: (_service(resource.resource.attributes), span)
        for post in inbox.posts("collector/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(post.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _service(attributes: Any) -> str:
    (name,) = [one.value.string_value for one in attributes if one.key == "service.name"]
    return str(name)


def test_one_trace_goes_from_the_senders_span_to_the_receivers(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    with Inbox() as inbox:
        inbox.answer("collector/v1/traces", *[Answer(200)] * 50)
        house = traced(build, inbox.url("collector"))
        answer = house.submit({"type": "echo", "callback_url": inbox.url("done")}, traceparent=SENT)
        assert answer.status_code == 202, answer.text
        (post,) = inbox.wait_for("done")
        post.verified(CALLBACK_SECRET)
        wait_until(lambda: len(collected(inbox)) == 4)
        spans = collected(inbox)
    services = {name: service for name, (service, _) in spans.items()}
    assert services == {
        "POST /jobs": "hookline-web",
        "queued": "hookline-worker",
        "attempt scenario:echo": "hookline-worker",
        "callback": "hookline-worker",
    }
    assert {span.trace_id.hex() for _, span in spans.values()} == {SENT[3:35]}
    _, first = spans["POST /jobs"]
    assert first.parent_span_id.hex() == SENT[36:52]
    assert {span.parent_span_id for name, (_, span) in spans.items() if name != "POST /jobs"} == {
        first.span_id
    }
    _, sent = spans["callback"]
    assert post.headers["traceparent"] == f"00-{SENT[3:35]}-{sent.span_id.hex()}-01"


def test_a_webhook_begins_a_trace_of_its_own(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    with Inbox() as inbox:
        inbox.answer("collector/v1/traces", *[Answer(200)] * 50)
        house = traced(build, inbox.url("collector"))
        job_id = house.send({"type": "echo"}).json()["job_id"]
        house.ended(job_id)
        wait_until(lambda: len(collected(inbox)) == 3)
        spans = collected(inbox)
    _, first = spans["POST /hooks/acme"]
    assert not first.parent_span_id
    assert {span.trace_id for _, span in spans.values()} == {first.trace_id}


def test_a_collector_that_is_away_delays_nothing_and_no_stop(build: Callable[..., System]) -> None:
    house = traced(build, f"http://127.0.0.1:{free_port()}")
    for number in range(20):
        house.ended(house.send({"type": "echo", "n": number}).json()["job_id"])
    for process in house.started:
        assert process.stop() == 0


def test_without_a_collector_the_senders_trace_reaches_the_receiver(build: Callable[..., System]) -> None:
    with Inbox() as inbox:
        house = build()
        house.worker()
        house.web()
        house.submit({"type": "echo", "callback_url": inbox.url("done")}, traceparent=SENT)
        (post,) = inbox.wait_for("done")
    assert post.headers["traceparent"] == SENT
