"""Recording events: requests that arrive together share one round trip and one script; each gets its own answer."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from infra.ledger import Events, LedgerError
from infra.ledger.records import Arrival, Receipt
from infra.tasks import end

LANES: Final = 4
BATCH: Final = 16  # events, unless one request brings more


class _Waiting(NamedTuple):
    """What one request wants recorded, and where it waits for its answer."""

    arrivals: Sequence[Arrival]
    answer: "asyncio.Future[list[Receipt]]"


class Recorder:
    """Four lanes to the ledger, each with a batch under way.

    A request waits for its answer and never for the connection: a slow Redis costs it its patience, then it is told
    that nothing is promised. Its event may be recorded all the same; whoever sends it again gets the first ids.

    Args:
        patience: in seconds.
        most_waiting: requests; one more is refused at once.
    """

    def __init__(self, events: Events, *, patience: float = 2.5, most_waiting: int = 4096) -> None:
        self._events = events
        self._patience = patience
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(most_waiting)
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the lanes, in the running loop."""
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]

    async def stop(self) -> None:
        """Close the lanes; nobody waits any more."""
        await end(*self._lanes)

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Record the events of one request in one step, all of them or none, and return once they are stored.

        Raises:
            LedgerError: not confirmed in time, or too many wait already.
        """
        answer: asyncio.Future[list[Receipt]] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(arrivals, answer))
            async with asyncio.timeout(self._patience):
                return await answer
        except asyncio.QueueFull:
            raise LedgerError("too many requests wait for Redis") from None
        except TimeoutError:
            raise LedgerError("Redis did not confirm in time") from None

    async def _lane(self) -> None:
        """Whatever becomes of a batch, the lane goes on to the next."""
        while True:
            batch = [await self._queue.get()]
            size = len(batch[0].arrivals)
            while size < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
                size += len(batch[-1].arrivals)
            await self._record(batch, tries=2)

    async def _record(self, batch: Sequence[_Waiting], *, tries: int) -> None:
        """Record what somebody still waits for.

        A connection may break under it, so it is tried again: with the same ids, nothing happens twice.
        """
        batch = [waiting for waiting in batch if not waiting.answer.done()]
        if not batch:
            return
        try:
            receipts = await self._events.accept(
                [arrival for waiting in batch for arrival in waiting.arrivals]
            )
        except LedgerError as error:
            if tries > 1:
                await self._record(batch, tries=tries - 1)
            else:
                _hand_out(batch, error=error)
        except Exception as error:  # noqa: BLE001 - a fault of ours, with one of them: the others don't pay for it
            if len(batch) > 1:
                for waiting in batch:
                    await self._record([waiting], tries=1)
            else:
                _hand_out(batch, error=error)
        else:
            _hand_out(batch, receipts)


def _hand_out(
    batch: Sequence[_Waiting], receipts: Sequence[Receipt] = (), *, error: Exception | None = None
) -> None:
    """To each of them its own; whoever gave up meanwhile gets nothing."""
    place = 0
    for arrivals, answer in batch:
        if answer.done():
            pass
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(list(receipts[place : place + len(arrivals)]))
        place += len(arrivals)
