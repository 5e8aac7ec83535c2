"""Where a file stands in the store, and what it may be called.

A place begins with the day of the id that the file belongs to, ``2026-11-22/job_01k…/report.pdf``: an attempt that is repeated
writes the same place again, and what is past retention goes a day at a time.
"""

import re
from dataclasses import dataclass
from typing import Final

from infra.ids import time_of

_NAME: Final = re.compile(r"[\w()+,@=-](?:[\w .()+,@=-]{0,118}[\w()+,@=-])?")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written: how many bytes, and their SHA-256 in hex."""

    size: int
    sha256: str


def place_of(owner: str, name: str = "") -> str:
    """Where a file stands.

    Args:
        owner: the id of a job or of an upload.
        name: of a job's file.

    >>> place_of("job_01k00000000000000000000000", "report.pdf")
    '2025-07-12/job_01k00000000000000000000000/report.pdf'
    """
    return "/".join(part for part in (time_of(owner).date().isoformat(), owner, name) if part)


def is_name(name: str) -> bool:
    """Whether a file may be called so: letters of any script, digits, ``. _ - ( ) + , @ =`` and inner spaces, up to 120.

    >>> is_name("Umsatz März (2).pdf"), is_name("../x"), is_name(".hidden"), is_name("a/b")
    (True, False, False, False)
    """
    return _NAME.fullmatch(name) is not None and ".." not in name
