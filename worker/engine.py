"""The RQ worker: takes jobs, runs them, finishes them, in batches, in one asyncio loop.

Each turn is one round trip: what ended since the last turn is settled, and as many jobs are claimed as there are free
slots. Between turns it waits for a job to end or to arrive. All that other processes must know is in Redis: kill this one
at any moment, and its jobs are taken over when its lease runs out.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq.serializers import JSONSerializer
from rq.version import VERSION
from rq.worker import BaseWorker

from handlers.registry import Registry
from infra.ids import new_suffix
from infra.ledger import Ledger, LedgerError
from infra.ledger.records import Claim, Failed, Outcome, Released, Retried, Settlement
from infra.ledger.scripts import BATCH
from infra.ledger.wire import limits_of
from infra.logs import bind
from infra.tasks import end
from worker.callbacks.outbox import Outbox
from worker.isolation import Isolation
from worker.lease import Lease
from worker.reports import Reports
from worker.routing import Routing
from worker.sweeper import Sweeper
from worker.wakeup import Wakeup, listen

log = logging.getLogger(__name__)

_REPORT_EVERY: Final = 0.1
_PAUSE: Final = 0.5
_PATIENCE: Final = 5.0  # seconds, of a worker that is to stop, with a Redis that is away


def worker_name() -> str:
    """A name that no other worker has: host, process, chance.

    >>> worker_name().count(".") >= 2
    True
    """
    host = "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in socket.gethostname())
    return f"{host[:40]}.{os.getpid()}.{new_suffix()[-6:]}"


class Engine(BaseWorker):
    """One worker process.

    Args:
        connection: for what RQ itself asks; the work goes through `ledger`.
        listen_on: makes the client that hears when something falls due early.
        concurrency: the most jobs held at a time.
        look_every: how often to look for jobs without being woken; a lost wake-up costs no more than that.
        grace: how long running jobs may go on after `stop`; then they go back to their queue.
    """

    def __init__(
        self,
        ledger: Ledger,
        isolation: Isolation,
        registry: Registry,
        *,
        name: str,
        queues: tuple[str, ...],
        connection: Redis,
        wakeup: Wakeup,
        listen_on: Callable[[], AsyncRedis],
        reports: Reports,
        outbox: Outbox,
        sweeper: Sweeper,
        make_lease: Callable[["Engine"], Lease],
        lease_length: timedelta,
        concurrency: int,
        look_every: timedelta,
        grace: timedelta,
    ) -> None:
        super().__init__(
            list(queues), name=name, connection=connection, serializer=JSONSerializer, prepare_for_work=False
        )
        self.hostname, self.pid, self.ip_address = socket.gethostname(), os.getpid(), "unknown"
        self._ledger = ledger
        self._isolation = isolation
        self._registry = registry
        self._names = queues
        self._limits = limits_of(registry.manifest())
        self._wakeup = wakeup
        self._listen_on = listen_on
        self._reports = reports
        self._outbox = outbox
        self._sweeper = sweeper
        self._lease = make_lease(self)
        self._lease_length = lease_length
        self._concurrency = concurrency
        self._look_every = look_every.total_seconds()
        self._grace = grace
        self._routing = Routing(ledger)
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._fault: BaseException | None = None
        self._ended: list[Settlement] = []
        self._sequence = 0
        self._stopping = False
        self._settled = 0
        self._changed = asyncio.Event()

    # -- what RQ calls ---------------------------------------------------------------------------------------------

    def work(self, burst: bool = False, **_: Any) -> bool:  # type: ignore[override]
        """Work until `stop`, or with `burst` until the queues are empty. Returns whether any job was run."""
        return asyncio.run(self.run(burst=burst)) > 0

    def request_stop(self, *_: object) -> None:
        """Take no further job; let the running ones end. Safe to call twice."""
        if not self._stopping:
            log.info("stopping: no further job is taken, %d may end", len(self._running))
        self._stopping = True
        self._changed.set()

    def record(self) -> dict[str, str]:
        """What `rq info` shows of this worker."""
        return {
            "queues": ",".join(self._names),
            "hostname": self.hostname or "",
            "pid": str(self.pid),
            "ip_address": self.ip_address,
            "version": VERSION,
            "python_version": sys.version.split()[0],
        }

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self, *, burst: bool = False, threaded: bool = True, handle_signals: bool = True) -> int:
        """Work in a loop that is already running.

        Args:
            threaded: keep the lease in a thread of its own; False where Redis lives in this process.
            handle_signals: SIGTERM and SIGINT stop the work.

        Returns:
            How many attempts were settled.
        """
        if handle_signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.request_stop)
        await self._until_confirmed(lambda: self._lease.renew(self._ledger))
        log.info("worker %s serves %s", self.name, ", ".join(self._names))
        background: list[Coroutine[Any, Any, None]] = [
            self._wakeup.run(self._changed.set),
            listen(self._listen_on, self._heard),
            self._outbox.run(),
            self._sweeper.keep_schedule(),
            self._sweeper.keep_sweeping(),
            self._keep_reporting(),
        ]
        if threaded:
            self._lease.start_thread()
        else:
            background.append(self._lease.run())
        tasks = [asyncio.create_task(one) for one in background]
        for task in tasks:
            task.add_done_callback(self._note_fault)
        try:
            await self._take_and_settle(burst=burst)
            await self._drain()
        finally:
            await end(*tasks)
            # Where Redis lives in this process, what is not sent now is never sent.
            await self._leave(empty_outbox=not threaded or (burst and not self._stopping))
        return self._settled

    def _heard(self, what: str) -> None:
        if what == "outbox":
            self._outbox.look()
        else:
            self._sweeper.look_at_schedule()

    async def _take_and_settle(self, *, burst: bool) -> None:
        while not self._stopping:
            self._changed.clear()
            if self._fault is not None:
                raise self._fault
            slots = min(self._free_slots(), BATCH)
            taken = 0
            if slots or self._ended:
                try:
                    taken = await self._turn(slots)
                except LedgerError as error:
                    log.error("%s; trying again", error)
                    await asyncio.sleep(_PAUSE)
                    continue
            if burst and slots and not (taken or self._running or self._ended):
                return
            if taken < slots:
                self._wakeup.arm()
            if not self._ended and (taken < slots or not self._free_slots()):
                await self._change()

    async def _change(self) -> None:
        """Wait for a job to end or to arrive."""
        try:
            async with asyncio.timeout(self._look_every):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _turn(self, slots: int) -> int:
        """Settle and claim in one round trip. Returns how many jobs were claimed."""
        ending = self._ended[:BATCH]
        await self._report_last_words(ending)
        turn = await self._ledger.jobs.turn(
            self.name,
            ending,
            sequence=self._sequence + 1,
            slots=slots,
            queues=self._names,
            lease=self._lease_length,
            limits=self._limits,
        )
        self._sequence += 1
        self._forget(ending, callbacks=turn.callbacks_queued)
        for claim in turn.claims:
            self._start(claim)
        return len(turn.claims)

    def _free_slots(self) -> int:
        if self._isolation.crowded:
            return 0
        return max(0, self._concurrency - len(self._running) - max(0, len(self._ended) - BATCH))

    def _start(self, claim: Claim) -> None:
        self._reports.open(claim)
        task = asyncio.create_task(self._execute(claim))
        self._running[task] = claim
        task.add_done_callback(self._running.pop)
        task.add_done_callback(self._note_fault)

    def _note_fault(self, task: asyncio.Task[None]) -> None:
        """No task of ours ends by an exception but through a fault of ours: the process must end with it, and be restarted."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
            self._changed.set()

    async def _execute(self, claim: Claim) -> None:
        """One attempt, whose outcome is always settled."""
        handler = self._registry.find(claim.source, claim.type)
        with bind(job=claim.job_id, event=claim.event_id, attempt=claim.attempt):
            outcome: Outcome
            try:
                outcome = await (
                    self._routing.elsewhere(claim) if handler is None else self._isolation.run(handler, claim)
                )
            except asyncio.CancelledError:
                outcome = Released()
            _log_outcome(claim, outcome)
        self._ended.append(
            Settlement(
                claim=claim,
                outcome=outcome,
                handler="" if handler is None else handler.name,
                max_attempts=0 if handler is None else handler.policy.max_attempts,
            )
        )
        self._changed.set()

    # -- what handlers said ----------------------------------------------------------------------------------------

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY)
            if reports := self._reports.take():
                try:
                    await self._ledger.jobs.report(reports)
                except LedgerError as error:
                    log.error("progress could not be kept: %s", error)

    async def _report_last_words(self, ending: list[Settlement]) -> None:
        """What was said since the last report, before the lease that allows saying it ends."""
        said = [
            report for settlement in ending if (report := self._reports.close(settlement.claim)) is not None
        ]
        if said:
            await self._ledger.jobs.report(said)

    def _forget(self, ending: list[Settlement], *, callbacks: bool) -> None:
        del self._ended[: len(ending)]
        self._settled += len(ending)
        if callbacks:
            self._outbox.look()

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let what runs end within the grace; what does not goes back to its queue."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._grace.total_seconds())
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=1)
        for claim in self._running.values():  # swallowed its cancellation: its lease speaks for it
            log.error("a handler did not let itself be cancelled", extra={"job": claim.job_id})
        while self._ended:
            ending = self._ended[:BATCH]
            if not await self._until_confirmed(lambda batch=ending: self._settle(batch)):  # type: ignore[misc]
                log.error(
                    "%d outcomes could not be recorded: those jobs are taken over and run again",
                    len(self._ended),
                )
                return

    async def _settle(self, ending: list[Settlement]) -> None:
        await self._report_last_words(ending)
        self._forget(ending, callbacks=await self._ledger.jobs.settle(self.name, ending))

    async def _leave(self, *, empty_outbox: bool) -> None:
        await self._isolation.aclose()
        try:
            await (self._outbox.empty() if empty_outbox else self._outbox.drain())
            await asyncio.to_thread(self._lease.stop)
            left = await self._ledger.workers.depart(self.name, queues=self._names)
        except LedgerError as error:
            log.error("could not sign off (%s): the lease runs out by itself", error)
        else:
            log.info("worker %s stopped, %d jobs left to others", self.name, left)

    async def _until_confirmed(self, step: Callable[[], Coroutine[Any, Any, Any]]) -> bool:
        """Repeat a step while Redis is away; once we are to stop, for a few seconds only. Returns whether it was done."""
        patience = round(_PATIENCE / _PAUSE)
        while True:
            try:
                await step()
            except LedgerError as error:
                log.error("%s; trying again", error)
                patience -= self._stopping
                if patience <= 0:
                    return False
                await asyncio.sleep(_PAUSE)
            else:
                return True


def _log_outcome(claim: Claim, outcome: Outcome) -> None:
    if isinstance(outcome, Failed | Retried):
        log.warning(
            "%s %s %s",
            claim.source,
            claim.type,
            type(outcome).__name__.lower(),
            extra={"error": outcome.error.public()},
        )
    else:
        log.info("%s %s %s", claim.source, claim.type, type(outcome).__name__.lower())
