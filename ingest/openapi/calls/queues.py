"""How things stand, for operators."""

from dataclasses import replace

from ingest.openapi.call import JSON, Answer, Call
from ingest.openapi.calls.parameters import SOURCE
from ingest.openapi.shapes.standing import Diagnoses, Queues
from ingest.problems import NOT_READABLE, SOURCE_UNKNOWN

CALLS = (
    Call(
        method="GET",
        path="/queues",
        name="readQueues",
        tag="Operating",
        summary="Queues and workers",
        scope="read",
        answers={200: Answer(words="How they stand.", media={JSON: Queues})},
        problems=(NOT_READABLE,),
        curl='"$HOOKLINE/queues"',
    ),
    Call(
        method="GET",
        path="/sources/{name}/diagnose",
        name="diagnoseSource",
        tag="Operating",
        summary="Why requests of a source were refused",
        scope="operate",
        parameters=(replace(SOURCE, name="name"),),
        answers={200: Answer(words="The last of them, the newest first.", media={JSON: Diagnoses})},
        problems=(SOURCE_UNKNOWN, NOT_READABLE),
        curl='"$HOOKLINE/sources/acme/diagnose"',
    ),
    Call(
        method="GET",
        path="/metrics",
        name="readMetrics",
        tag="Operating",
        summary="Numbers for Prometheus",
        words="Of all processes together.",
        scope="read",
        answers={
            200: Answer(
                words="In the format that `Accept` asks for.",
                media={"text/plain": str, "application/openmetrics-text": str},
            )
        },
        curl='"$HOOKLINE/metrics"',
    ),
)
