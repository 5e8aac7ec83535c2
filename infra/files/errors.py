"""What can go wrong with a file.

HooklineError
└── FileError
    ├── FileMissing        there is none, or no longer
    ├── FileTooLarge       more than may be kept
    └── StoreUnavailable   the directory or the bucket does not answer, or refuses
"""

from infra.errors import HooklineError


class FileError(HooklineError):
    """A file can't be kept, or given back."""


class FileMissing(FileError):
    """There is no such file, or no longer."""


class FileTooLarge(FileError):
    """It is larger than may be kept; nothing of it is."""


class StoreUnavailable(FileError):
    """The directory or the bucket does not answer, or refuses."""
