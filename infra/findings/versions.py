"""Versions of Redis and Valkey that we can't use, and those that are known to be bad.

A new entry of `KNOWN_BAD` says which patch mends it in each series, and where that is said. A series that is not listed is not
judged: a version that is too new for this table is taken for sound.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from infra.findings.finding import Finding, error, warning

Series = tuple[str, int, int]

OLDEST: Final = {"Redis": (7, 0), "Valkey": (7, 2)}
_VERSION: Final = re.compile(r"(Redis|Valkey) (\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with some versions.

    Args:
        name: as the field calls it.
        mended: by series, the first patch without it; None: that series was given up.
        source: who says so.
    """

    name: str
    why: str
    mended: Mapping[Series, int | None]
    source: str


KNOWN_BAD: Final = (
    Fault(
        "CVE-2025-49844",
        "whoever may run a script can run anything on its machine",
        {
            ("Redis", 7, 0): None, ("Redis", 7, 2): 11, ("Redis", 7, 4): 6, ("Redis", 8, 0): 4, ("Redis", 8, 2): 2,
            ("Valkey", 7, 2): 11, ("Valkey", 8, 0): 6, ("Valkey", 8, 1): 4,
        },
        "https://redis.io/blog/security-advisory-cve-2025-49844/",
    ),
    Fault(
        "CVE-2025-67733",
        "a script's error can forge replies to others",
        {("Valkey", 9, 0): 3},
        "https://github.com/valkey-io/valkey/releases/tag/9.0.3",
    ),
)  # fmt: skip


def of_version(name: str) -> Iterator[Finding]:
    """What is wrong with a server's version; one that can't be read is not judged.

    Args:
        name: such as ``Valkey 9.1.2``.

    >>> [finding.code for name in ("Redis 6.2.14", "Redis 7.2.4", "Valkey 9.1.2", "Redis unstable") for finding in of_version(name)]
    ['server-old', 'server-version']
    """
    known = _VERSION.fullmatch(name)
    if known is None:
        return
    kind, major, minor, patch = known[1], int(known[2]), int(known[3]), int(known[4] or 0)
    if (major, minor) < OLDEST[kind]:
        oldest = f"{kind} {OLDEST[kind][0]}.{OLDEST[kind][1]}"
        yield error(
            "server-old", f"{name} is too old", why="our scripts don't run", cure=f"move to {oldest} or newer"
        )
        return
    for fault in KNOWN_BAD:
        mended = fault.mended.get((kind, major, minor), 0)
        if mended is None or patch < mended:
            newer = "a newer series" if mended is None else f"{kind} {major}.{minor}.{mended} or newer"
            yield warning(
                "server-version",
                f"{name} has {fault.name}",
                subject=fault.name,
                why=fault.why,
                cure=f"move to {newer} ({fault.source}); a distribution may have mended its own package",
            )
