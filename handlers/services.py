"""What an attempt asks of whoever runs it: the worker, over the ledger; in tests, a stand-in without Redis.

Called in the loop of the attempt. What can't be done now raises `infra.ledger.LedgerError`, and the attempt ends with it
like with any other error; nothing that was confirmed is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from handlers.event import Event
from infra.files import Artifact
from infra.ledger.records import Claim, ErrorInfo, Progress
from infra.submission import Submission

_OPEN: Final = frozenset({"queued", "scheduled", "started"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What is known of an event that is waited for.

    Args:
        event: itself, if it came.
        now: the moment of this answer, on the ledger's clock.
    """

    event: Event | None
    now: datetime


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """A job as another one sees it.

    Args:
        status: ``missing`` where there is none, or no longer.
        result: what its handler returned.
        error: type and message, where it failed.
        metadata: what was sent with it.
    """

    id: str
    status: str
    type: str = ""
    result: Any = None
    error: ErrorInfo | None = None
    progress: Progress | None = None
    metadata: Mapping[str, Any] = {}

    @property
    def open(self) -> bool:
        """Whether something will yet come of it."""
        return self.status in _OPEN


class Services(Protocol):
    """What outlives an attempt."""

    async def kept(self, claim: Claim) -> Mapping[str, str]:
        """What earlier attempts kept, by name."""

    async def keep(self, claim: Claim, name: str, text: str) -> None:
        """Keep a text for later attempts.

        Raises:
            AttemptOver: the job is no longer this attempt's.
        """

    async def enqueue(self, claim: Claim, submission: Submission, key: str) -> str:
        """Make a job; with the same key the same job again. Returns its id.

        Raises:
            CallRefused: nobody handles it, or its callback may not be called.
        """

    async def look_for(self, claim: Claim, source: str, key: str, event_id: str | None) -> Awaited:
        """Whether an event came.

        Args:
            event_id: which one it was, where that was kept.
        """

    async def states(self, claim: Claim, job_ids: Sequence[str]) -> list[JobState]:
        """How jobs stand, in the order of their ids."""

    async def children(self, claim: Claim, job_id: str) -> list[str]:
        """The ids of the jobs that a job made without keys of its own, in the order in which it made them."""

    async def recent(self, claim: Claim, type_: str, tag: str | None, limit: int) -> list[JobState]:
        """The newest jobs of a type of the source ``api``, newest first."""

    async def store(self, claim: Claim, name: str, content_type: str, path: Path) -> Artifact:
        """Keep a file of this machine as the job's; one of that name is replaced.

        Raises:
            CallRefused: no files are kept here.
            FileError: it is too large, or could not be kept.
        """

    async def load(self, claim: Claim, reference: str, path: Path) -> None:
        """Write an uploaded file, named by its id, or what stands behind an https URL, to a path of this machine.

        Raises:
            CallRefused: no files are kept here.
            FileError: it is not there, too large, or could not be loaded.
            EgressError: the URL may not be called, or did not answer.
        """
