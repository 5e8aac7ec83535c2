"""The archive: what is past retention, as compressed JSON lines in a directory or a bucket, to be read and run again.

``docs/archive.md`` describes what stands there.
"""

from infra.archive.errors import ArchiveError, NotArchived, Overtaken, PartDamaged
from infra.archive.lines import FORMAT, Archived, merged
from infra.archive.parts import Lost, Manifest

__all__ = [
    "FORMAT",
    "ArchiveError",
    "Archived",
    "Lost",
    "Manifest",
    "NotArchived",
    "Overtaken",
    "PartDamaged",
    "merged",
]
