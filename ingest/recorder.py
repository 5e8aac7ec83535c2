"""Recording events: requests that arrive together share one round trip and one script; each gets its own answer."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Final, TypeVar

from infra.ledger import Events, LedgerError
from infra.ledger.records import Arrival, Receipt
from infra.tasks import end

log = logging.getLogger(__name__)

_T = TypeVar("_T")

LANES: Final = 4
BATCH: Final = 16
MOST_WAITING: Final = 4096
PATIENCE_SECONDS: Final = 2.5


class Recorder:
    """Four lanes to the ledger, each with a batch under way.

    A request waits for its answer and never for the connection: a slow Redis costs it `PATIENCE_SECONDS`, then it is told
    that nothing is promised. Its event may be recorded all the same; whoever sends it again gets the first ids.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: deque[tuple[Arrival, asyncio.Future[Receipt]]] = deque()
        self._arrived = asyncio.Semaphore(0)
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the lanes, in the running loop."""
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]

    async def stop(self) -> None:
        """Close the lanes; nobody waits any more."""
        await end(self._lanes)

    async def record(self, arrival: Arrival) -> Receipt:
        """Record one event, and return once it is stored.

        Raises:
            LedgerError: not confirmed in time, or too many wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise LedgerError("too many requests wait for Redis")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        self._arrived.release()
        return await _in_time(future)

    async def record_together(self, arrivals: list[Arrival]) -> list[Receipt]:
        """Record several in one step: all of them, or none.

        Raises:
            LedgerError: not confirmed in time.
        """
        return await _in_time(self._events.accept(arrivals))

    async def _lane(self) -> None:
        while True:
            await self._arrived.acquire()
            while batch := self._next_batch():
                await self._record(batch)

    def _next_batch(self) -> list[tuple[Arrival, "asyncio.Future[Receipt]"]]:
        batch: list[tuple[Arrival, asyncio.Future[Receipt]]] = []
        while self._waiting and len(batch) < BATCH:
            arrival, future = self._waiting.popleft()
            if not future.done():
                batch.append((arrival, future))
        return batch

    async def _record(self, batch: list[tuple[Arrival, "asyncio.Future[Receipt]"]]) -> None:
        try:
            receipts = await self._events.accept([arrival for arrival, _ in batch])
        except LedgerError as error:
            log.error("%s", error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(LedgerError(str(error)))
        else:
            for (_, future), receipt in zip(batch, receipts, strict=True):
                if not future.done():
                    future.set_result(receipt)


async def _in_time(answer: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer
    except TimeoutError:
        raise LedgerError("Redis did not confirm in time") from None
