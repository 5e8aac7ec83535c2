"""What many at once are narrowed to, as lists are."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ingest.openapi.shapes.words import Queue, Source, Tag, Type


class Narrowing(Struct, kw_only=True, forbid_unknown_fields=True):
    """All of it, but for the status: each has others."""

    source: Source | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    queue: Queue | UnsetType = UNSET
    tag: Tag | UnsetType = UNSET
    since: Annotated[str, Meta(description="A moment, or how long ago.", examples=["2h"])] | UnsetType = UNSET
    until: Annotated[str, Meta(description="A moment, or how long ago.", examples=["1h"])] | UnsetType = UNSET
