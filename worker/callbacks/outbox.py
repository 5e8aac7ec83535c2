"""The loop that sends callbacks: takes what is due, sends many at a time, records what became of each."""

import asyncio
import logging
from datetime import timedelta
from typing import Final, Protocol, cast

from infra.ledger import Ledger, LedgerError
from infra.ledger.receivers import receiver_id
from infra.ledger.records import Delivery, DueCallback
from infra.ledger.scripts import BATCH
from infra.metrics import Metrics
from worker.callbacks.deliver import Sent
from worker.callbacks.lanes import Lanes
from worker.callbacks.receivers import Receiver, Receivers

log = logging.getLogger(__name__)

AT_ONCE: Final = 512
WAITING_MOST: Final = 256
HURRIED_LEAST: Final = 64
"""So many that wait only for those before them keep all lines busy while more are being taken."""

AWAY: Final = timedelta(seconds=3)
"""So long is left alone what had to make room or waited in vain: its receiver is slow, and others are to have the room."""

_MARGIN: Final = timedelta(seconds=15)
_TO_RECORD: Final = timedelta(seconds=3)
_PAUSE: Final = timedelta(seconds=1)
_PATIENCE: Final = 5.0
_LOOK_AROUND: Final = 1.0


class Sends(Protocol):
    """One attempt at a callback; never raises but for its cancellation."""

    async def send(self, due: DueCallback) -> Sent: ...

    async def aclose(self) -> None: ...


class Outbox:
    """Empties the ledger's outbox.

    A callback that is taken waits in its receiver's lane until `receivers` lets it begin. When the lanes are full of what
    waits for slow receivers, more is taken all the same, to find what others can have at once.

    Args:
        sender: this process, as the ledger knows who holds a callback.
        attempt_limit: how long one attempt may take; a callback whose sender died falls due again some time after it.
        look_every: how often to look without being told.
    """

    def __init__(
        self,
        ledger: Ledger,
        sends: Sends,
        receivers: Receivers,
        *,
        metrics: Metrics,
        sender: str,
        attempt_limit: timedelta,
        look_every: timedelta,
    ) -> None:
        self._callbacks = ledger.callbacks.dedicated()
        self._pausing = ledger.pausing
        self._sends = sends
        self._receivers = receivers
        self._lanes = Lanes(receivers)
        self._metrics = metrics
        self._sender = sender
        self._hold = attempt_limit + _MARGIN
        self._look_every = look_every
        self._sequence = 0
        self._looked_at = 0.0
        self._turning: asyncio.Future[timedelta] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._sent: list[Delivery] = []
        self._changed = asyncio.Event()
        self._withdrawing: set[asyncio.Task[None]] = set()
        self._next_begin: asyncio.Handle | None = None

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
        """Let attempts under way end and record them. Nothing new is taken; what can't begin soon is given back at once."""
        await self._finish_turn()
        self._lanes.clear(slow_only=True)
        await self._give_back(timedelta(0))
        limit = asyncio.get_running_loop().time() + _PATIENCE
        while self._sending and (left := limit - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._sending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            self._begin()
        self._lanes.clear()
        await self._record()
        await self._give_back(timedelta(0))
        await self._close()

    async def empty(self) -> None:
        """Send all that is due, for a worker that ends when there is no more to do.

        Raises:
            LedgerError: Redis went away meanwhile.
        """
        await self._finish_turn()
        while True:
            self._changed.clear()
            wait = await self._turn()
            if not self._sending and not self._lanes and not self._sent:
                break
            await self._pause(wait)
        await self._close()

    async def aclose(self) -> None:
        """Close the connection to the ledger."""
        await self._callbacks.aclose()

    async def _finish_turn(self) -> None:
        """Let a turn end that `run` was cancelled in: what it takes is held for us, and nobody else would send it for a while."""
        if self._turning is not None:
            await asyncio.gather(self._turning, return_exceptions=True)

    async def _close(self) -> None:
        if self._next_begin is not None:
            self._next_begin.cancel()
        await asyncio.gather(*self._withdrawing)
        await self._sends.aclose()

    async def _turn(self) -> timedelta:
        """Record, and take more if there is a use for it. Returns how long to wait for the next turn."""
        await self._record()
        if self._sending or self._lanes:
            await self._look_at_neighbours()
        if not self._hungry():
            return self._look_every
        begun_at = asyncio.get_running_loop().time()
        self._sequence += 1
        due, wait = await self._callbacks.due(
            self._sender, sequence=self._sequence, most=BATCH, hold=self._hold
        )
        until = begun_at + (_MARGIN - _TO_RECORD).total_seconds()
        for one in due:
            self._lanes.put(one, until=until)
        self._begin()
        self._lanes.trim(WAITING_MOST)
        waits = [self._look_every] if wait is None else [self._look_every, wait]
        if self._lanes.let_go:
            await self._give_back(AWAY)
            waits.append(AWAY)
        return min(waits)

    async def _look_at_neighbours(self) -> None:
        """See, once a second, with how many this one shares the receivers' rates, and whom to send less."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < _LOOK_AROUND:
            return
        self._looked_at = now
        workers, throttled = await self._callbacks.neighbours()
        self._receivers.share(workers)
        for host in throttled:
            self._receivers.throttle(host, now)

    def _hungry(self) -> bool:
        if len(self._sending) >= AT_ONCE:
            return False
        return len(self._lanes) < WAITING_MOST or self._lanes.hurried < HURRIED_LEAST

    def _begin(self) -> None:
        """Send what may be sent now, and come back when more may."""
        loop = asyncio.get_running_loop()
        for receiver, due in self._lanes.begin(loop.time(), most=AT_ONCE - len(self._sending)):
            task = asyncio.create_task(self._send(receiver, due))
            self._sending.add(task)
        if self._next_begin is not None:
            self._next_begin.cancel()
        self._next_begin = (
            loop.call_later(self._lanes.soonest, self._begin_later) if self._lanes.soonest < 3600 else None
        )

    def _begin_later(self) -> None:
        self._begin()
        self._changed.set()

    async def _send(self, receiver: Receiver, due: DueCallback) -> None:
        try:
            sent = await self._sends.send(due)
        finally:
            self._sending.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        now = asyncio.get_running_loop().time()
        pause = 0.0 if sent.pause is None else sent.pause.total_seconds()
        self._receivers.end(receiver, sent.result, now, pause=pause)
        delivery = sent.delivery
        self._sent.append(delivery)
        self._metrics.called(delivery)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "callback %s",
                delivery.status,
                extra={"callback": due.id, "job": due.job.id, "http_status": delivery.attempt.status,
                       "attempt": delivery.attempt.number, "reason": delivery.reason or delivery.attempt.error},
            )  # fmt: skip
        self._changed.set()
        if self._lanes:
            self._begin()

    async def _record(self) -> None:
        while self._sent:
            batch = self._sent[:BATCH]
            paused = await self._callbacks.record(batch)
            del self._sent[: len(batch)]
            for url in paused:
                receiver = {"receiver": receiver_id(url)}
                log.warning("a receiver is paused: its callbacks are dead letters", extra=receiver)
                self._withdrawing.add(task := asyncio.create_task(self._withdraw(url)))
                task.add_done_callback(self._withdrawing.discard)

    async def _withdraw(self, url: str) -> None:
        """Have the ledger look at what waits for a receiver that is paused; else that falls due by and by."""
        try:
            await self._pausing.withdraw(url)
        except LedgerError as error:
            log.error("callbacks could not be withdrawn: %s", error, extra={"receiver": receiver_id(url)})

    async def _give_back(self, wait: timedelta) -> None:
        """Let the ledger have what the lanes let go; where it can't be told, that falls due when the hold ends."""
        let_go, self._lanes.let_go = self._lanes.let_go, []
        await self._callbacks.postpone(let_go, wait)

    async def _pause(self, wait: timedelta) -> None:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            pass
