"""Looking at single jobs: requests that come together share a round trip, each gets its own job."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from infra.ledger import LedgerError, Reading
from infra.ledger.records import JobRecord
from infra.tasks import end

LANES: Final = 2
BATCH: Final = 32
MOST_WAITING: Final = 4096

_Waiting = tuple[str, "asyncio.Future[JobRecord | None]"]


class Glances:
    """Lanes to the ledger, each with a batch under way; what comes meanwhile is the next batch.

    Args:
        readings: one a lane, each over a connection of its own.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._queue: deque[_Waiting] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the lanes, in the running loop."""
        self._lanes = [asyncio.create_task(self._lane(reading)) for reading in self._readings]

    async def stop(self) -> None:
        """Close the lanes; whoever still waits is told."""
        await end(*self._lanes)
        for _, answer in self._queue:
            if not answer.done():
                answer.set_exception(LedgerError("the process ends"))
        for reading in self._readings:
            await reading.aclose()

    async def job(self, job_id: str) -> JobRecord | None:
        """A job as it stands, with its position; None where there is none whose seal holds.

        Raises:
            LedgerError: Redis did not answer, or too many wait for it already.
        """
        if len(self._queue) >= MOST_WAITING:
            raise LedgerError("too many requests wait for Redis")
        answer: asyncio.Future[JobRecord | None] = asyncio.get_running_loop().create_future()
        self._queue.append((job_id, answer))
        if self._idle and not (idle := self._idle.popleft()).done():
            idle.set_result(None)
        return await answer

    async def _lane(self, reading: Reading) -> None:
        """Whatever becomes of a batch, the lane goes on to the next."""
        while True:
            while not self._queue:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                await _look(reading, batch, tries=2)
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(batch))  # for `stop` to tell
                raise


async def _look(reading: Reading, batch: Sequence[_Waiting], *, tries: int) -> None:
    """Look at what somebody still waits for. A connection may break under it, so it is tried again."""
    batch = [waiting for waiting in batch if not waiting[1].done()]
    if not batch:
        return
    try:
        jobs = await reading.jobs_of([job_id for job_id, _ in batch], positions=True)
    except Exception as error:  # noqa: BLE001 - a fault of ours too is told to who asked
        if isinstance(error, LedgerError) and tries > 1:
            await _look(reading, batch, tries=tries - 1)
            return
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(error)
    else:
        for (_, answer), job in zip(batch, jobs, strict=True):
            if not answer.done():
                answer.set_result(job)
