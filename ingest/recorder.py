"""Recording events: requests that arrive together share one round trip and one script; each gets its own answer."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple, Protocol

from infra.ledger import Events, LedgerError
from infra.ledger.records import Arrival, Receipt
from infra.tasks import end

LANES: Final = 4
BATCH: Final = 16  # events, unless one request brings more
SLOW_LANES: Final = 32  # where an answer takes up to a second
SLOW_BATCH: Final = 100

_LOOKS: Final = 10  # at who has waited too long, within one patience


class Recording(Protocol):
    """What new events go through: a ledger's `Recorder`, or those of several."""

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Record the events of one request, and return once they are stored.

        Raises:
            LedgerError: not confirmed.
        """


class _Waiting(NamedTuple):
    """What one request wants recorded, since when, and where it waits for its answer."""

    arrivals: Sequence[Arrival]
    since: float
    answer: "asyncio.Future[list[Receipt]]"


class Recorder:
    """Lanes to the ledger, each with a batch under way.

    A request waits for its answer and never for the connection: a slow Redis costs it its patience, then it is told
    that nothing is promised. Its event may be recorded all the same; whoever sends it again gets the first ids.

    Args:
        doors: to the ledger, one a lane.
        batch: events of one round trip, unless one request brings more.
        patience: in seconds; whose is over is told within a tenth of it.
        most_waiting: requests; one more is refused at once.
    """

    def __init__(
        self,
        doors: Sequence[Events],
        *,
        batch: int = BATCH,
        patience: float = 2.5,
        most_waiting: int = 4096,
    ) -> None:
        self._doors = doors
        self._batch = batch
        self._patience = patience
        self._most_waiting = most_waiting
        self._queue: deque[_Waiting] = deque()
        self._under_way: list[Sequence[_Waiting]] = [()] * len(doors)
        self._idle: deque[asyncio.Future[None]] = deque()
        self._lanes: list[asyncio.Task[None]] = []
        self._look_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Open the lanes, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._lanes = [asyncio.create_task(self._lane(number)) for number in range(len(self._doors))]

    async def stop(self) -> None:
        """Close the lanes; whoever still waits is told."""
        await end(*self._lanes)
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._give_up("the process ends", since=math.inf)
        for door in self._doors:
            await door.aclose()

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Record the events of one request in one step, all of them or none, and return once they are stored.

        Raises:
            LedgerError: not confirmed in time, or too many wait already.
        """
        if len(self._queue) >= self._most_waiting:
            raise LedgerError("too many requests wait for Redis")
        waiting = _Waiting(arrivals, self._loop.time(), self._loop.create_future())
        self._queue.append(waiting)
        if len(self._queue) == 1:
            self._wake_one()
        if self._look_timer is None:
            self._look_timer = self._loop.call_later(self._patience / _LOOKS, self._look)
        return await waiting.answer

    def _look(self) -> None:
        """Tell whose patience is over. One timer for all: one for each request would cost more than its JSON."""
        self._give_up("Redis did not confirm in time", since=self._loop.time() - self._patience)
        busy = self._queue or any(self._under_way)
        self._look_timer = self._loop.call_later(self._patience / _LOOKS, self._look) if busy else None

    def _give_up(self, because: str, *, since: float) -> None:
        """On those that have waited since that moment, or longer."""
        for waiting in chain(self._queue, *self._under_way):
            if waiting.since <= since and not waiting.answer.done():
                waiting.answer.set_exception(LedgerError(because))

    # -- lanes -----------------------------------------------------------------------------------------------------

    def _wake_one(self) -> None:
        """An idle lane, if there is one. It wakes the next if it leaves something, so that what came together goes together."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def _lane(self, number: int) -> None:
        """Whatever becomes of a batch, the lane goes on to the next."""
        while True:
            while not self._queue:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle
            self._under_way[number] = self._next_batch()
            if self._queue:
                self._wake_one()
            await _record(self._doors[number], self._under_way[number], tries=2)
            self._under_way[number] = ()

    def _next_batch(self) -> Sequence[_Waiting]:
        batch = [self._queue.popleft()]
        size = len(batch[0].arrivals)
        while size < self._batch and self._queue:
            batch.append(self._queue.popleft())
            size += len(batch[-1].arrivals)
        return batch


async def _record(door: Events, batch: Sequence[_Waiting], *, tries: int) -> None:
    """Record what somebody still waits for.

    A connection may break under it, so it is tried again: with the same ids, nothing happens twice.
    """
    batch = [waiting for waiting in batch if not waiting.answer.done()]
    if not batch:
        return
    try:
        receipts = await door.accept([arrival for waiting in batch for arrival in waiting.arrivals])
    except LedgerError as error:
        if tries > 1:
            await _record(door, batch, tries=tries - 1)
        else:
            _hand_out(batch, error=error)
    except Exception as error:  # noqa: BLE001 - a fault of ours, with one of them: the others don't pay for it
        if len(batch) > 1:
            for waiting in batch:
                await _record(door, [waiting], tries=1)
        else:
            _hand_out(batch, error=error)
    else:
        _hand_out(batch, receipts)


def _hand_out(
    batch: Sequence[_Waiting], receipts: Sequence[Receipt] = (), *, error: Exception | None = None
) -> None:
    """To each of them its own; whoever gave up meanwhile gets nothing."""
    place = 0
    for arrivals, _, answer in batch:
        if answer.done():
            pass
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(list(receipts[place : place + len(arrivals)]))
        place += len(arrivals)
