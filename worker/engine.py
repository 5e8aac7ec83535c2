"""The RQ worker: takes jobs, runs them, finishes them, in batches, in one asyncio loop.

Two streams run beside each other, each over a connection of its own with one request in flight: claims bring as many jobs as
there are free slots (here), settlements record what ended (`worker.settling`). So Redis and the handlers work at the same time. All that other
processes must know is in Redis: kill this one at any moment, and its jobs are taken over when its lease runs out.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.serializers import JSONSerializer
from rq.version import VERSION
from rq.worker import BaseWorker

from handlers.registry import Registry
from infra.ids import new_suffix
from infra.ledger import Ledger, LedgerError, keys
from infra.ledger.jobs import Report
from infra.ledger.records import Claim, Settlement
from infra.ledger.scripts import BATCH
from infra.metrics import Metrics
from infra.tasks import end
from infra.tracing import UNTRACED, Traces
from worker.attempts import Attempts
from worker.callbacks.outbox import Outbox
from worker.commands import Told, told, told_by_rq
from worker.failures import FailureNotes
from worker.isolation import Isolation
from worker.lease import Lease
from worker.orders import Orders
from worker.replayer import Replayer
from worker.reports import Reports
from worker.routing import Routing
from worker.settling import Settling
from worker.sweeper import Sweeper
from worker.ticks import Ticker
from worker.wakeup import Wakeup, listen
from worker.watchdog import Watchdog

log = logging.getLogger(__name__)

HOOKLINE_VERSION: Final = version("hookline")

_REPORT_EVERY: Final = 0.1
_LOOK_EVERY: Final = 60.0  # seconds; a wake-up that got lost costs no more than that
_PAUSE: Final = 0.5
_SWITCH_EVERY: Final = 0.001  # seconds that a thread waits for the loop to let it go on; Python's 5 ms are much of a short handler
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
        listen_on: makes the client that hears what others tell workers.
        background: what else runs for as long as the worker does.
        concurrency: the most jobs held at a time.
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
        metrics: Metrics,
        traces: Traces = UNTRACED,
        outbox: Outbox,
        sweeper: Sweeper,
        failures: FailureNotes,
        background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
        make_lease: Callable[["Engine"], Lease],
        lease_length: timedelta,
        concurrency: int,
        grace: timedelta,
    ) -> None:
        super().__init__(
            list(queues), name=name, connection=connection, serializer=JSONSerializer, prepare_for_work=False
        )
        self.hostname, self.pid, self.ip_address = socket.gethostname(), os.getpid(), "unknown"
        self._ledger = ledger
        self._isolation = isolation
        self._names = queues
        self._orders = Orders(
            ledger.pauses,
            worker=name,
            queues=queues,
            manifest=registry.manifest(),
            look_every=lease_length / 3,
            changed=self._woken,
            drain=self.request_stop,
        )
        self._wakeup = wakeup
        self._listen_on = listen_on
        self._reports = reports
        self._outbox = outbox
        self._sweeper = sweeper
        self._failures = failures
        self._background = background
        self._ticker = Ticker(ledger, registry)
        self._replayer = Replayer(ledger, worker=name)
        self._lease = make_lease(self)
        self._lease_length = lease_length
        self._threaded = any(one.blocking and one.isolation == "thread" for one in registry)
        self._concurrency = concurrency
        self._grace = grace
        self._claims = ledger.jobs.dedicated()
        self._settling = Settling(ledger.jobs.dedicated(), reports, worker=name, settled=self._settled)
        self._attempts = Attempts(
            registry,
            isolation,
            Routing(ledger),
            metrics=metrics,
            traces=traces,
            ended=self._ended,
            fault=self._fail,
        )
        self._watchdog = Watchdog(self._attempts.describe)
        self._fault: BaseException | None = None
        self._sequence = 0
        self._may_have_jobs = True
        self._review_at = 0.0
        self._burst = False
        self._max_idle = timedelta(0)
        self._stopping = False
        self._changed = asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()

    # -- what RQ calls ---------------------------------------------------------------------------------------------

    def work(self, burst: bool = False, **_: Any) -> bool:  # type: ignore[override]
        """Work until `stop`, or with `burst` until the queues are empty. Returns whether any job was run."""
        return asyncio.run(self.run(burst=burst)) > 0

    def request_stop(self, *_: object) -> None:
        """Take no further job; let the running ones end. Safe to call twice."""
        if not self._stopping:
            log.info("stopping: no further job is taken, %d may end", len(self._attempts))
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
            "hookline_version": HOOKLINE_VERSION,
            "slots": str(self._concurrency),
        }

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(
        self,
        *,
        burst: bool = False,
        max_idle: timedelta = timedelta(0),
        threaded: bool = True,
        handle_signals: bool = True,
    ) -> int:
        """Work in a loop that is already running.

        Args:
            burst: end when the queues are empty.
            max_idle: and nothing has come into them for so long.
            threaded: keep the lease, and a watch over the loop, in threads of their own; False where Redis lives in this
                process.
            handle_signals: SIGTERM and SIGINT stop the work.

        Returns:
            How many attempts were settled.
        """
        self._burst = burst
        self._max_idle = max_idle
        loop = asyncio.get_running_loop()
        if self._threaded:
            sys.setswitchinterval(_SWITCH_EVERY)
        if handle_signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.request_stop)
        await self._registered()
        log.info("worker %s serves %s", self.name, ", ".join(self._names))
        background: list[Coroutine[Any, Any, None]] = [
            self._wakeup.run(self._woken),
            self._listen(),
            self._settling.run(),
            self._outbox.run(),
            self._sweeper.keep_schedule(),
            self._sweeper.keep_sweeping(),
            self._orders.run(),
            self._ticker.run(),
            self._replayer.run(),
            self._failures.run(),
            *(run() for run in self._background),
            self._keep_reporting(),
        ]
        if threaded:
            self._lease.start_thread(lost=lambda: loop.call_soon_threadsafe(self._review))
            self._watchdog.start()
        else:
            background.append(self._lease.run(lost=self._review))
        tasks = [asyncio.create_task(one) for one in background]
        for task in tasks:
            task.add_done_callback(self._note_fault)
        try:
            await self._take()
            await self._attempts.drain(self._grace)
            await self._settling.drain()
        finally:
            self._watchdog.stop()
            await end(*tasks)
            # Where Redis lives in this process, what is not sent now is never sent.
            await self._leave(empty_outbox=not threaded or (burst and not self._stopping))
        return self._settling.count

    async def _take(self) -> None:
        """Claim jobs for free slots, and start them."""
        while not self._stopping:
            self._changed.clear()
            if self._fault is not None:
                raise self._fault
            slots = self._free_slots() if self._may_have_jobs else 0
            try:
                claims = await self._claim(slots) if slots else ()
            except LedgerError as error:
                log.error("%s; trying again", error)
                await asyncio.sleep(_PAUSE)
                continue
            for claim in claims:
                self._reports.open(claim)
                self._attempts.start(claim)
            if self._burst and not (self._may_have_jobs or self._attempts or self._settling.waiting):
                self._wakeup.arm(self._orders.queues)
                if not await self._change(within=self._max_idle.total_seconds()):
                    return
                continue
            if len(claims) < slots:
                self._wakeup.arm(self._orders.queues)
            if not (self._may_have_jobs and slots) and not await self._change(within=_LOOK_EVERY):
                self._may_have_jobs = True

    async def _claim(self, slots: int) -> Sequence[Claim]:
        self._may_have_jobs = False  # a job that comes from here on is told of
        try:
            if self._orders.news:
                await self._orders.heed()
            claims = await self._claims.claim(
                self.name,
                sequence=self._sequence + 1,
                slots=slots,
                queues=self._orders.queues,
                lease=self._lease_length,
                limits=self._orders.limits,
            )
        except LedgerError:
            self._may_have_jobs = True
            raise
        self._sequence += 1
        self._may_have_jobs = self._may_have_jobs or len(claims) == slots
        return claims

    def _free_slots(self) -> int:
        """An outcome that could not be sent yet keeps its slot, so that no crash repeats more jobs than run at a time."""
        if self._isolation.crowded:
            return 0
        held = len(self._attempts) + self._settling.behind
        return max(0, min(BATCH, self._room(), self._concurrency - held))

    def _room(self) -> int:
        """As many jobs as have a thread, and one more, which may need none: what waits here could run in another worker."""
        return self._isolation.threads + 1 - self._attempts.in_threads if self._threaded else BATCH

    async def _change(self, *, within: float) -> bool:
        """Wait for a job to end or to arrive. Returns whether one did within so many seconds."""
        try:
            async with asyncio.timeout(within):
                return await self._changed.wait()
        except TimeoutError:
            return False

    # -- what happens meanwhile ------------------------------------------------------------------------------------

    def _woken(self) -> None:
        self._may_have_jobs = True
        self._changed.set()

    def _ended(self, settlement: Settlement) -> None:
        self._failures.note(settlement)
        self._settling.add(settlement)
        self._changed.set()

    def _settled(self, callbacks: bool) -> None:
        if callbacks:
            self._outbox.look()
        self._may_have_jobs |= self._burst  # what was given back is run before the end
        self._changed.set()

    def _fail(self, fault: BaseException) -> None:
        """Nothing of ours ends by an exception but through a fault of ours: the process must end with it, and be restarted."""
        self._fault = fault
        self._changed.set()

    def _note_fault(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _keep_reporting(self) -> None:
        """Write what handlers say, and ask once in a while whether their jobs are still ours."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_REPORT_EVERY)
            async with self._reports.on_the_way:
                reports = self._reports.take()
                if clock() >= self._review_at:
                    self._review_at = clock() + self._lease_length.total_seconds() / 3
                    reports += [Report(attempt.claim) for attempt in self._attempts]
                if reports:
                    try:
                        self._attempts.stop(await self._ledger.jobs.report(reports))
                    except LedgerError as error:
                        log.error("progress could not be kept: %s", error)

    def _review(self) -> None:
        """Some of our jobs may run elsewhere."""
        self._review_at = 0.0

    # -- what others say -------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        channels = {
            keys.WAKE: lambda message: self._heard(told(message)),
            PUBSUB_CHANNEL_TEMPLATE % self.name: lambda message: self._heard(told_by_rq(message)),
        }
        await listen(self._listen_on, channels, again=self._look_around)

    def _look_around(self) -> None:
        """Whatever was said before we listened."""
        self._outbox.look()
        self._sweeper.look_at_schedule()
        self._replayer.look()
        self._orders.look()
        self._review()

    def _heard(self, message: Told) -> None:
        match message:
            case ("schedule", _):
                self._sweeper.look_at_schedule()
            case ("outbox", _):
                self._outbox.look()
            case ("replay", _):
                self._replayer.look()
            case ("orders", _):
                self._orders.look()
            case ("canceled", job_id):
                self._attempts.stop({job_id})
            case ("cancel", job_id):
                self._cancel(job_id)
            case ("swept", sweeper):
                self._sweeper.heard_of(sweeper)
            case ("stop", _):
                self.request_stop()
            case ("kill", _):
                log.warning("told to kill the processes of handlers: %d", self._isolation.kill_children())
            case _:
                log.warning("was told what is not understood")

    def _cancel(self, job_id: str) -> None:
        """Cancel a job that runs here, as RQ's command wants; that it is canceled we then hear as all do."""
        if not any(attempt.claim.job_id == job_id for attempt in self._attempts):
            log.warning("told to stop a job that does not run here", extra={"job": job_id})
            return

        async def cancel() -> None:
            try:
                await self._ledger.jobs.cancel(job_id)
            except LedgerError as error:
                log.error("a job could not be canceled: %s", error, extra={"job": job_id})

        self._errands.add(errand := asyncio.create_task(cancel()))
        errand.add_done_callback(self._errands.discard)

    # -- beginning and end -----------------------------------------------------------------------------------------

    async def _registered(self) -> None:
        """Return once the lease is ours and we know what operators want, or once we are to stop and Redis is away."""
        waits = round(_PATIENCE / _PAUSE)
        while True:
            try:
                await self._lease.renew(self._ledger)
                return await self._orders.hear()
            except LedgerError as error:
                log.error("%s; trying again", error)
                waits -= self._stopping
                if waits <= 0:
                    return None
                await asyncio.sleep(_PAUSE)

    async def _leave(self, *, empty_outbox: bool) -> None:
        await self._isolation.aclose()
        try:
            await (self._outbox.empty() if empty_outbox else self._outbox.drain())
            await self._failures.flush()
            await asyncio.to_thread(self._lease.stop)
            left = await self._ledger.workers.depart(self.name, queues=self._names)
        except LedgerError as error:
            log.error("could not sign off (%s): the lease runs out by itself", error)
        else:
            log.info("worker %s stopped, %d jobs left to others", self.name, left)
        finally:
            await self._claims.aclose()
            await self._settling.aclose()
            await self._outbox.aclose()
