"""Values that many shapes have: ids, moments, names."""

from typing import Annotated, Any, Final

from msgspec import Meta

_ULID: Final = "[0-9a-hjkmnp-tv-z]{26}"


def _id(prefix: str, what: str, *, tail: str = "") -> Meta:
    return Meta(
        pattern=f"^{prefix}{_ULID}{tail}$", description=what, examples=[f"{prefix}01kcm3w5x8r2v6q0b4d7e9f1g3"]
    )


JobId = Annotated[str, _id("job_", "The id of a job.")]
EventId = Annotated[str, _id("evt_", "The id of an event.")]
CallbackId = Annotated[
    str, _id("cb_", "The id of a callback: the `webhook-id` of each of its attempts.", tail="(-[0-9]+)?")
]
BatchId = Annotated[str, _id("bat_", "The id of a batch.")]
ReplayId = Annotated[str, _id("rep_", "The id of a bulk replay.")]
ReceiverId = Annotated[str, _id("rcv_", "The id of a receiver.")]
FileId = Annotated[str, _id("file_", "The id of a file.")]

Moment = Annotated[
    str,
    Meta(
        extra_json_schema={"format": "date-time"},
        description="RFC 3339, in UTC, with milliseconds.",
        examples=["2026-11-21T20:41:11.123Z"],
    ),
]
Source = Annotated[str, Meta(description="Who sent it; `api` for `POST /jobs`.", examples=["api"])]
Type = Annotated[
    str, Meta(description="What its handler goes by.", examples=["report"], min_length=1, max_length=128)
]
Queue = Annotated[
    str, Meta(description="The lane.", pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", examples=["default"])
]
Tag = Annotated[
    str,
    Meta(
        description="What the caller sent, to find its own by.",
        examples=["org-7"],
        min_length=1,
        max_length=128,
    ),
]
Metadata = Annotated[
    dict[str, Any],
    Meta(
        description="What the caller sent, at most 16 KiB; its callback repeats it.",
        examples=[{"order": "A-1003"}],
    ),
]
Payload = Annotated[
    Any, Meta(description="Any JSON: what the handler gets.", examples=[{"month": "2026-11"}])
]
Cursor = Annotated[
    str | None, Meta(description="For the page behind this one; null: this is the last.", examples=[None])
]
Whole = Annotated[int, Meta(ge=0, examples=[1])]
Seconds = Annotated[float, Meta(ge=0, examples=[41.5])]
Percent = Annotated[float, Meta(ge=0, le=100, examples=[66.7])]
Text = Annotated[str, Meta(examples=["example"])]
NONE: Final = Meta(examples=[None])
