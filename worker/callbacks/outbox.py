"""The loop that sends callbacks: takes what is due, sends many at a time, records what became of each."""

import asyncio
import logging
from datetime import timedelta
from typing import Protocol

from infra.ledger import Ledger, LedgerError
from infra.ledger.records import Delivery, DueCallback

log = logging.getLogger(__name__)

AT_ONCE = 64
_MARGIN = timedelta(seconds=15)
_PAUSE = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=5)


class Sends(Protocol):
    """One attempt at a callback; never raises but for its cancellation."""

    async def send(self, due: DueCallback) -> Delivery: ...


class Outbox:
    """Empties the ledger's outbox.

    Args:
        sender: this process, as the ledger knows who holds a callback.
        attempt_limit: how long one attempt may take; a callback whose sender died falls due again some time after it.
        look_every: how often to look without being told.
    """

    def __init__(
        self, ledger: Ledger, sends: Sends, *, sender: str, attempt_limit: timedelta, look_every: timedelta
    ) -> None:
        self._ledger = ledger
        self._sends = sends
        self._sender = sender
        self._hold = attempt_limit + _MARGIN
        self._look_every = look_every
        self._sequence = 0
        self._turning: asyncio.Future[timedelta] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._sent: list[Delivery] = []
        self._changed = asyncio.Event()

    def look(self) -> None:
        """A callback may be due."""
        self._changed.set()

    async def run(self) -> None:
        """Send for as long as the task lives; `drain` then finishes what is under way."""
        while True:
            self._changed.clear()
            self._turning = asyncio.ensure_future(self._turn())
            try:
                wait = await asyncio.shield(self._turning)
            except LedgerError as error:
                log.error("the outbox can't be reached: %s", error)
                wait = _PAUSE
            await self._pause(wait)

    async def drain(self) -> None:
        """Let attempts under way end and record them. Nothing new is taken; what takes too long falls due again."""
        await self._finish_turn()
        if self._sending:
            await asyncio.wait(self._sending, timeout=_PATIENCE.total_seconds())
        await self._record()

    async def empty(self) -> None:
        """Send all that is due, for a worker that ends when there is no more to do.

        Raises:
            LedgerError: Redis went away meanwhile.
        """
        await self._finish_turn()
        while True:
            await self._turn()
            if not self._sending:
                return
            await asyncio.wait(self._sending)

    async def _finish_turn(self) -> None:
        """Let a turn end that `run` was cancelled in: what it takes is held for us, and nobody else would send it for a while."""
        if self._turning is not None:
            await asyncio.gather(self._turning, return_exceptions=True)

    async def _turn(self) -> timedelta:
        await self._record()
        free = AT_ONCE - len(self._sending)
        if free <= 0:
            return self._look_every
        self._sequence += 1
        due, wait = await self._ledger.callbacks.due(
            self._sender, sequence=self._sequence, most=free, hold=self._hold
        )
        for one in due:
            task = asyncio.create_task(self._send(one))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return self._look_every if wait is None else min(wait, self._look_every)

    async def _send(self, due: DueCallback) -> None:
        delivery = await self._sends.send(due)
        self._sent.append(delivery)
        log.info(
            "callback %s",
            delivery.status,
            extra={"callback": due.id, "job": due.job.id, "http_status": delivery.attempt.status, "attempt": delivery.attempt.number,
                   "reason": delivery.reason or delivery.attempt.error},
        )  # fmt: skip
        self._changed.set()

    async def _record(self) -> None:
        while self._sent:
            batch = self._sent[:100]
            await self._ledger.callbacks.record(batch)
            del self._sent[: len(batch)]

    async def _pause(self, wait: timedelta) -> None:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            pass
