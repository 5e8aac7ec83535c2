"""What an attempt asks of whoever runs it: the worker, over the ledger; in tests, a stand-in without Redis.

Called in the loop of the attempt. What can't be done now raises `infra.ledger.LedgerError`, and the attempt ends with it
like with any other error; nothing that was confirmed is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handlers.event import Event
from infra.ledger.records import Claim
from infra.submission import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What is known of an event that is waited for.

    Args:
        event: itself, if it came.
        now: the moment of this answer, on the ledger's clock.
    """

    event: Event | None
    now: datetime


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
