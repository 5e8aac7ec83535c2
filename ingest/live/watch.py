"""Waiting for one job to end."""

import asyncio
from contextlib import suppress
from typing import Protocol

from infra.ledger import Reading
from infra.ledger.records import TERMINAL_STATUSES, JobRecord
from ingest.live.hub import Hub


class Watching(Protocol):
    """What looks at single jobs: a ledger's `Watch`, or those of several. Both raise `LedgerError` where it can't be read."""

    async def job(self, job_id: str) -> JobRecord | None:
        """The job as it stands; None where there is none."""

    async def ended(self, job_id: str, *, seconds: float) -> JobRecord | None:
        """The job once it has ended, or as it stands when the time is over."""


class Watch:
    """Tells when a job has ended.

    The hub only says when to look again, and who waits looks now and then anyway: a reader that is cut off costs time and
    never an answer.

    Args:
        look_every: in seconds, with or without a word from the hub.
    """

    def __init__(self, reading: Reading, hub: Hub, *, look_every: float = 2.0) -> None:
        self._reading = reading
        self._hub = hub
        self._look_every = look_every

    async def job(self, job_id: str) -> JobRecord | None:
        """The job as it stands; None where there is none.

        Raises:
            LedgerError: it can't be read.
        """
        return await self._reading.job(job_id)

    async def ended(self, job_id: str, *, seconds: float) -> JobRecord | None:
        """The job once it has ended, or as it stands when the time is over or the process stops; None where there is none.

        Raises:
            LedgerError: it can't be read.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        with self._hub.listening(job_id) as changed:
            while True:
                changed.clear()
                job = await self._reading.job(job_id)
                left = end - clock()
                if job is None or job.status in TERMINAL_STATUSES or left <= 0 or self._hub.stopping:
                    return job
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self._look_every)):
                        await changed.wait()
