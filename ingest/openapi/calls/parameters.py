"""Parameters that many calls take, and what may be wrong with a body."""

from typing import Annotated, Any, Final

from msgspec import Meta

from infra.ledger.records import JobStatus
from ingest.openapi.call import Parameter
from ingest.openapi.shapes import words
from ingest.problems import BODY_MALFORMED, BODY_TIMEOUT, BODY_TOO_LARGE, ENCODING_UNSUPPORTED

JSON_BODY: Final = (BODY_MALFORMED, BODY_TIMEOUT, BODY_TOO_LARGE, ENCODING_UNSUPPORTED)
"""The problems of a call that reads JSON."""

_WAIT: Final = Annotated[int, Meta(ge=0, le=9999, examples=[10])]
_AGO: Final = Annotated[str, Meta(examples=["2h"], min_length=1, max_length=200)]
_WORD: Final = Annotated[str, Meta(min_length=1, max_length=200)]


def in_path(name: str, kind: Any) -> Parameter:
    """What stands in the path."""
    return Parameter(name=name, kind=kind, words="", place="path", required=True)


def listing(status: Any = JobStatus) -> tuple[Parameter, ...]:
    """What a list is narrowed to, and where it goes on."""
    return (
        Parameter(name="status", kind=status, words="Those of this status."),
        Parameter(name="source", kind=_WORD, words="Those of this source."),
        Parameter(name="type", kind=_WORD, words="Those of this type."),
        Parameter(name="queue", kind=_WORD, words="Those of this queue."),
        Parameter(name="tag", kind=_WORD, words="Those with this tag."),
        Parameter(name="since", kind=_AGO, words="Made at this moment or later: RFC 3339, or how long ago."),
        Parameter(name="until", kind=_AGO, words="Made before this moment."),
        Parameter(
            name="limit",
            kind=Annotated[int, Meta(ge=1, le=100)],
            words="At most so many; 50, if it is left out.",
        ),
        Parameter(
            name="cursor", kind=str, words="The `next_cursor` of the page before, with the same filters."
        ),
    )


JOB: Final = in_path("id", words.JobId)
EVENT: Final = in_path("id", words.EventId)
CALLBACK: Final = in_path("id", words.CallbackId)
BATCH: Final = in_path("id", words.BatchId)
REPLAY: Final = in_path("id", words.ReplayId)
RECEIVER: Final = in_path("id", words.ReceiverId)
QUEUE: Final = in_path("name", Annotated[str, Meta(examples=["high"])])
HANDLER: Final = in_path("name", Annotated[str, Meta(examples=["handlers.fireflies:meeting_summarized"])])
WORKER: Final = in_path("name", Annotated[str, Meta(examples=["box.7.k2x9"])])
SOURCE: Final = in_path("source", Annotated[str, Meta(pattern="^[a-z0-9-]{1,64}$", examples=["acme"])])
WAIT: Final = Parameter(
    name="wait", kind=_WAIT, words="Answer when it has ended, in so many seconds at the latest; at most 60."
)
PREFER: Final = Parameter(
    name="Prefer",
    kind=Annotated[str, Meta(examples=["wait=10"])],
    words="`wait=N`: answer with the job when it has ended, in N seconds at the latest; at most 60.",
    place="header",
)
IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    kind=Annotated[str, Meta(pattern="^[!-~]{1,100}$", examples=["report-2026-11"])],
    words="The `idempotency_key` where an entry has none.",
    place="header",
)
LAST_ID: Final = Parameter(
    name="last_event_id", kind=str, words="For clients that can't set `Last-Event-ID`."
)
LAST_ID_HEADER: Final = Parameter(
    name="Last-Event-ID",
    kind=Annotated[str, Meta(examples=["1795293672004-0-0"])],
    words="The id of the last event that came; what has changed since is told.",
    place="header",
)
