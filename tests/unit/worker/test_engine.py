"""The worker over a Redis in this process: what it does with each outcome, and how it ends."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from rq.command import PUBSUB_CHANNEL_TEMPLATE, send_command, send_shutdown_command, send_stop_job_command

from handlers import Reject, RetryLater
from handlers.attempt import Runner
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from infra.clock import SystemClock
from infra.egress import EgressPolicy
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, Seal
from infra.ledger.records import Arrival, CallbackAttempt, CallbackStatus, Delivery, DueCallback, JobRecord
from infra.metrics import Metrics
from infra.redis_client import memory
from tests.files import no_files
from worker import isolation
from worker.callbacks.deliver import Sent
from worker.callbacks.outbox import Outbox
from worker.callbacks.receivers import Receivers, Result
from worker.children import Children
from worker.engine import Engine
from worker.failures import FailureNotes
from worker.frames import Setup
from worker.isolation import Isolation
from worker.lease import Lease
from worker.reports import Reports
from worker.services import LedgerServices
from worker.sweeper import Sweeper
from worker.wakeup import Polling

LEASE = timedelta(seconds=10)
QUEUES = ("high", "default", "low")


@dataclass
class Sends:
    """Delivers every callback, and keeps it."""

    sent: list[DueCallback] = field(default_factory=list)

    async def send(self, due: DueCallback) -> Sent:
        self.sent.append(due)
        attempt = CallbackAttempt(
            number=due.attempts + 1, at=datetime.now(UTC), duration=timedelta(0), status=204
        )
        delivery = Delivery(callback=due, attempt=attempt, status=CallbackStatus.DELIVERED)
        return Sent(delivery, Result.TAKEN)

    async def aclose(self) -> None:
        """Nothing is kept open."""


class House:
    """A ledger in this process, and workers on it."""

    def __init__(self) -> None:
        self._server = fakeredis.FakeServer()
        self.metrics = Metrics()
        self.registry = Registry()
        self.sends = Sends()
        self.ledger = self.open_ledger()

    def open_ledger(self) -> Ledger:
        return Ledger(memory(self._server).asynchronous, seal=Seal(["key"]))

    def worker(
        self,
        name: str = "w",
        *,
        grace: timedelta = timedelta(seconds=5),
        concurrency: int = 10,
        threads: int = 4,
        deaf: bool = False,
        lease: timedelta = LEASE,
    ) -> Engine:
        ledger = self.open_ledger()
        reports = Reports(SystemClock())
        services = LedgerServices(ledger, policy=EgressPolicy(), files=no_files(), clock=SystemClock())
        runner = Runner(
            self.registry, executor=ThreadPoolExecutor(threads), effects=reports, services=services,
            http=HTTPClients(), clock=SystemClock(), jitter=random.random,
        )  # fmt: skip

        @asynccontextmanager
        async def opened() -> Any:
            yield ledger

        return Engine(
            ledger,
            Isolation(runner, Children(Setup(modules=(), path=()), slots=1, effects=reports, services=services), threads=threads),
            self.registry,
            name=name,
            queues=QUEUES,
            connection=memory(self._server).synchronous,
            wakeup=Polling(memory(self._server).asynchronous, QUEUES),
            listen_on=lambda: memory(None if deaf else self._server).asynchronous,
            reports=reports,
            metrics=self.metrics,
            outbox=Outbox(ledger, self.sends, Receivers(probe_every=1.0), metrics=self.metrics, sender=name, attempt_limit=timedelta(seconds=1), look_every=timedelta(seconds=1)),
            sweeper=Sweeper(ledger, queues=QUEUES, interval=timedelta(seconds=1), spread=0.5),
            failures=FailureNotes(ledger.troubles, root=Path.cwd()),
            make_lease=lambda engine: Lease(
                opened, worker=name, length=lease, queues=QUEUES, manifest=self.registry.manifest(), record=engine.record
            ),
            lease_length=lease,
            concurrency=concurrency,
            grace=grace,
        )  # fmt: skip

    async def accept(
        self, type: str = "t", *, callback_url: str | None = None, queue: str = "default", body: bytes = b"{}"
    ) -> str:
        suffix = new_suffix()
        arrival = Arrival(
            event_id=EVENT + suffix, job_id=JOB + suffix, source="acme", type=type, received_at=datetime.now(UTC), body=body,
            queue=queue, callback_url=callback_url,
        )  # fmt: skip
        (receipt,) = await self.ledger.events.accept([arrival])
        return receipt.job_id

    async def job(self, job_id: str) -> JobRecord:
        job = await self.ledger.reading.job(job_id)
        assert job is not None
        return job

    async def until(self, job_id: str, status: str) -> JobRecord:
        async with asyncio.timeout(10):
            while (job := await self.job(job_id)).status != status:
                await asyncio.sleep(0.01)
        return job

    async def until_listening(self, worker: Engine) -> None:
        channel = PUBSUB_CHANNEL_TEMPLATE % worker.name
        async with asyncio.timeout(10):
            while not dict(await self.ledger.redis.pubsub_numsub(channel))[channel.encode()]:
                await asyncio.sleep(0.01)


def in_loop(test: Callable[[House], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test(House())

    asyncio.run(limited())


@asynccontextmanager
async def working(worker: Engine) -> AsyncIterator[Engine]:
    """That worker at work; it has stopped in order afterwards."""
    task = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
    yield worker
    worker.request_stop()
    await task


def burst(house: House, **options: Any) -> Awaitable[int]:
    return house.worker(**options).run(burst=True, threaded=False, handle_signals=False)


def test_a_job_runs_its_result_is_kept_and_the_caller_is_called() -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> dict[str, Any]:
            context.progress(1, 2, "halfway")
            context.log.info("hello")
            return {"got": context.payload}

        job_id = await house.accept(body=b'{"n": 1}', callback_url="http://127.0.0.9/x")
        assert await burst(house) == 1
        job = await house.job(job_id)
        assert (job.status, job.result, job.attempt) == ("finished", {"got": {"n": 1}}, 1)
        assert job.handler is not None
        assert job.handler.endswith(":handle") or "handle" in job.handler
        assert job.progress is not None
        assert job.progress.message == "halfway"
        assert [line["message"] for line in job.logs] == ["hello"]
        assert [due.job.id for due in house.sends.sent] == [job_id]
        assert job.callback is not None
        assert job.callback.status == "delivered"

    in_loop(test)


def test_a_def_handler_runs_in_a_thread_beside_the_loop() -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        def handle(context: Any) -> bool:
            return threading.current_thread() is not threading.main_thread()

        job_id = await house.accept()
        await burst(house)
        assert (await house.job(job_id)).result is True

    in_loop(test)


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (Reject("no such meeting"), "failed", "Reject"),
        (RetryLater("90s", "not yet"), "scheduled", "RetryLater"),
        (ValueError("odd"), "scheduled", "ValueError"),
        (SystemExit(3), "scheduled", "SystemExit"),
    ],
)
def test_what_a_handler_raises_decides_what_becomes_of_the_job(
    raised: BaseException, status: str, error: str
) -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            raise raised

        job_id = await house.accept(callback_url="http://127.0.0.9/x")
        await burst(house)
        job = await house.job(job_id)
        assert (job.status, job.error and job.error.type) == (status, error)
        assert len(house.sends.sent) == (1 if status == "failed" else 0)
        assert (job.next_attempt_at is not None) == (status == "scheduled")

    in_loop(test)


def test_an_event_that_nobody_handles_is_ignored_and_nobody_is_called() -> None:
    async def test(house: House) -> None:
        job_id = await house.accept("unknown", callback_url="http://127.0.0.9/x")
        await burst(house)
        assert (await house.job(job_id)).status == "ignored"
        assert house.sends.sent == []

    in_loop(test)


def test_a_job_for_another_worker_goes_to_its_queue() -> None:
    async def test(house: House) -> None:
        from infra.ledger.records import HandlerEntry

        entry = HandlerEntry(source="acme", type="t", handler="other:handle", queue="videos")
        await house.ledger.workers.renew(
            "other", lease=LEASE, queues=["videos"], manifest=[entry], record={"queues": "videos"}
        )
        job_id = await house.accept()
        await burst(house)
        job = await house.job(job_id)
        assert (job.status, job.queue, job.attempt) == ("queued", "videos", 0)

    in_loop(test)


def test_a_stopping_worker_lets_what_runs_end_and_takes_nothing_more() -> None:
    async def test(house: House) -> None:
        started, go_on = asyncio.Event(), asyncio.Event()

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> str:
            started.set()
            await go_on.wait()
            return "done"

        first = await house.accept()
        worker = house.worker()
        working = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
        await started.wait()
        worker.request_stop()
        second = await house.accept()
        go_on.set()
        await working
        assert (await house.job(first)).result == "done"
        assert (await house.job(second)).status == "queued"

    in_loop(test)


def test_what_does_not_end_within_the_grace_goes_back_without_losing_an_attempt() -> None:
    async def test(house: House) -> None:
        started = asyncio.Event()

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            started.set()
            await asyncio.Event().wait()

        job_id = await house.accept()
        worker = house.worker(grace=timedelta(milliseconds=20))
        working = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
        await started.wait()
        worker.request_stop()
        await working
        job = await house.job(job_id)
        assert (job.status, job.attempt, job.crashes, job.position) == ("queued", 0, 0, 1)

    in_loop(test)


def test_jobs_are_held_up_to_the_concurrency_and_no_further() -> None:
    async def test(house: House) -> None:
        running = peak = 0

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0.01)
            running -= 1

        for _ in range(12):
            await house.accept()
        assert await burst(house, concurrency=3) == 12
        assert peak == 3

    in_loop(test)


def test_a_def_job_beyond_the_threads_waits_and_its_time_does_not_run() -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t", timeout="300ms")
        def handle(context: Any) -> str:
            time.sleep(0.2)
            return "in time"

        jobs = [await house.accept() for _ in range(3)]
        await burst(house, threads=1)
        assert [(await house.job(job_id)).result for job_id in jobs] == ["in time"] * 3

    in_loop(test)


def test_def_jobs_are_shared_by_workers_that_have_a_thread_for_them() -> None:
    async def test(house: House) -> None:
        at_work: list[str] = []
        go_on = threading.Event()

        @house.registry.handler("acme", "t")
        def handle(context: Any) -> None:
            at_work.append(context.job_id)
            go_on.wait(10)

        jobs = [await house.accept() for _ in range(12)]
        async with working(house.worker("a", threads=2)), working(house.worker("b", threads=2)):
            await until(lambda: len(at_work) == 4)
            states = [(await house.job(job_id)).status for job_id in jobs]
            assert states.count("queued") >= 12 - 4 - 2  # a worker holds one more, which might need no thread
            go_on.set()
            for job_id in jobs:
                await house.until(job_id, "finished")

    in_loop(test)


def test_a_def_job_that_waits_for_long_is_left_to_other_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "SECONDS_OF_PATIENCE", 0.1)

    async def test(house: House) -> None:
        ran: list[str] = []
        go_on = threading.Event()

        @house.registry.handler("acme", "t")
        def handle(context: Any) -> None:
            ran.append(context.job_id)
            go_on.wait(10)

        first = await house.accept()
        async with working(house.worker("a", threads=1)):
            await until(lambda: ran)
            second = await house.accept()
            await house.until(second, "started")
            await house.until(second, "scheduled")
            assert ran == [first]
            go_on.set()
            assert len((await house.until(second, "finished")).attempts) == 1
        assert ran == [first, second]

    in_loop(test)


def test_a_scheduled_job_runs_when_it_is_due() -> None:
    async def test(house: House) -> None:
        tries: list[int] = []

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> str:
            tries.append(context.attempt)
            if len(tries) == 1:
                raise RetryLater("50ms")
            return "second"

        job_id = await house.accept()
        worker = house.worker()
        working = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
        job = await house.until(job_id, "finished")
        worker.request_stop()
        await working
        assert (job.result, tries, [attempt.outcome for attempt in job.attempts]) == (
            "second",
            [1, 2],
            ["retried", "finished"],
        )

    in_loop(test)


def test_rq_sees_the_worker_and_its_record_goes_with_it() -> None:
    async def test(house: House) -> None:
        from rq import Worker

        go_on = asyncio.Event()

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            await go_on.wait()

        job_id = await house.accept()
        worker = house.worker("me")
        working = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
        await house.until(job_id, "started")
        connection = worker.connection
        (seen,) = Worker.all(connection=connection)
        assert (seen.name, seen.queue_names(), seen.get_state()) == ("me", list(QUEUES), "busy")
        go_on.set()
        worker.request_stop()
        await working
        assert Worker.all(connection=connection) == []

    in_loop(test)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("deaf", [False, True], ids=["told", "not told"])
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_canceled_coroutine_is_interrupted_and_what_it_comes_to_changes_nothing(
    deaf: bool, stubborn: bool
) -> None:
    """Who is not told finds out with the next look at whether its jobs are still its own."""

    async def test(house: House) -> None:
        seen: list[bool] = []

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> str:
            seen.append(context.canceled)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(context.canceled)
                if not stubborn:
                    raise
            return "never mind"

        job_id = await house.accept(callback_url="http://127.0.0.9/x")
        async with working(house.worker(deaf=deaf, lease=timedelta(seconds=1 if deaf else 60))):
            await until(lambda: seen)
            assert await house.ledger.jobs.cancel(job_id) == "canceled"
            await until(lambda: len(seen) == 2)
            assert await burst_one(house) == "finished"
        assert seen == [False, True]
        job = await house.job(job_id)
        assert (job.status, job.result) == ("canceled", None)
        assert [attempt.outcome for attempt in job.attempts] == ["canceled"]

    in_loop(test)


async def burst_one(house: House) -> str:
    """What becomes of one further job: the worker goes on."""
    house.registry.handler("acme", "other")(nothing)
    return (await house.until(await house.accept("other"), "finished")).status


async def nothing(context: Any) -> None:
    """Ends at once."""


@pytest.mark.parametrize("deaf", [False, True], ids=["told", "not told"])
def test_a_canceled_def_is_told_and_keeps_its_thread_until_it_returns(deaf: bool) -> None:
    """Who is not told finds out with what its handler says next."""

    async def test(house: House) -> None:
        begun = threading.Event()

        @house.registry.handler("acme", "t")
        def handle(context: Any) -> str:
            begun.set()
            while not context.canceled:
                context.progress(1)
                time.sleep(0.01)
            return "never mind"

        job_id = await house.accept()
        async with working(house.worker(deaf=deaf)):
            await until(begun.is_set)
            await house.ledger.jobs.cancel(job_id)
            assert await burst_one(house) == "finished"
        assert (await house.job(job_id)).status == "canceled"

    in_loop(test)


def test_a_def_that_is_canceled_before_its_turn_never_runs() -> None:
    async def test(house: House) -> None:
        ran: list[str] = []
        go_on = threading.Event()

        @house.registry.handler("acme", "t")
        def handle(context: Any) -> None:
            ran.append(context.job_id)
            go_on.wait(10)

        first = await house.accept()
        async with working(house.worker(threads=1)):
            await until(lambda: ran)
            second = await house.accept()
            await house.until(second, "started")
            await house.ledger.jobs.cancel(second)
            await asyncio.sleep(0.1)  # the message is on its way
            go_on.set()
            await house.until(first, "finished")
        assert ran == [first]
        assert (await house.job(second)).status == "canceled"

    in_loop(test)


def test_rqs_commands_stop_a_job_and_the_worker() -> None:
    async def test(house: House) -> None:
        begun = asyncio.Event()

        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        job_id = await house.accept()
        worker = house.worker("me")
        task = asyncio.create_task(worker.run(threaded=False, handle_signals=False))
        await begun.wait()
        await house.until_listening(worker)
        await asyncio.to_thread(send_command, worker.connection, "me", "stop-job", job_id="job_elsewhere")
        await asyncio.to_thread(send_stop_job_command, worker.connection, job_id)
        await house.until(job_id, "canceled")
        await asyncio.to_thread(send_shutdown_command, worker.connection, "me")
        assert await task == 1

    in_loop(test)


def test_a_fault_of_ours_ends_the_worker() -> None:
    """Whoever supervises it starts it anew; a worker that goes on half would be worse."""

    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            """Nothing."""

        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        worker = house.worker()
        worker._settling._jobs.settle = broken  # type: ignore[method-assign]
        await house.accept()
        with pytest.raises(ZeroDivisionError):
            await worker.run(threaded=False, handle_signals=False)

    in_loop(test)


def test_a_burst_waits_for_more_for_as_long_as_it_is_told_to() -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            pass

        started = time.monotonic()
        working = asyncio.create_task(
            house.worker().run(
                burst=True, max_idle=timedelta(seconds=0.5), threaded=False, handle_signals=False
            )
        )
        await asyncio.sleep(0.2)
        job_id = await house.accept()
        assert await working == 1
        assert (await house.job(job_id)).status == "finished"
        assert time.monotonic() - started > 0.6

    in_loop(test)


def test_every_attempt_and_every_callback_is_counted() -> None:
    async def test(house: House) -> None:
        @house.registry.handler("acme", "t")
        async def handle(context: Any) -> None:
            if context.payload:
                raise Reject("no")

        await house.accept(callback_url="http://127.0.0.9/x")
        await house.accept(body=b"[1]")
        await burst(house)

        (handler,) = [entry.handler for entry in house.registry.manifest()]
        counted = house.metrics.take()
        for outcome in ("finished", "failed"):
            assert counted[f'["attempts","acme","{handler}","{outcome}"]'] == 1
        assert counted['["callback_attempts","acme","delivered"]'] == 1
        assert sum(number for field, number in counted.items() if field.startswith('["queue_wait"') and '"sum"' not in field) == 2  # fmt: skip

    in_loop(test)
