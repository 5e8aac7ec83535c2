"""Whatever happens in whatever order: every job stands in exactly one place, and every end is told once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ids import JOB, new_suffix, suffix_after
from infra.ledger import keys
from infra.ledger.records import CallbackStatus, Claim, DueCallback, HandlerEntry, Ignored, Outcome
from infra.ledger.wire import limits_of
from tests.conftest import Store, _fake_store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    NOW,
    RELEASED,
    RETRIED,
    Bench,
    Retried,
    arrival,
    on,
)

WORKERS = ("w1", "w2")
OUTCOMES: tuple[Outcome, ...] = (
    FINISHED,
    FAILED,
    Ignored(),
    RETRIED,
    RELEASED,
    Retried(delay=HOUR, error=ERROR),
)
LIMITS = limits_of([HandlerEntry(source="limited", type="*", handler=HANDLER, concurrency=2)])


class History:
    """Steps that anyone may take at any time, with what was held before and may be held no longer."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.claims: list[tuple[str, Claim]] = []
        self.taken: list[DueCallback] = []

    async def accept(self, choice: int) -> None:
        later = {1: datetime(2020, 1, 1, tzinfo=UTC), 2: datetime(2100, 1, 1, tzinfo=UTC)}.get(choice % 5)
        url = CALLBACK_URL if choice % 2 else None
        known = f"ev_{choice % 7}" if choice % 3 else None
        line = f"line-{choice % 2}" if choice % 4 else None
        source = "limited" if choice % 6 < 3 else "acme"
        one = arrival(
            source=source, run_at=later, callback_url=url, provider_event_id=known, ordering_key=line
        )
        await self.bench.accept(one, arrival(ordering_key="line-0"))

    async def claim(self, choice: int) -> None:
        worker = WORKERS[choice % 2]
        self.claims += [(worker, claim) for claim in await self.bench.claim(worker, slots=1 + choice % 3)]

    async def settle(self, choice: int) -> None:
        if self.claims:
            worker, claim = self.claims[choice % len(self.claims)]
            await self.bench.settle(OUTCOMES[choice % len(OUTCOMES)], claim, worker=worker)

    async def cancel(self, choice: int) -> None:
        jobs = sorted(await self.bench.client.zrange(keys.JOBS, 0, -1))
        if jobs:
            await self.bench.ledger.jobs.cancel(jobs[choice % len(jobs)].decode(), by="ops")

    async def retry(self, choice: int) -> None:
        """Whatever state a job is in: what has not failed is refused."""
        if (job_id := await self._any_job(choice)) is not None:
            await self.bench.ledger.steering.retry(await self.bench.job(job_id), by="ops")

    async def replay(self, choice: int) -> None:
        """The same new id now and then: it is made once."""
        if (job_id := await self._any_job(choice)) is not None:
            event_id = (await self.bench.job(job_id)).event_id
            origin = await self.bench.ledger.steering.origin(event_id, [job_id])
            assert origin is not None
            made = JOB + (suffix_after(event_id, seed="again") if choice % 2 else new_suffix())
            await self.bench.ledger.steering.replay(origin, made, by="ops", queue=None, entry=None)

    async def _any_job(self, choice: int) -> str | None:
        jobs = sorted(set(await self.bench.client.zrange(keys.JOBS, 0, -1)) - {b"-"})
        return jobs[choice % len(jobs)].decode() if jobs else None

    async def lose_worker(self, choice: int) -> None:
        await self.bench.die(WORKERS[choice % 2])
        await self.bench.ledger.jobs.take_over()

    async def look(self, choice: int) -> None:
        await self.bench.ledger.jobs.promote(["default"])
        await self.bench.sweep()

    async def take_callbacks(self, choice: int) -> None:
        self.taken += await self.bench.due(f"s{choice % 2}", hold=NOW if choice % 2 else HOUR)

    async def deliver(self, choice: int) -> None:
        if self.taken:
            statuses = list(CallbackStatus)
            due = self.taken[choice % len(self.taken)]
            await self.bench.record(
                due, statuses[choice % len(statuses)], retry_after=timedelta(milliseconds=1)
            )

    async def postpone(self, choice: int) -> None:
        if self.taken:
            due = self.taken[choice % len(self.taken)]
            await self.bench.ledger.callbacks.postpone([due], NOW if choice % 2 else HOUR)

    async def redeliver(self, choice: int) -> None:
        if self.taken:
            due = self.taken[choice % len(self.taken)]
            assert await self.bench.ledger.callbacks.redeliver([due.job]) == [True]


STEPS: tuple[Callable[[History, int], Awaitable[None]], ...] = (
    History.accept,
    History.claim,
    History.settle,
    History.cancel,
    History.retry,
    History.replay,
    History.lose_worker,
    History.look,
    History.take_callbacks,
    History.deliver,
    History.postpone,
    History.redeliver,
)


async def places(bench: Bench, job_id: str, token: str) -> list[str]:
    """Everywhere a job stands."""
    client, found = bench.client, []
    entries = (await client.lrange(f"{keys.QUEUE}default", 0, -1)).count(job_id.encode())
    found += ["queued"] * entries
    for name, key, member in [
        ("scheduled", keys.SCHEDULED, job_id),
        ("started", keys.STARTED, f"{job_id}:{token}"),
        ("finished", keys.FINISHED, job_id),
        ("failed", keys.FAILED, job_id),
        ("canceled", keys.CANCELED, job_id),
        ("deferred", keys.DEFERRED, job_id),
    ]:
        if await client.zscore(f"{key}default", member) is not None:
            found.append(name)
    return found


async def check(bench: Bench) -> None:
    """What is true between any two steps."""
    client = bench.client
    open_jobs = {member for member in await client.zrange(keys.OPEN, 0, -1) if member != b"-"}
    indexed = {member for member in await client.zrange(keys.JOBS, 0, -1) if member != b"-"}
    pending, started = set(), 0
    for key in await client.keys(f"{keys.JOB}*"):
        record = await client.hgetall(key)
        job_id = key.decode().removeprefix(keys.JOB)
        status, token = record[b"status"].decode(), record[b"lease"].decode()
        assert await places(bench, job_id, token) == [status], job_id
        assert (job_id.encode() in open_jobs) == (status in ("queued", "scheduled", "started", "deferred")), (
            job_id
        )
        assert job_id.encode() in indexed
        assert bool(token) == (status == "started"), job_id
        if status == "started":
            started += 1
            assert await client.sismember(f"{keys.RUNNING}{token.rpartition('-')[0]}", job_id)
        job = await bench.job(job_id)
        ended = status in ("finished", "failed", "canceled") and record.get(b"outcome") != b"ignored"
        birth = await bench.client.hget(f"{keys.EVENT}{job.event_id}", f"job:{job_id}")
        for number in range(1, job.round + 1):
            callback_id = f"cb_{job_id[4:]}" + (f"-{number}" if number > 1 else "")
            kept = await client.hgetall(keys.CALLBACK + callback_id)
            over = number < job.round or ended
            assert bool(kept) == (over and b'"callback"' in birth), callback_id
            (told,) = await bench.ledger.reading.called([callback_id])
            if kept:
                assert told is not None
                assert (told.status == "failed") if number < job.round else (told.status == job.status)
            if kept and kept[b"status"] == b"pending":
                pending.add(callback_id.encode())
        assert not await client.exists(f"{keys.CALLBACK}cb_{job_id[4:]}-{job.round + 1}")
    assert await client.zcard(f"{keys.STARTED}default") == started
    assert sum([await client.scard(f"{keys.RUNNING}{worker}") for worker in WORKERS]) == started
    assert set(await client.zrange(keys.OUTBOX, 0, -1)) == pending
    assert set(await client.zrange(f"{keys.CALLBACKS_AS}pending", 0, -1)) - {b"-"} == pending
    assert await client.keys(f"{keys.CORRUPT}*") == []
    assert await bench.ledger.reading.quarantined() == {}


async def check_lines_and_places(bench: Bench) -> None:
    """Only the head of a line may run; no more jobs run than a limit allows, and none waits beside a free place."""
    client = bench.client
    records = {}
    for key in await client.keys(f"{keys.JOB}*"):
        records[key.decode().removeprefix(keys.JOB)] = await client.hgetall(key)
    in_line = set()
    for key in await client.keys(f"{keys.LINE}*"):
        line = [member.decode() for member in await client.lrange(key, 0, -1)]
        in_line |= set(line)
        waiting = [records[job][b"status"] == b"deferred" and b"limit" not in records[job] for job in line]
        assert waiting == [False] + [True] * (len(line) - 1), line
    ended = (b"finished", b"failed", b"canceled")
    assert in_line == {
        job for job, record in records.items() if b"line" in record and record[b"status"] not in ended
    }
    holding = {member.decode() for member in await client.smembers(keys.HOLDING + HANDLER)}
    parked = [member.decode() for member in await client.lrange(keys.PARKED + HANDLER, 0, -1)]
    under_limit = {job: record[b"status"] for job, record in records.items() if b"limit" in record}
    assert len(holding) <= 2
    assert holding == {job for job, status in under_limit.items() if status == b"started"}
    assert sorted(parked) == sorted(job for job, status in under_limit.items() if status == b"deferred")
    assert not parked or len(holding) == 2 or b"queued" in under_limit.values()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1000)), min_size=5, max_size=40))
def test_every_job_stands_in_one_place(
    steps: list[tuple[Callable[[History, int], Awaitable[None]], int]],
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = LIMITS
        history = History(bench)
        for step, choice in steps:
            await step(history, choice)
            await check(bench)
            await check_lines_and_places(bench)

    store: Store = _fake_store()
    on(store, scenario)
