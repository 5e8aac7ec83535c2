"""One thing that is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: an error can lose data, or keeps everything from working; a warning is worth a look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Args:
        code: names the rule; with `subject` it stays the same for as long as the trouble lasts.
        subject: the one thing of several that it is about, such as a queue; empty where there is only one.
        what: in a clause.
        why: why that matters, in a clause.
        cure: what to do about it.

    >>> worker = Finding(severity=Severity.ERROR, code="no-worker", what="no worker is alive", why="all waits", cure="start one")
    >>> worker.key, worker.text
    ('no-worker', 'no worker is alive: all waits')
    """

    severity: Severity
    code: str
    subject: str = ""
    what: str
    why: str
    cure: str

    @property
    def key(self) -> str:
        """What tells this trouble from all others."""
        return f"{self.code}:{self.subject}" if self.subject else self.code

    @property
    def text(self) -> str:
        """What and why, in a line."""
        return f"{self.what}: {self.why}"


def error(code: str, what: str, *, why: str, cure: str, subject: str = "") -> Finding:
    """Something that can lose data, or keeps everything from working."""
    return Finding(severity=Severity.ERROR, code=code, subject=subject, what=what, why=why, cure=cure)


def warning(code: str, what: str, *, why: str, cure: str, subject: str = "") -> Finding:
    """Something that is worth a look."""
    return Finding(severity=Severity.WARNING, code=code, subject=subject, what=what, why=why, cure=cure)


def of_shard(shard: int, finding: Finding) -> Finding:
    """A finding about one of several servers, which it names.

    >>> found = of_shard(1, error("no-worker", "no worker is alive", why="all waits", cure="start one"))
    >>> found.key, found.what
    ('no-worker:shard 1', 'shard 1: no worker is alive')
    """
    subject = f"shard {shard} {finding.subject}".rstrip()
    return replace(finding, subject=subject, what=f"shard {shard}: {finding.what}")


def some(names: Sequence[str]) -> str:
    """The first three, and whether there are more.

    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, …')
    """
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
