"""Jobs: submitted, looked at, watched, steered."""

from typing import Annotated

from msgspec import Meta

from ingest.openapi.call import HTML, JSON, Answer, Body, Call, Parameter
from ingest.openapi.calls.parameters import (
    BATCH,
    IDEMPOTENCY_KEY,
    JOB,
    JSON_BODY,
    LAST_ID,
    LAST_ID_HEADER,
    PREFER,
    WAIT,
    listing,
)
from ingest.openapi.shapes.jobs import Batch, Job, Jobs
from ingest.openapi.shapes.steering import BatchReceipt, Cancellation, CancelRequest, Receipt, Submission
from ingest.openapi.shapes.words import Queue, Source, Tag, Type
from ingest.problems import (
    BODY_MALFORMED,
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    CALLBACK_URL_REFUSED,
    ENCODING_UNSUPPORTED,
    IDEMPOTENCY_CONFLICT,
    INVALID,
    JOB_ENDED,
    JOB_NOT_FAILED,
    NOT_FOUND,
    NOT_READABLE,
    NOT_RECORDED,
    QUARANTINED,
    RUN_TOO_OFTEN,
    WATCHED_BY_MANY,
)

RECEIPT_LINKS = {
    "readJob": "$response.body#/job_id",
    "cancelJob": "$response.body#/job_id",
    "readEvent": "$response.body#/event_id",
}
APPLIED = {"Preference-Applied": "The wait that was granted."}

_BATCH = Annotated[list[Submission], Meta(min_length=1, max_length=100)]
_LINK = "A key that may read opens it, or the link of its receipt."
_STREAM = (
    "The data of each event is a `Change`, in JSON: `status`, `progress`, `log`, `callback`; `gap`, where changes were missed. "
    "A comment comes every 15 s where nothing happens."
)
_FILTERS = (
    Parameter(name="source", kind=Source, words="Those of this source."),
    Parameter(name="type", kind=Type, words="Those of this type."),
    Parameter(name="queue", kind=Queue, words="Those of this queue."),
    Parameter(name="tag", kind=Tag, words="Those with this tag."),
)
_SOCKET = (
    'Send it as the handshake of a WebSocket. Each event is one JSON text, `{"id", "event", "data"}`. A refusal closes it: '
    "1008, or 1013 for the moment, with the problem's code. A browser brings its key among the protocols: `hookline`, and "
    "`hookline.bearer.` with the key in base64url."
)
_UPGRADED = Answer(words="It is open.")

CALLS = (
    Call(
        method="POST",
        path="/jobs",
        name="submitJobs",
        tag="Jobs",
        summary="Submit a job, or a batch",
        words="A list of up to a hundred is a batch: all are taken, or none.",
        scope="submit",
        parameters=(PREFER, IDEMPOTENCY_KEY),
        body=Body(
            media={JSON: (Submission, _BATCH)},
            examples={
                "one": {"type": "echo", "payload": {"month": "2026-11"}, "tag": "org-7"},
                "later, told by a callback": {
                    "type": "echo",
                    "run_in": "15m",
                    "metadata": {"order": "A-1003"},
                },
                "a batch": [{"type": "echo", "payload": 1}, {"type": "echo", "payload": 2}],
            },
        ),
        answers={
            202: Answer(
                words="It is stored and queued.",
                media={JSON: (Receipt, list[BatchReceipt])},
                headers={**APPLIED, "Location": "Of a batch: where it can be looked at."},
                links=RECEIPT_LINKS,
            ),
            200: Answer(
                words="Its key was used before for the same, and nothing runs twice; or, where `Prefer` said so, the job, which has ended.",
                media={JSON: (Receipt, Job)},
                headers=APPLIED,
            ),
        },
        problems=(
            BODY_MALFORMED,
            BODY_TIMEOUT,
            IDEMPOTENCY_CONFLICT,
            BODY_TOO_LARGE,
            ENCODING_UNSUPPORTED,
            INVALID,
            CALLBACK_URL_REFUSED,
            NOT_RECORDED,
            NOT_READABLE,
        ),
        curl='-d \'{"type": "echo", "payload": {"month": "2026-11"}}\' "$HOOKLINE/jobs"',
    ),
    Call(
        method="GET",
        path="/jobs",
        of_many=True,
        name="listJobs",
        tag="Jobs",
        summary="List jobs, the newest first",
        words="A page may be short: it is the last one where `next_cursor` is null.",
        scope="read",
        parameters=listing(),
        answers={200: Answer(words="A page of them.", media={JSON: Jobs})},
        problems=(INVALID, NOT_READABLE),
        curl='"$HOOKLINE/jobs?status=failed&since=2h"',
    ),
    Call(
        method="GET",
        path="/jobs/{id}",
        name="readJob",
        tag="Jobs",
        summary="One job as it stands",
        words=f"{_LINK} A browser gets a page.",
        scope="read",
        link=True,
        page=True,
        parameters=(JOB, WAIT),
        answers={200: Answer(words="The job.", media={JSON: Job, HTML: str})},
        problems=(NOT_FOUND, QUARANTINED, INVALID, NOT_READABLE),
        curl='"$HOOKLINE/jobs/$JOB?wait=10"',
    ),
    Call(
        method="GET",
        path="/jobs/{id}/stream",
        name="watchJob",
        tag="Jobs",
        summary="One job's changes, as they come",
        words=f"Server-Sent Events. {_STREAM} It ends when the job and its callback are over. {_LINK}",
        scope="read",
        link=True,
        parameters=(JOB, LAST_ID_HEADER, LAST_ID),
        answers={
            200: Answer(words="What changes.", media={"text/event-stream; charset=utf-8": str}),
            204: Answer(words="Nothing more is to come."),
        },
        problems=(NOT_FOUND, INVALID, WATCHED_BY_MANY, NOT_READABLE),
        curl='-N "$HOOKLINE/jobs/$JOB/stream"',
    ),
    Call(
        method="GET",
        path="/jobs/{id}/ws",
        name="watchJobBySocket",
        tag="Jobs",
        summary="The same over a WebSocket",
        words=f"{_SOCKET} {_LINK}",
        scope="read",
        link=True,
        parameters=(JOB, LAST_ID),
        answers={101: _UPGRADED},
        problems=(NOT_FOUND,),
        curl='-sSi --http1.1 --max-time 2 -H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" '
        '-H "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==" "$HOOKLINE/jobs/$JOB/ws"',
    ),
    Call(
        method="POST",
        path="/jobs/cancel",
        of_many=True,
        name="cancelJobs",
        tag="Jobs",
        summary="Cancel many jobs, or count them",
        words="Those that fit and have not ended; those that run last. At most 10,000 at a time.",
        scope="operate",
        body=Body(
            media={JSON: CancelRequest},
            examples={
                "how many would it be?": {"tag": "org-7", "dry_run": True},
                "what a source has waiting": {"source": "acme", "status": "queued"},
            },
        ),
        answers={200: Answer(words="How many those are.", media={JSON: Cancellation})},
        problems=(
            *JSON_BODY,
            INVALID,
            NOT_READABLE,
        ),
        curl='-d \'{"tag": "org-7", "dry_run": true}\' "$HOOKLINE/jobs/cancel"',
    ),
    Call(
        method="POST",
        path="/jobs/{id}/cancel",
        name="cancelJob",
        tag="Jobs",
        summary="Cancel a job",
        words="Whatever its state; a handler that runs is told. A key that may operate may, or a link that may cancel.",
        scope="operate",
        link=True,
        parameters=(JOB,),
        answers={
            200: Answer(words="The job, canceled.", media={JSON: Job}),
            303: Answer(
                words="To a browser with a link: to the job's page.", headers={"Location": "The page."}
            ),
        },
        problems=(NOT_FOUND, JOB_ENDED, INVALID, NOT_READABLE),
        curl='-X POST "$HOOKLINE/jobs/$OPEN_JOB/cancel"',
    ),
    Call(
        method="POST",
        path="/jobs/{id}/retry",
        name="retryJob",
        tag="Jobs",
        summary="Run a failed job again",
        words="At once, in a new round, whose end is told in a callback of its own.",
        scope="operate",
        parameters=(JOB,),
        answers={200: Answer(words="The job, queued.", media={JSON: Job})},
        problems=(NOT_FOUND, JOB_NOT_FAILED, RUN_TOO_OFTEN, NOT_READABLE),
        curl='-X POST "$HOOKLINE/jobs/$FAILED_JOB/retry"',
    ),
    Call(
        method="GET",
        path="/batches/{id}",
        name="readBatch",
        tag="Jobs",
        summary="Jobs that were submitted together",
        words=f"{_LINK} A browser gets a page.",
        scope="read",
        link=True,
        page=True,
        parameters=(BATCH,),
        answers={200: Answer(words="The whole, and the parts.", media={JSON: Batch, HTML: str})},
        problems=(NOT_FOUND, INVALID, NOT_READABLE),
        curl='"$HOOKLINE/batches/$BATCH"',
    ),
    Call(
        method="GET",
        path="/stream",
        of_many=True,
        name="watchAll",
        tag="Jobs",
        summary="All jobs' changes, as they come",
        words=f"Server-Sent Events, without an end. {_STREAM}",
        scope="read",
        parameters=(*_FILTERS, LAST_ID_HEADER, LAST_ID),
        answers={200: Answer(words="What changes.", media={"text/event-stream; charset=utf-8": str})},
        problems=(INVALID, WATCHED_BY_MANY, NOT_READABLE),
        curl='-N --max-time 2 "$HOOKLINE/stream?tag=org-7"',
    ),
    Call(
        method="GET",
        path="/ws",
        of_many=True,
        name="watchAllBySocket",
        tag="Jobs",
        summary="The same over a WebSocket",
        words=_SOCKET,
        scope="read",
        parameters=(*_FILTERS, LAST_ID),
        answers={101: _UPGRADED},
        problems=(NOT_FOUND,),
        curl='-sSi --http1.1 --max-time 2 -H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" '
        '-H "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==" "$HOOKLINE/ws"',
    ),
)
