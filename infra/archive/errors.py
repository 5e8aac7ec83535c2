"""What can be wrong with the archive, besides a store that is away (`infra.files.errors`).

HooklineError
└── ArchiveError
    ├── PartDamaged    a part, its manifest or a line of it is not as it was written
    ├── NotArchived    there is no such event
    └── Overtaken      it took so long that somebody else has begun
"""

from infra.errors import HooklineError


class ArchiveError(HooklineError):
    """The archive can't give what is asked for."""


class PartDamaged(ArchiveError):
    """A part, its manifest or a line of it is not as it was written; the text says which."""


class NotArchived(ArchiveError):
    """The archive has no such event."""


class Overtaken(ArchiveError):
    """It took so long that somebody else archives or erases, or has in between."""
