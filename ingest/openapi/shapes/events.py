"""Events, their timelines, callbacks by themselves."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from infra.ledger.records import JobStatus
from ingest.openapi.shapes.jobs import Callback, Fault, Job, Progress
from ingest.openapi.shapes.narrowing import Narrowing
from ingest.openapi.shapes.words import (
    Cursor,
    EventId,
    JobId,
    Metadata,
    Moment,
    Queue,
    Source,
    Tag,
    Text,
    Type,
    Whole,
)


class _Event(Struct, kw_only=True):
    id: EventId
    source: Source
    type: Type
    received_at: Moment
    provider_event_id: (
        Annotated[str, Meta(description="Its id with its sender.", examples=["order-1003"])] | None
    )
    content_type: Annotated[str, Meta(examples=["application/json"])]
    size: Annotated[int, Meta(ge=0, description="Of its body, in bytes.", examples=[42])]
    tag: Tag | None
    accepted_by: Annotated[str, Meta(description="The name of the API key.", examples=["crm"])] | None
    jobs: list[JobId]
    duplicates: Annotated[int, Meta(ge=0, description="How often it came again.", examples=[0])]
    differing_duplicates: Annotated[int, Meta(ge=0, description="And had another body.", examples=[0])]
    replay_of: Annotated[
        EventId | None, Meta(description="The event that this one is an edited replay of.", examples=[None])
    ]


class ListedEvent(_Event, kw_only=True):
    """An event on a list: what is small."""

    status: Annotated[JobStatus, Meta(description="Of its newest job.")] | None


class Events(Struct, kw_only=True):
    """A page of events."""

    items: list[ListedEvent]
    next_cursor: Cursor


class Entry(Struct, kw_only=True):
    """Something that happened. Beside `at` and `kind` it has what belongs to its kind."""

    at: Annotated[Moment, Meta(description="null: not known.")] | None
    kind: Literal[
        "received",
        "verified",
        "duplicates",
        "queued",
        "attempt",
        "log",
        "steps",
        "ended",
        "callback",
        "undelivered",
        "act",
    ]
    job_id: JobId | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    size: Annotated[Whole, Meta(description="`received`: of the body, in bytes.")] | UnsetType = UNSET
    accepted_by: Text | UnsetType | None = UNSET
    client: (
        Annotated[str, Meta(description="`received`: the address that the request came from.")]
        | UnsetType
        | None
    ) = UNSET
    took_ms: (
        Annotated[
            int, Meta(ge=0, description="`received`: until it was stored, by the clocks of web and of Redis.")
        ]
        | UnsetType
        | None
    ) = UNSET
    forwarded_for: (
        Annotated[str, Meta(description="`received`: what a proxy wrote, or anybody.")] | UnsetType | None
    ) = UNSET
    provider: Text | UnsetType = UNSET
    covers: (
        Annotated[
            Literal["request", "body", "fields", "nothing"],
            Meta(description="`verified`: what of the request the signature vouches for."),
        ]
        | UnsetType
    ) = UNSET
    count: Whole | UnsetType = UNSET
    differing: Whole | UnsetType = UNSET
    queue: Queue | UnsetType = UNSET
    parent: JobId | UnsetType | None = UNSET
    number: Whole | UnsetType = UNSET
    round: Whole | UnsetType | None = UNSET
    worker: Text | UnsetType | None = UNSET
    ended_at: Moment | UnsetType | None = UNSET
    outcome: Annotated[str, Meta(description="`attempt`: null while it runs.")] | UnsetType | None = UNSET
    progress: Progress | UnsetType | None = UNSET
    level: Text | UnsetType = UNSET
    message: Text | UnsetType = UNSET
    names: (
        Annotated[list[str], Meta(description="`steps`: those that an attempt kept, in that order.")]
        | UnsetType
    ) = UNSET
    status: (
        Annotated[
            int | str,
            Meta(
                description="`ended`: the job's; `callback`: of HTTP; `undelivered`: the callback's.",
                examples=["finished"],
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    reason: Annotated[str, Meta(description="`undelivered`: why.")] | UnsetType | None = UNSET
    attempt: Annotated[int, Meta(ge=0, description="`log`, `steps`: whose.")] | UnsetType | None = UNSET
    callback_id: Text | UnsetType = UNSET
    duration_ms: Whole | UnsetType = UNSET
    reply: Text | UnsetType | None = UNSET
    error: (
        Annotated[Fault | str, Meta(description="`attempt`: a fault; `callback`: in words.")]
        | UnsetType
        | None
    ) = UNSET
    act: Annotated[str, Meta(description="`act`: `cancel`, `retry`, `replay`, `redeliver`.")] | UnsetType = (
        UNSET
    )
    by: Annotated[str, Meta(description="`act`: the name of a key, or `link`.")] | UnsetType | None = UNSET


Timeline = Annotated[
    list[Entry],
    Meta(
        examples=[
            [
                {"at": "2026-11-21T20:41:11.123Z", "kind": "received", "source": "api", "type": "report", "size": 19, "accepted_by": "crm",
                 "client": "203.0.113.7", "took_ms": 2, "forwarded_for": None},
                {"at": "2026-11-21T20:41:11.123Z", "kind": "queued", "job_id": "job_01kcm3w5x8r2v6q0b4d7e9f1g3", "queue": "default",
                 "parent": None},
                {"at": "2026-11-21T20:41:11.130Z", "kind": "attempt", "job_id": "job_01kcm3w5x8r2v6q0b4d7e9f1g3", "number": 1, "round": 1,
                 "worker": "box.7.k2x9", "ended_at": "2026-11-21T20:41:12.400Z", "outcome": "finished", "error": None},
                {"at": "2026-11-21T20:41:12.400Z", "kind": "ended", "job_id": "job_01kcm3w5x8r2v6q0b4d7e9f1g3", "status": "finished",
                 "round": 1},
            ]
        ]
    ),
]  # fmt: skip


class _WholeEvent(_Event, kw_only=True):
    headers: Annotated[
        dict[str, str],
        Meta(
            description="As they came, names in lower case; `***` where it is or may be a secret.",
            examples=[{"content-type": "application/json"}],
        ),
    ]
    body: Annotated[str, Meta(examples=['{"month":"2026-11"}'])] | UnsetType = UNSET
    body_encoding: Literal["utf-8", "base64"] | UnsetType = UNSET
    metadata: Metadata


class Event(_WholeEvent, kw_only=True):
    """An event, its headers without secrets, its body, and what became of it."""

    timeline: Timeline


class ExportedEvent(_WholeEvent, kw_only=True):
    """An event in an export; without its body where that was not wanted."""


class ExportedDocument(Struct, kw_only=True):
    """What an export's signatures cover."""

    exported_at: Moment
    event: ExportedEvent
    jobs: list[Job]
    timeline: Timeline


class Export(Struct, kw_only=True):
    """Everything about an event, signed."""

    format: Literal["hookline-export-1"]
    document: ExportedDocument
    signatures: Annotated[
        list[str], Meta(description="`hs256,…`, and `v1a,…` where there is a key that others can verify.")
    ]


class CalledBack(Callback, kw_only=True):
    """A callback, and whose it is."""

    job_id: JobId
    event_id: EventId
    source: Source
    type: Type
    created_at: Moment | None


class RedeliverRequest(Narrowing, kw_only=True, forbid_unknown_fields=True):
    """Which callbacks to make again, and how fast. Without a status, the dead letters."""

    status: Literal["delivered", "blocked", "dead"] = "dead"
    dry_run: Annotated[bool, Meta(description="Only count them.")] = False
    rate: Annotated[int, Meta(ge=1, le=1000, description="Callbacks a second.")] = 20


class Redelivery(Struct, kw_only=True):
    """How many callbacks were found, and made again."""

    dry_run: bool
    count: Whole
    complete: Annotated[bool, Meta(description="False: there may be more; ask again.")]
    redelivered: Annotated[Whole, Meta(description="Those that are pending now; 0 in a dry run.")]


class Callbacks(Struct, kw_only=True):
    """A page of callbacks."""

    items: list[CalledBack]
    next_cursor: Cursor
