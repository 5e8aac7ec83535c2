"""How things stand: queues, workers, receivers, refused requests, this process; and what every refusal looks like."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from infra.ledger.pauses import Held
from infra.ledger.records import ReceiverStatus
from ingest.openapi.shapes.words import NONE, EventId, JobId, Moment, ReceiverId, Seconds, Text, Whole


class Problem(Struct, kw_only=True):
    """Why not (RFC 9457). Go by `code`."""

    type: Annotated[str, Meta(examples=["urn:hookline:problem:not_found"])]
    title: Annotated[str, Meta(examples=["There is nothing here."])]
    status: Annotated[int, Meta(ge=400, le=599, examples=[404])]
    code: Annotated[str, Meta(examples=["not_found"])]
    detail: Annotated[str, Meta(description="What is wrong with this request, for people.")] | UnsetType = (
        UNSET
    )
    job_id: Annotated[JobId, Meta(description="`idempotency_conflict`: the first job.")] | UnsetType = UNSET
    event_id: Annotated[EventId, Meta(description="`idempotency_conflict`: the first event.")] | UnsetType = (
        UNSET
    )


class QueueStanding(Struct, kw_only=True):
    """What waits in a queue."""

    name: Annotated[str, Meta(examples=["high"])]
    queued: Whole
    scheduled: Whole
    started: Whole
    failed: Whole
    oldest_seconds: Annotated[Seconds, Meta(description="For how long the job at its head has waited.")]
    paused: Annotated[bool, Meta(description="Whether workers begin none of its jobs.", examples=[False])]


class Worker(Struct, kw_only=True):
    """A worker process that is alive."""

    name: Annotated[str, Meta(examples=["box.7.k2x9"])]
    host: Annotated[str, Meta(examples=["box"])]
    queues: list[str]
    busy: Annotated[Whole, Meta(description="How many jobs it holds.")]
    slots: Annotated[Whole | None, Meta(description="How many it may hold.", examples=[100])]
    version: Annotated[str, Meta(description="Of Hookline.", examples=["0.1.0"])]
    draining: Annotated[bool, Meta(description="Whether an operator has asked it to stop.", examples=[False])]
    started_at: Moment | None
    last_seen_at: Moment | None


class WorkPause(Struct, kw_only=True):
    """A queue, or a handler, none of whose jobs begins."""

    kind: Held
    name: Annotated[str, Meta(examples=["high"])]
    by: Annotated[str, Meta(description="Who paused it.", examples=["ops (API)"])]
    paused_at: Moment | None


class Queues(Struct, kw_only=True):
    """Every queue that ever held a job, every worker that is alive, and what is paused."""

    queues: list[QueueStanding]
    workers: list[Worker]
    pauses: list[WorkPause]


class Paused(Struct, kw_only=True):
    """How a queue, or a handler, stands now."""

    name: Annotated[str, Meta(examples=["high"])]
    paused: Annotated[bool, Meta(examples=[True])]
    changed: Annotated[bool, Meta(description="False: it was so before.", examples=[True])]


class Draining(Struct, kw_only=True):
    """A worker that takes no further job."""

    name: Annotated[str, Meta(examples=["box.7.k2x9"])]
    draining: Literal[True]
    changed: Annotated[bool, Meta(description="False: it was asked before.", examples=[True])]


class Receiver(Struct, kw_only=True):
    """Where callbacks go, and how that stands."""

    id: ReceiverId
    url: Annotated[str, Meta(description="Without its query.", examples=["https://example.com/callbacks"])]
    status: ReceiverStatus
    reason: Annotated[
        str | None, Meta(description="Why it is paused: `failing`, `gone`, `operator`.", examples=[None])
    ]
    error: Annotated[str | None, Meta(description="What went wrong last.", examples=[None])]
    failing_since: Annotated[Moment | None, NONE]
    paused_at: Annotated[Moment | None, NONE]
    last_delivered_at: Moment | None
    seen_at: Moment | None


class ResumedReceiver(Receiver, kw_only=True):
    """A receiver that is called again."""

    redelivered: Annotated[Whole, Meta(description="How many callbacks are made again.")]


class Receivers(Struct, kw_only=True):
    """Where callbacks went last."""

    items: list[Receiver]


class Diagnosis(Struct, kw_only=True):
    """Why a request was refused."""

    received_at: Moment
    because: Annotated[str, Meta(examples=["the signature is another"])]
    size: Whole
    holds: Annotated[
        list[str], Meta(description="What would have to be otherwise; empty: nothing that we know.")
    ]
    cures: Annotated[list[str], Meta(description="What to do, in the same order.")]
    cut_short: Annotated[bool, Meta(description="Whether time ran out.", examples=[False])]


class Diagnoses(Struct, kw_only=True):
    """Why the last requests of a source were refused, the newest first."""

    source: Text
    items: list[Diagnosis]


class Health(Struct, kw_only=True):
    """The process answers."""

    status: Literal["ok"]


class Ready(Struct, kw_only=True):
    """Whether what is acknowledged here is kept, and will be run."""

    status: Literal["ready", "unready"]
    reasons: list[str]


class PublicKey(Struct, kw_only=True):
    """A JSON Web Key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Meta(examples=["O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"])]
    kid: Annotated[str, Meta(examples=["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"])]
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class PublicKeys(Struct, kw_only=True):
    """By which callbacks can be verified without a secret. None, where there is no private key."""

    keys: list[PublicKey]
