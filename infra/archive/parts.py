"""A part: the lines of some events of one day, as gzip, and the manifest that says what it holds.

A part without a manifest is none: whoever wrote it died before it was verified, and its events came again.
"""

import gzip
import json
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Final

import msgspec

from infra.archive.errors import PartDamaged
from infra.archive.lines import FORMAT, Archived, line_of, read_line
from infra.ids import time_told

ROOT: Final = "events"

_PART, _MANIFEST = ".jsonl.gz", ".json"
_LEVEL: Final = 6


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one part holds.

    Args:
        part: where it stands.
        day: on which its events were received.
        written_at: RFC 3339.
        events: their ids, one a line.
        jobs: how many jobs the lines tell of.
        size, sha256: of the part, in bytes and in hex.
        content_size, content_sha256: of what is compressed in it.
    """

    format: str
    part: str
    day: str
    written_at: str
    events: tuple[str, ...]
    jobs: int
    size: int
    sha256: str
    content_size: int
    content_sha256: str

    @property
    def place(self) -> str:
        """Where the manifest itself stands."""
        return self.part.removesuffix(_PART) + _MANIFEST


@dataclass(frozen=True, slots=True)
class Lost:
    """A part or a manifest that is no good, and why."""

    place: str
    why: str


def make(events: Sequence[Archived], *, day: date, name: str, written_at: str) -> tuple[Manifest, bytes]:
    """A part and its manifest. Takes a processor for a while.

    >>> manifest, part = make([], day=date(2026, 11, 22), name="01k", written_at="2026-11-22T00:00:00.000Z")
    >>> manifest.part, manifest.place, opened(manifest, part)
    ('events/2026-11-22/01k.jsonl.gz', 'events/2026-11-22/01k.json', [])
    """
    content = b"".join(line_of(event) + b"\n" for event in events)
    part = gzip.compress(content, _LEVEL, mtime=0)
    manifest = Manifest(
        format=FORMAT,
        part=f"{ROOT}/{day.isoformat()}/{name}{_PART}",
        day=day.isoformat(),
        written_at=written_at,
        events=tuple(event.id for event in events),
        jobs=sum(len(event.jobs) for event in events),
        size=len(part),
        sha256=sha256(part).hexdigest(),
        content_size=len(content),
        content_sha256=sha256(content).hexdigest(),
    )
    return manifest, part


def lines_in(manifest: Manifest, part: bytes) -> list[bytes]:
    """The lines of a part, which is what its manifest says.

    Raises:
        PartDamaged: it is not.
    """
    if (len(part), sha256(part).hexdigest()) != (manifest.size, manifest.sha256):
        raise PartDamaged(f"{manifest.part} is not as it was written: its size or SHA-256 differs")
    content = gzip.decompress(part)
    if (len(content), sha256(content).hexdigest()) != (manifest.content_size, manifest.content_sha256):
        raise PartDamaged(f"{manifest.part} holds something else than its manifest says")
    return content.splitlines()


def opened(manifest: Manifest, part: bytes) -> list[Archived]:
    """The events of a part, every one of which can be read and is one that the manifest names.

    Raises:
        PartDamaged: one is not.
    """
    events = [read_line(line) for line in lines_in(manifest, part)]
    jobs = sum(len(event.jobs) for event in events)
    if tuple(event.id for event in events) != manifest.events or jobs != manifest.jobs:
        raise PartDamaged(f"{manifest.part} holds other events than its manifest says")
    return events


def manifest_bytes(manifest: Manifest) -> bytes:
    """A manifest as it is written."""
    return json.dumps(msgspec.to_builtins(manifest), indent=1).encode() + b"\n"


def read_manifest(content: bytes, place: str) -> Manifest:
    """What `manifest_bytes` wrote.

    Raises:
        PartDamaged: it is no manifest, or one of another place.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError:
        raise PartDamaged(f"{place} can't be read") from None
    if manifest.format != FORMAT or manifest.place != place:
        raise PartDamaged(f"{place} is no manifest of {FORMAT}, or stood elsewhere")
    return manifest


def is_manifest(place: str) -> bool:
    """Whether a place is that of a manifest; else it is a part's, or nothing of ours."""
    return place.endswith(_MANIFEST)


def part_of(place: str) -> str:
    """The place of a manifest's part."""
    return place.removesuffix(_MANIFEST) + _PART


def is_part(place: str) -> bool:
    """Whether a place is that of a part."""
    return place.endswith(_PART)


def begun_at(place: str) -> datetime | None:
    """When a part was written, by the name that it was given then; None where its name is none of ours.

    >>> begun_at("events/2025-07-12/01k00000000000000000000000.jsonl.gz").isoformat()
    '2025-07-12T18:57:36.768000+00:00'
    """
    return time_told("_" + place.rpartition("/")[2])


def may_tell_of(part: bytes, ids: Collection[str]) -> bool:
    """Whether a part, of which there is no manifest, holds one of some events; so does what can't be opened, for all we know."""
    try:
        content = gzip.decompress(part)
    except (OSError, EOFError, zlib.error):
        return True
    return any(id_.encode() in content for id_ in ids)
