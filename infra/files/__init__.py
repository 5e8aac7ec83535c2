"""Files: what handlers make (artifacts), and what callers send up for them. In a directory, or a bucket that webs and workers share."""

from infra.files.errors import FileError, FileMissing, FileTooLarge, StoreUnavailable
from infra.files.links import Artifact, ArtifactLinks
from infra.files.places import Kept, is_name, place_of

__all__ = [
    "Artifact",
    "ArtifactLinks",
    "FileError",
    "FileMissing",
    "FileTooLarge",
    "Kept",
    "StoreUnavailable",
    "is_name",
    "place_of",
]
