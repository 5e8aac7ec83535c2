"""How things stand, for operators."""

from dataclasses import replace

from ingest.openapi.call import JSON, Answer, Call
from ingest.openapi.calls.parameters import HANDLER, QUEUE, SOURCE, WORKER
from ingest.openapi.shapes.standing import Diagnoses, Draining, Paused, Queues
from ingest.problems import NOT_FOUND, NOT_READABLE, SOURCE_UNKNOWN

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
        method="POST",
        path="/queues/{name}/pause",
        name="pauseQueue",
        tag="Operating",
        summary="Begin none of a queue's jobs",
        words="Until it is resumed, whatever restarts. Jobs that run go on; what comes waits.",
        scope="operate",
        parameters=(QUEUE,),
        answers={200: Answer(words="It is paused.", media={JSON: Paused})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/queues/low/pause"',
    ),
    Call(
        method="POST",
        path="/queues/{name}/resume",
        name="resumeQueue",
        tag="Operating",
        summary="Run a queue's jobs again",
        scope="operate",
        parameters=(QUEUE,),
        answers={200: Answer(words="It is not paused.", media={JSON: Paused})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/queues/low/resume"',
    ),
    Call(
        method="POST",
        path="/handlers/{name}/pause",
        name="pauseHandler",
        tag="Operating",
        summary="Begin none of a handler's jobs",
        words="Of whatever queue. Other handlers' jobs overtake them.",
        scope="operate",
        parameters=(HANDLER,),
        answers={200: Answer(words="It is paused.", media={JSON: Paused})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/handlers/$HANDLER/pause"',
    ),
    Call(
        method="POST",
        path="/handlers/{name}/resume",
        name="resumeHandler",
        tag="Operating",
        summary="Run a handler's jobs again",
        words="What waited begins slowly, and then faster and faster.",
        scope="operate",
        parameters=(HANDLER,),
        answers={200: Answer(words="It is not paused.", media={JSON: Paused})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/handlers/$HANDLER/resume"',
    ),
    Call(
        method="POST",
        path="/workers/{name}/drain",
        name="drainWorker",
        tag="Operating",
        summary="Have a worker end",
        words="As SIGTERM does: it takes no further job, and those that it runs may end.",
        scope="operate",
        parameters=(WORKER,),
        answers={200: Answer(words="It was asked.", media={JSON: Draining})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/workers/$WORKER/drain"',
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
