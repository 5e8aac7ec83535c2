"""Tells callers how far their running jobs are, where they asked for it.

The newest state counts: of a job at most one POST is under way, and one begins a second at the most; what was said in between is
never sent. Nothing is tried again, recorded or waited for, and nothing begins once the job's end is on its way: that is
the outbox's to tell.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from infra.clock import Clock
from infra.ids import new_suffix
from infra.ledger import LedgerError
from infra.ledger.records import Claim, Progress
from worker.callbacks.payload import progress_message
from worker.callbacks.post import Post
from worker.callbacks.receivers import Receiver, Receivers, Result

EVERY: Final = 1.0  # seconds between two POSTs about one job
_LOOK_EVERY: Final = 1.0  # seconds, at a receiver that may not be called now
_MESSAGE: Final = (
    "msg_"  # an id of its own for each: a receiver that drops what it knows must not drop the next
)

log = logging.getLogger(__name__)


class Paused(Protocol):
    """Those of some URLs whose receiver is paused."""

    def __call__(self, urls: set[str], /) -> Awaitable[set[str]]: ...


@dataclass(slots=True)
class _Job:
    newest: Progress | None = None
    next_at: float = 0.0
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class ProgressCallbacks:
    """Sends progress; for one loop.

    Args:
        receivers: who may be called now; those of the outbox.
        status_url: a job's link, by the job's id; None without a public URL.
    """

    def __init__(
        self,
        post: Post,
        receivers: Receivers,
        *,
        paused: Paused,
        clock: Clock,
        status_url: Callable[[str], str | None],
    ) -> None:
        self._post = post
        self._receivers = receivers
        self._paused = paused
        self._clock = clock
        self._status_url = status_url
        self._jobs: dict[str, _Job] = {}

    def tell(self, claim: Claim, progress: Progress) -> None:
        """A running job is so far. For one whose caller did not ask, nothing happens."""
        if claim.progress_url is None:
            return
        job = self._jobs.setdefault(claim.token + claim.job_id, _Job())
        job.newest = progress
        if job.task is None or job.task.done():
            job.task = asyncio.create_task(self._keep_telling(claim, claim.progress_url, job))

    def end(self, claim: Claim) -> None:
        """It runs no more: what is under way is cut off, and nothing follows."""
        job = self._jobs.pop(claim.token + claim.job_id, None)
        if job is not None and job.task is not None:
            job.task.cancel()

    async def _keep_telling(self, claim: Claim, url: str, job: _Job) -> None:
        clock, receiver = asyncio.get_running_loop().time, Receiver.of(url)
        while job.newest is not None:
            await asyncio.sleep(job.next_at - clock())
            wait = self._receivers.wait(receiver, clock())
            if wait > 0:
                job.next_at = clock() + min(wait, _LOOK_EVERY)
                continue
            progress, job.newest = job.newest, None
            job.next_at = clock() + EVERY
            try:
                if not await self._paused({url}):
                    await self._send(claim, url, progress)
            except LedgerError as error:
                log.debug("progress is not told: %s", error, extra={"job": claim.job_id})

    async def _send(self, claim: Claim, url: str, progress: Progress) -> None:
        """POST it once, and count that as a call of the receiver."""
        receiver, clock, at = Receiver.of(url), asyncio.get_running_loop().time, self._clock.now()
        message_id = _MESSAGE + new_suffix()
        message = progress_message(
            claim, progress, message_id=message_id, at=at, status_url=self._status_url(claim.job_id)
        )
        self._receivers.begin(receiver, clock())
        result = Result.UNSENT
        try:
            outcome, _ = await self._post(
                message,
                url=url,
                source=claim.source,
                secret_of=claim.callback_options.secret_of,
                message_id=message_id,
                at=at,
            )
            # Who answers that it has no use for progress may take the outcome all the same.
            result = Result.UNSENT if outcome.result is Result.REFUSED else outcome.result
            log.debug("progress is told: %s", outcome, extra={"job": claim.job_id})
        finally:
            self._receivers.end(receiver, result, clock())
