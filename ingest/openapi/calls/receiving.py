"""What senders call."""

from typing import Any

from ingest.openapi.call import JSON, Answer, Body, Call
from ingest.openapi.calls.parameters import PREFER, SOURCE
from ingest.openapi.shapes.jobs import Job
from ingest.openapi.shapes.steering import EventReceipts, Receipt
from ingest.problems import (
    BODY_MALFORMED,
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    CONFIRMATION_FAILED,
    ENCODING_UNSUPPORTED,
    METHOD_NOT_ALLOWED,
    NOT_READABLE,
    NOT_RECORDED,
    RATE_SPENT,
    SIGNATURE_INVALID,
    SOURCE_UNKNOWN,
)

_HANDSHAKE = "A provider's question, answered as the provider wants it."
_ANSWERED = {JSON: dict[str, Any], "text/plain; charset=utf-8": str}

CALLS = (
    Call(
        method="POST",
        path="/hooks/{source}",
        name="receiveEvent",
        tag="Receiving",
        summary="Take an event",
        words="The body is taken as the provider sends it, and is signed as the source says. 2xx means that it is stored. "
        "A body of several events has one job for each.",
        parameters=(SOURCE, PREFER),
        body=Body(media={JSON: Any, "*/*": None}, required=False),
        answers={
            202: Answer(
                words="It is stored, and its job is queued.",
                media={JSON: (Receipt, EventReceipts, dict[str, Any]), "text/plain; charset=utf-8": str},
                headers={"Preference-Applied": "The wait that was granted."},
            ),
            200: Answer(
                words=f"It was here before, and nothing runs twice; or, where `Prefer` said so, the job, which has ended. {_HANDSHAKE}",
                media={JSON: (Receipt, EventReceipts, Job, dict[str, Any]), "text/plain; charset=utf-8": str},
                headers={"Preference-Applied": "The wait that was granted."},
            ),
            204: Answer(words=_HANDSHAKE),
        },
        problems=(
            BODY_MALFORMED,
            SIGNATURE_INVALID,
            SOURCE_UNKNOWN,
            BODY_TIMEOUT,
            BODY_TOO_LARGE,
            ENCODING_UNSUPPORTED,
            RATE_SPENT,
            NOT_RECORDED,
            NOT_READABLE,
            CONFIRMATION_FAILED,
        ),
        curl='-H "X-Acme-Signature: $(printf %s \'{"type":"echo"}\' | openssl dgst -sha256 -hmac "$ACME_SECRET" -r | cut -d" " -f1)" '
        '-H "Content-Type: application/json" -d \'{"type":"echo"}\' "$HOOKLINE/hooks/acme"',
    ),
    Call(
        method="GET",
        path="/hooks/{source}",
        name="answerHandshake",
        tag="Receiving",
        summary="Answer a provider's handshake",
        words="Only for sources whose provider asks by GET.",
        parameters=(SOURCE,),
        answers={200: Answer(words=_HANDSHAKE, media=_ANSWERED)},
        problems=(
            SIGNATURE_INVALID,
            SOURCE_UNKNOWN,
            METHOD_NOT_ALLOWED,
            BODY_TIMEOUT,
            BODY_TOO_LARGE,
            ENCODING_UNSUPPORTED,
            CONFIRMATION_FAILED,
        ),
        curl='"$HOOKLINE/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=$META_VERIFY_TOKEN"',
    ),
)
