"""Callbacks, and the receivers that they go to."""

from typing import Annotated

from msgspec import Meta

from infra.ledger.records import CallbackStatus, ReceiverStatus
from ingest.openapi.call import JSON, Answer, Body, Call, Parameter
from ingest.openapi.calls.parameters import CALLBACK, JSON_BODY, RECEIVER, listing
from ingest.openapi.shapes.events import Callbacks, CalledBack, RedeliverRequest, Redelivery
from ingest.openapi.shapes.standing import PublicKeys, Receiver, Receivers, ResumedReceiver
from ingest.problems import (
    INVALID,
    JOB_OPEN,
    NOT_FOUND,
    NOT_READABLE,
)

CALLS = (
    Call(
        method="GET",
        path="/callbacks",
        of_many=True,
        name="listCallbacks",
        tag="Callbacks",
        summary="List callbacks, the newest first",
        words="With every attempt, and what the receiver answered.",
        scope="read",
        parameters=listing(CallbackStatus),
        answers={200: Answer(words="A page of them.", media={JSON: Callbacks})},
        problems=(INVALID, NOT_READABLE),
        curl='"$HOOKLINE/callbacks?status=dead"',
    ),
    Call(
        method="POST",
        path="/callbacks/redeliver",
        of_many=True,
        name="redeliverCallbacks",
        tag="Callbacks",
        summary="Make many callbacks again, or count them",
        words="The oldest first, so many a second, each with the same `webhook-id` and with its schedule anew. At most 10,000 at a time.",
        scope="operate",
        body=Body(
            media={JSON: RedeliverRequest},
            examples={
                "how many would it be?": {"source": "acme", "since": "2h", "dry_run": True},
                "the dead letters of a source": {"source": "acme", "rate": 10},
            },
            required=False,
        ),
        answers={200: Answer(words="How many those are.", media={JSON: Redelivery})},
        problems=(
            *JSON_BODY,
            INVALID,
            NOT_READABLE,
        ),
        curl='-d \'{"source": "acme", "since": "2h", "dry_run": true}\' "$HOOKLINE/callbacks/redeliver"',
    ),
    Call(
        method="GET",
        path="/callbacks/{id}",
        name="readCallback",
        tag="Callbacks",
        summary="One callback",
        words="With every attempt, and what the receiver answered.",
        scope="read",
        parameters=(CALLBACK,),
        answers={200: Answer(words="The callback.", media={JSON: CalledBack})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='"$HOOKLINE/callbacks/$CALLBACK"',
    ),
    Call(
        method="POST",
        path="/callbacks/{id}/redeliver",
        name="redeliverCallback",
        tag="Callbacks",
        summary="Make a callback again",
        words="At once, with the same `webhook-id`, and with its schedule anew.",
        scope="operate",
        parameters=(CALLBACK,),
        answers={200: Answer(words="The callback, pending.", media={JSON: CalledBack})},
        problems=(NOT_FOUND, JOB_OPEN, NOT_READABLE),
        curl='-X POST "$HOOKLINE/callbacks/$CALLBACK/redeliver"',
    ),
    Call(
        method="GET",
        path="/receivers",
        of_many=True,
        name="listReceivers",
        tag="Callbacks",
        summary="Where callbacks went last",
        scope="read",
        parameters=(
            Parameter(name="status", kind=ReceiverStatus, words="Those of this status."),
            Parameter(
                name="limit",
                kind=Annotated[int, Meta(ge=1, le=1000)],
                words="At most so many; 50, if it is left out.",
            ),
        ),
        answers={200: Answer(words="Those.", media={JSON: Receivers})},
        problems=(INVALID, NOT_READABLE),
        curl='"$HOOKLINE/receivers?status=active"',
    ),
    Call(
        method="POST",
        path="/receivers/{id}/pause",
        of_many=True,
        name="pauseReceiver",
        tag="Callbacks",
        summary="Send nothing there",
        words="Its callbacks are dead letters from then on.",
        scope="operate",
        parameters=(RECEIVER,),
        answers={200: Answer(words="The receiver, paused.", media={JSON: Receiver})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/receivers/$RECEIVER/pause"',
    ),
    Call(
        method="POST",
        path="/receivers/{id}/resume",
        of_many=True,
        name="resumeReceiver",
        tag="Callbacks",
        summary="Call it again",
        words="What was withheld is made again, 20 a second.",
        scope="operate",
        parameters=(RECEIVER,),
        answers={200: Answer(words="The receiver, active.", media={JSON: ResumedReceiver})},
        problems=(NOT_FOUND, NOT_READABLE),
        curl='-X POST "$HOOKLINE/receivers/$RECEIVER/resume"',
    ),
    Call(
        method="GET",
        path="/.well-known/jwks.json",
        name="readPublicKeys",
        tag="Callbacks",
        summary="Keys to verify callbacks with",
        answers={
            200: Answer(
                words="They may be kept for a while.",
                media={JSON: PublicKeys},
                headers={"Cache-Control": "For how long."},
            )
        },
        curl='"$HOOKLINE/.well-known/jwks.json"',
    ),
)
