"""What anybody may ask of the process."""

from ingest.openapi.call import HTML, JSON, Answer, Call
from ingest.openapi.shapes.standing import Health, Ready

_KEPT = {"Cache-Control": "For how long it may be kept.", "ETag": "Of this version."}

CALLS = (
    Call(
        method="GET",
        path="/healthz",
        name="readHealth",
        tag="Process",
        summary="Whether the process answers",
        words="Nothing else is asked.",
        answers={200: Answer(words="It does.", media={JSON: Health})},
        curl='"$HOOKLINE/healthz"',
    ),
    Call(
        method="GET",
        path="/readyz",
        name="readReadiness",
        tag="Process",
        summary="Whether what is acknowledged is kept, and will be run",
        answers={
            200: Answer(words="It is.", media={JSON: Ready}),
            503: Answer(words="It is not, for these reasons.", media={JSON: Ready}),
        },
        curl='"$HOOKLINE/readyz"',
    ),
    Call(
        method="GET",
        path="/openapi.json",
        name="readDescription",
        tag="Process",
        summary="This document",
        answers={
            200: Answer(words="OpenAPI 3.1.", media={JSON: dict}, headers=_KEPT),
            304: Answer(words="It is the version that `If-None-Match` names.", headers=_KEPT),
        },
        curl='"$HOOKLINE/openapi.json"',
    ),
    Call(
        method="GET",
        path="/docs",
        name="readDocs",
        tag="Process",
        summary="This document, as a page",
        answers={200: Answer(words="The page.", media={HTML: str})},
        curl='"$HOOKLINE/docs"',
    ),
)
