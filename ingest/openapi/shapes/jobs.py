"""Jobs, and what belongs to one."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from infra.ledger.records import CallbackStatus, JobStatus
from ingest.openapi.shapes.words import (
    NONE,
    CallbackId,
    Cursor,
    EventId,
    JobId,
    Metadata,
    Moment,
    Percent,
    Queue,
    Seconds,
    Source,
    Tag,
    Text,
    Type,
    Whole,
)

Url = Annotated[
    str,
    Meta(description="Where it goes; its query may be withheld.", examples=["https://example.com/callbacks"]),
]


class Fault(Struct, kw_only=True):
    """Why an attempt or a job failed."""

    type: Annotated[str, Meta(description="The name of the exception's class.", examples=["Reject"])]
    message: Annotated[str, Meta(examples=["no such project"])]


class Progress(Struct, kw_only=True):
    """How far a handler says that it is."""

    current: Annotated[float, Meta(examples=[250])]
    total: Annotated[float, Meta(examples=[250])] | None
    percent: Annotated[float, Meta(description="Where it told a total.", examples=[100.0])] | None
    message: Annotated[str, Meta(examples=["song 250 of 250"])]
    stage: Annotated[str, Meta(examples=["songs"])] | None
    item: Annotated[str, Meta(examples=["Hey Jude"])] | None


class Attempt(Struct, kw_only=True):
    """One execution that has ended."""

    round: Whole
    number: Annotated[Whole, Meta(description="In its round, from 1.")]
    outcome: Annotated[
        Literal["finished", "failed", "retried", "canceled", "crashed"], Meta(examples=["finished"])
    ]
    worker: Annotated[str, Meta(examples=["box.7.k2x9"])] | None
    started_at: Moment
    ended_at: Moment
    error: Annotated[Fault | None, NONE]


class LogLine(Struct, kw_only=True):
    """A line that a handler logged."""

    at: Moment
    attempt: Annotated[Whole, Meta(description="Whose handler wrote it.", examples=[1])] | UnsetType = UNSET
    level: Annotated[str, Meta(examples=["info"])]
    message: Annotated[str, Meta(examples=["no lyrics for it"])]


class Post(Struct, kw_only=True):
    """One attempt of a callback. What was answered is shown to keys, not to links."""

    number: Whole
    at: Moment
    status: Annotated[int, Meta(description="The HTTP status; null: no answer.", examples=[200])] | None
    duration_ms: Whole | UnsetType = UNSET
    reply: (
        Annotated[str, Meta(description="The beginning of the answer.", examples=["ok"])] | UnsetType | None
    ) = UNSET
    error: Annotated[str | None, NONE] | UnsetType = UNSET


class Callback(Struct, kw_only=True):
    """The callback of a round."""

    id: CallbackId
    url: Url
    status: CallbackStatus
    attempts: list[Post]
    reason: (
        Annotated[str | None, Meta(description="Why it is not delivered; shown to keys.", examples=[None])]
        | UnsetType
    ) = UNSET
    next_attempt_at: Annotated[Moment | None, NONE] | UnsetType = UNSET


class _Job(Struct, kw_only=True):
    id: JobId
    event_id: EventId
    source: Source
    type: Type
    handler: (
        Annotated[str, Meta(description="Where its function is.", examples=["handlers.reports:report"])]
        | None
    )
    status: JobStatus
    queue: Queue
    progress: Progress | None
    round: Annotated[Whole, Meta(description="1, until somebody has the failed job run again.")]
    ordering_key: Annotated[Text | None, NONE]
    max_attempts: Whole | None
    next_attempt_at: Annotated[Moment | None, NONE]
    error: Annotated[Fault | None, NONE]
    metadata: Metadata
    tag: Tag | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    parent: Annotated[JobId | None, Meta(description="The job whose handler made this one.", examples=[None])]


class Job(_Job, kw_only=True):
    """A job as it stands."""

    position: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Of a queued job: how many go before it, and itself.", examples=[None]),
    ]
    estimated_seconds: Annotated[
        Seconds | None, Meta(description="Until it ends, by what its handler took lately.", examples=[None])
    ]
    attempts: list[Attempt]
    logs: Annotated[list[LogLine], Meta(description="The last 200.")]
    result: Annotated[
        Any, Meta(description="What the handler returned; null before it has.", examples=[{"pages": 12}])
    ]
    callback: Callback | None


class ListedCallback(Struct, kw_only=True):
    """A job's callback on a list."""

    id: CallbackId
    url: Url
    status: CallbackStatus


class ListedJob(_Job, kw_only=True):
    """A job on a list: what is small."""

    attempt: Annotated[Whole, Meta(description="The number of its last attempt.")]
    callback: ListedCallback | None


class Jobs(Struct, kw_only=True):
    """A page of jobs."""

    items: list[ListedJob]
    next_cursor: Cursor


class BatchJob(Struct, kw_only=True):
    """A job of a batch."""

    id: JobId
    type: Type
    status: JobStatus
    attempt: Whole
    progress: Progress | None
    error: Annotated[Fault | None, NONE]
    ended_at: Moment | None
    status_url: Annotated[
        str,
        Meta(
            description="Where it can be read.",
            examples=["/jobs/job_01kcm3w5x8r2v6q0b4d7e9f1g3?token=eyJ…"],
        ),
    ]


class Batch(Struct, kw_only=True):
    """Jobs that were submitted together."""

    id: Annotated[str, Meta(examples=["bat_01kcm3w5x8r2v6q0b4d7e9f1g3"])]
    status: Annotated[
        Literal["queued", "started", "finished"],
        Meta(description="`finished` when all of its jobs have ended, however they have."),
    ]
    count: Whole
    counts: Annotated[
        dict[str, Whole], Meta(description="By status.", examples=[{"finished": 2, "started": 1}])
    ]
    percent: Percent
    estimated_seconds: (
        Annotated[int, Meta(ge=0, description="Left, if it goes on like this.", examples=[20])] | None
    )
    created_at: Moment
    ended_at: Moment | None
    jobs: list[BatchJob]


class Change(Struct, kw_only=True):
    """The data of one event of a stream: what a job is told apart by, and one thing that changed."""

    at: Moment
    job_id: JobId | UnsetType = UNSET
    event_id: EventId | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    queue: Queue | UnsetType = UNSET
    tag: Tag | UnsetType | None = UNSET
    status: JobStatus | UnsetType = UNSET
    snapshot: Literal["start", "gap"] | UnsetType = UNSET
    job: Job | UnsetType = UNSET
    progress: Progress | UnsetType = UNSET
    log: LogLine | UnsetType = UNSET
    callback: "CallbackChange | UnsetType" = UNSET


class CallbackChange(Struct, kw_only=True):
    """What became of a callback."""

    id: CallbackId
    status: CallbackStatus
