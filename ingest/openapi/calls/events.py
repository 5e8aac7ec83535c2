"""Events: what came in, and what became of it."""

from ingest.openapi.call import JSON, Answer, Body, Call, Parameter
from ingest.openapi.calls.jobs import APPLIED, RECEIPT_LINKS
from ingest.openapi.calls.parameters import EVENT, PREFER, listing
from ingest.openapi.shapes.events import Event, Events, Export
from ingest.openapi.shapes.jobs import Job
from ingest.openapi.shapes.steering import Receipt, Replay
from ingest.problems import (
    BODY_MALFORMED,
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    ENCODING_UNSUPPORTED,
    INVALID,
    NOT_FOUND,
    NOT_READABLE,
    NOT_RECORDED,
    RUN_TOO_OFTEN,
)

CALLS = (
    Call(
        method="GET",
        path="/events",
        of_many=True,
        name="listEvents",
        tag="Events",
        summary="List events, the newest first",
        words="`status` is that of an event's newest job.",
        scope="read",
        parameters=(
            *listing(),
            Parameter(
                name="provider_event_id",
                kind=str,
                words="With `source` alone: the one that has this id with its sender.",
            ),
        ),
        answers={200: Answer(words="A page of them.", media={JSON: Events})},
        problems=(INVALID, NOT_READABLE),
        curl='"$HOOKLINE/events?source=api&limit=10"',
    ),
    Call(
        method="GET",
        path="/events/{id}",
        name="readEvent",
        tag="Events",
        summary="One event, and its timeline",
        scope="read",
        parameters=(EVENT,),
        answers={200: Answer(words="The event.", media={JSON: Event})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='"$HOOKLINE/events/$EVENT"',
    ),
    Call(
        method="GET",
        path="/events/{id}/body",
        name="readEventBody",
        tag="Events",
        summary="Its body, as it was sent",
        words="To be saved: no browser shows or runs it.",
        scope="read",
        parameters=(EVENT,),
        answers={
            200: Answer(
                words="The raw bytes.",
                media={"application/octet-stream": None},
                headers={"Content-Disposition": "A name to save it under."},
            )
        },
        problems=(NOT_FOUND, NOT_READABLE),
        curl='"$HOOKLINE/events/$EVENT/body"',
    ),
    Call(
        method="GET",
        path="/events/{id}/export",
        name="exportEvent",
        tag="Events",
        summary="Everything about it, as one signed file",
        words="For a support ticket: without secrets.",
        scope="read",
        parameters=(
            EVENT,
            Parameter(name="body", kind=bool, words="`false` leaves its body out."),
        ),
        answers={
            200: Answer(
                words="The file.",
                media={JSON: Export},
                headers={"Content-Disposition": "A name to save it under."},
            )
        },
        problems=(NOT_FOUND, INVALID, NOT_READABLE),
        curl='"$HOOKLINE/events/$EVENT/export?body=false"',
    ),
    Call(
        method="POST",
        path="/events/{id}/replay",
        name="replayEvent",
        tag="Events",
        summary="Run an event again",
        words="As a new job. With another payload it is a new event, which names the old one.",
        scope="operate",
        parameters=(EVENT, PREFER),
        body=Body(
            media={JSON: Replay},
            examples={
                "as it was, in another queue": {"queue": "low"},
                "edited": {"payload": {"month": "2026-10"}},
            },
            required=False,
        ),
        answers={
            202: Answer(
                words="The new job is queued.", media={JSON: Receipt}, headers=APPLIED, links=RECEIPT_LINKS
            ),
            200: Answer(
                words="Where `Prefer` said so: the job, which has ended.", media={JSON: Job}, headers=APPLIED
            ),
        },
        problems=(
            BODY_MALFORMED,
            NOT_FOUND,
            BODY_TIMEOUT,
            RUN_TOO_OFTEN,
            BODY_TOO_LARGE,
            ENCODING_UNSUPPORTED,
            INVALID,
            NOT_RECORDED,
            NOT_READABLE,
        ),
        curl='-d \'{"queue": "low"}\' "$HOOKLINE/events/$EVENT/replay"',
    ),
)
