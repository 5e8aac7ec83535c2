"""A ledger to work on in tests, and short words for what is done with it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import redis.asyncio

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.lists import Filter, gather
from infra.ledger.records import (
    Arrival,
    CallbackAttempt,
    CallbackStatus,
    Claim,
    Delivery,
    DueCallback,
    ErrorInfo,
    Failed,
    Finished,
    JobRecord,
    JobStatus,
    Outcome,
    Released,
    Retried,
    Settlement,
)
from infra.ledger.scripts import Argument
from tests.conftest import Store

LEASE = timedelta(seconds=60)
HOUR = timedelta(hours=1)
NOW = timedelta(0)
QUEUES = ("high", "default", "low")
HANDLER = "handlers.acme:order_paid"
RECORD = {
    "hostname": "box",
    "pid": "7",
    "queues": ",".join(QUEUES),
    "version": "3.0.0",
    "python_version": "3.11",
}
ERROR = ErrorInfo(type="ValueError", message="no total", trace="Traceback: no total")
CALLBACK_URL = "https://receiver.example/inbox"

FINISHED = Finished(result='{"ok":true}')
FAILED = Failed(error=ERROR)
RETRIED = Retried(delay=timedelta(0), error=ERROR)
RELEASED = Released()


def arrival(**changes: Any) -> Arrival:
    """An event that was just received."""
    suffix = new_suffix()
    usual = {
        "event_id": EVENT + suffix,
        "job_id": JOB + suffix,
        "source": "acme",
        "type": "order.paid",
        "received_at": datetime.now(UTC),
        "body": b'{"total":12}',
        "metadata": {"order": 7},
    }
    return Arrival(**(usual | changes))


@dataclass
class Bench:
    """A ledger over one store, its client, and a worker's and a sender's steps."""

    ledger: Ledger
    client: Any
    store: Store
    limits: Sequence[Argument] = ()
    sequences: "count[int]" = field(default_factory=lambda: count(1))

    async def accept(self, *arrivals: Arrival, **changes: Any) -> Arrival:
        """Accept one arrival, or these; the first is returned."""
        taken = arrivals or (arrival(**changes),)
        await self.ledger.events.accept(taken)
        return taken[0]

    async def claim(
        self,
        worker: str = "w1",
        *,
        slots: int = 100,
        queues: Sequence[str] = QUEUES,
        lease: timedelta = LEASE,
    ) -> list[Claim]:
        """What a worker gets in its next turn."""
        claims = await self.ledger.jobs.claim(
            worker,
            sequence=next(self.sequences),
            slots=slots,
            queues=queues,
            lease=lease,
            limits=self.limits,
        )
        return list(claims)

    async def take(self, worker: str = "w1", **changes: Any) -> Claim:
        """A new job, claimed alone."""
        await self.accept(**changes)
        (claim,) = await self.claim(worker)
        return claim

    async def settle(self, outcome: Outcome, *claims: Claim, worker: str = "w1") -> bool:
        """Settle some claims alike."""
        return await self.ledger.jobs.settle(
            worker,
            [Settlement(claim=claim, outcome=outcome, handler=HANDLER, max_attempts=5) for claim in claims],
        )

    async def run_all(self, worker: str = "w9", queues: Sequence[str] = QUEUES) -> list[str]:
        """Run whatever is queued to its end. Returns the jobs' ids."""
        ran: list[str] = []
        while claims := await self.claim(worker, queues=queues):
            await self.settle(FINISHED, *claims, worker=worker)
            ran += [claim.job_id for claim in claims]
        return ran

    async def renew(self, worker: str = "w1", *, lease: timedelta = LEASE, **changes: Any) -> bool:
        """Register a worker."""
        usual: dict[str, Any] = {"queues": QUEUES, "manifest": [], "record": RECORD}
        return await self.ledger.workers.renew(worker, lease=lease, **(usual | changes))

    async def die(self, worker: str) -> None:
        """Let a worker's lease run out at once."""
        await self.client.zadd(keys.LEASES, {worker: 1})

    async def sweep(self) -> int:
        """A sweep that waits for nothing."""
        return await self.ledger.jobs.sweep(patience=NOW)

    async def job(self, one: Arrival | Claim | str) -> JobRecord:
        """A job that is there."""
        record = await self.ledger.reading.job(one if isinstance(one, str) else one.job_id)
        assert record is not None
        return record

    async def jobs(self, limit: int | None = None, **wanted: Any) -> list[JobRecord]:
        """The newest jobs that are wanted, as lists give them."""
        return (await gather(self.ledger.lists.jobs, Filter(**wanted), limit)).items

    async def status(self, one: Arrival | Claim | str) -> JobStatus:
        """Where a job stands."""
        return (await self.job(one)).status

    async def due(self, sender: str = "s1", *, hold: timedelta = HOUR) -> list[DueCallback]:
        """The callbacks that are due now."""
        found, _ = await self.ledger.callbacks.due(sender, sequence=next(self.sequences), most=100, hold=hold)
        return found

    async def record(
        self,
        due: DueCallback,
        status: CallbackStatus,
        *,
        http_status: int = 500,
        error: str | None = None,
        **changes: Any,
    ) -> list[str]:
        """Keep what became of a POST. Returns the receivers that are paused for it."""
        attempt = CallbackAttempt(
            number=due.attempts + 1,
            at=datetime(2026, 11, 21, tzinfo=UTC),
            duration=timedelta(milliseconds=80),
            status=204 if status is CallbackStatus.DELIVERED else http_status,
            reply="thanks",
            error=error,
        )
        return await self.ledger.callbacks.record(
            [Delivery(callback=due, attempt=attempt, status=status, **changes)]
        )

    async def snapshot(self) -> dict[bytes, Any]:
        """Everything that is kept but the workers, whom time changes."""
        found = {}
        for key in sorted(await self.client.keys("*")):
            if key != keys.LEASES.encode() and not key.startswith((keys.WORKER.encode(), keys.HELD.encode())):
                found[key] = await content(self.client, key)
        return found


def on(store: Store, scenario: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    """Run a scenario on a ledger over a store."""

    async def running() -> None:
        async with store.connect() as client:
            await scenario(Bench(Ledger(client, seal=Seal(["a key"]), **settings), client, store))

    asyncio.run(running())


async def content(client: redis.asyncio.Redis, key: bytes) -> Any:
    """What a key holds, whatever its kind."""
    reads: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda: client.xrange(key),
        b"none": _nothing,
    }
    return await reads[await client.type(key)]()


async def _nothing() -> None:
    return None
