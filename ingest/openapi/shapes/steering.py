"""What is asked for, and what is told of it: submissions and receipts, replays, files."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from infra.ledger.bulk import ReplayStatus
from infra.ledger.records import CallbackFormat, JobStatus
from ingest.openapi.shapes.narrowing import Narrowing
from ingest.openapi.shapes.words import (
    NONE,
    BatchId,
    EventId,
    FileId,
    JobId,
    Metadata,
    Moment,
    Payload,
    Percent,
    Queue,
    ReplayId,
    Tag,
    Type,
    Whole,
)

_Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Submission(Struct, kw_only=True, forbid_unknown_fields=True):
    """A job that is asked for. At most one of `run_in` and `run_at`."""

    type: Type
    payload: Payload = None
    queue: Queue | None = None
    callback_url: (
        Annotated[
            str,
            Meta(description="Where its end is told, signed.", examples=["https://example.com/callbacks"]),
        ]
        | None
    ) = None
    callback_format: CallbackFormat = CallbackFormat.HOOKLINE
    callback_events: Annotated[
        list[Literal["progress"]], Meta(description="What is told besides its end.")
    ] = []
    run_in: (
        Annotated[
            str | float,
            Meta(description="Seconds, or a duration such as `15m`; at most a year.", examples=["15m"]),
        ]
        | None
    ) = None
    run_at: Annotated[Moment, Meta(description="With an offset from UTC; at most a year ahead.")] | None = (
        None
    )
    idempotency_key: (
        Annotated[
            _Name, Meta(description="Sent again with it, nothing runs twice.", examples=["report-2026-11"])
        ]
        | None
    ) = None
    ordering_key: (
        Annotated[
            _Name,
            Meta(description="Jobs with the same one run one after the other.", examples=["customer-42"]),
        ]
        | None
    ) = None
    link: Annotated[Literal["read", "cancel"], Meta(description="What the status URL may do.")] = "read"
    tag: Tag | None = None
    metadata: Metadata = {}


class Receipt(Struct, kw_only=True):
    """A job that was accepted, or the first one's ids."""

    event_id: EventId
    job_id: JobId
    status: Annotated[JobStatus, Meta(examples=["queued"])]
    duplicate: Annotated[
        bool, Meta(description="Whether it was here before; nothing runs twice.", examples=[False])
    ]
    status_url: (
        Annotated[
            str,
            Meta(
                description="Opens this one job, for whoever has it, until it expires.",
                examples=["https://hooks.example.com/jobs/job_01kcm3w5x8r2v6q0b4d7e9f1g3?token=eyJ…"],
            ),
        ]
        | UnsetType
    ) = UNSET


class BatchReceipt(Receipt, kw_only=True):
    """The same of one job of a batch."""

    batch_id: BatchId
    code: (
        Annotated[
            Literal["idempotency_conflict"],
            Meta(description="Its key was used for another payload or type: this is the first job."),
        ]
        | UnsetType
    ) = UNSET


class EventReceipt(Struct, kw_only=True):
    """The ids of one event of a body."""

    event_id: EventId
    job_id: JobId
    duplicate: bool


class EventReceipts(Struct, kw_only=True):
    """The events of one body, in their order."""

    events: list[EventReceipt]


class Replay(Struct, kw_only=True, forbid_unknown_fields=True):
    """What of an event is to be otherwise. With a payload it is a new event, which names the old one."""

    payload: Payload | UnsetType = UNSET
    queue: Queue | None = None


class ReplayFilter(Narrowing, kw_only=True, forbid_unknown_fields=True):
    """Which jobs. `ids` go with `status` alone."""

    status: Literal["finished", "failed", "canceled", "ignored"] | UnsetType = UNSET
    ids: Annotated[list[JobId], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


class BulkRequest(ReplayFilter, kw_only=True, forbid_unknown_fields=True):
    """Which jobs to run again, and how. Without a status and without ids, the dead letters. What `filter` has may stand beside it too."""

    filter: ReplayFilter | UnsetType = UNSET
    dry_run: Annotated[bool, Meta(description="Only count them.")] = False
    rate: Annotated[int, Meta(ge=1, le=1000, description="Jobs a second.")] = 50
    max_error_share: Annotated[
        float,
        Meta(ge=0, le=1, description="It stops when a larger share of them failed, once 20 have ended."),
    ] = 0.2


class DryRun(Struct, kw_only=True):
    """What would be run again."""

    dry_run: Literal[True]
    count: Whole
    complete: Annotated[bool, Meta(description="False: there may be more.")]
    retries: Whole
    replays: Whole
    already_succeeded: Whole
    warnings: list[str]


class BulkReplay(Struct, kw_only=True):
    """A bulk replay as it stands."""

    id: ReplayId
    status: ReplayStatus
    reason: Annotated[str | None, Meta(description="Why it stopped.", examples=[None])]
    by: Annotated[str, Meta(description="The name of the API key.", examples=["ops"])] | None
    filter: Annotated[
        dict[str, Any], Meta(description="What was asked for.", examples=[{"status": "failed"}])
    ]
    queue: Queue
    rate: Annotated[int, Meta(examples=[50])]
    max_error_share: Annotated[float, Meta(examples=[0.2])]
    count: Whole
    complete: bool
    begun: Whole
    skipped: Annotated[Whole, Meta(description="Those that had moved on.")]
    succeeded: Whole
    failed: Whole
    canceled: Whole
    ignored: Whole
    percent: Percent
    created_at: Moment | None
    ended_at: Annotated[Moment | None, NONE]


class BulkReplays(Struct, kw_only=True):
    """The newest bulk replays."""

    items: list[BulkReplay]


class CancelRequest(Narrowing, kw_only=True, forbid_unknown_fields=True):
    """Which jobs to cancel, of those that have not ended. At least one of its filters has to be there."""

    status: Literal["scheduled", "queued", "started"] | UnsetType = UNSET
    dry_run: Annotated[bool, Meta(description="Only count them.")] = False


class OpenCounts(Struct, kw_only=True):
    """How many of them stood in each status."""

    scheduled: Whole
    queued: Whole
    started: Whole


class Cancellation(Struct, kw_only=True):
    """How many jobs were found, and canceled."""

    dry_run: bool
    count: Whole
    counts: OpenCounts
    complete: Annotated[bool, Meta(description="False: there may be more; ask again.")]
    canceled: Annotated[Whole, Meta(description="Those that are canceled now; 0 in a dry run.")]


class File(Struct, kw_only=True):
    """A file that is kept; a payload names it by its id."""

    id: FileId
    size: Annotated[int, Meta(ge=1, description="In bytes.", examples=[42])]
    sha256: Annotated[
        str,
        Meta(
            pattern="^[0-9a-f]{64}$",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]
    expires_at: Moment
