"""What the operator's commands read of the ledger besides single records: the same over every server."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.overview import LiveWorker, Overview
from infra.ledger.records import Arrival
from tests.conftest import Store

SEAL = Seal(["a-secret-key"])

T = TypeVar("T")


def arrival(queue: str = "default") -> Arrival:
    suffix = new_suffix()
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source="acme",
        type="order.paid",
        received_at=datetime.now(UTC),
        body=b"{}",
        queue=queue,
    )


def within(store: Store, work: Callable[[Ledger, Overview], Awaitable[T]], *, seal: Seal = SEAL) -> T:
    """Do something with a ledger and its overview, over one client."""

    async def working() -> T:
        async with store.connect() as client:
            return await work(Ledger(client, seal=SEAL), Overview(client, seal))

    return asyncio.run(working())


def test_live_workers_are_told_with_their_queues(ledger_store: Store) -> None:
    async def work(ledger: Ledger, overview: Overview) -> list[LiveWorker]:
        for name, lease in (("w1", 60_000), ("w2", 1)):
            await ledger.workers.renew(
                name,
                lease=timedelta(milliseconds=lease),
                queues=["high", "low"],
                manifest=[],
                record={"hostname": "box", "queues": "high,low"},
            )
        while len(found := await overview.workers()) > 1:  # until the second one's lease has run out
            await asyncio.sleep(0.001)
        return found

    (worker,) = within(ledger_store, work)
    assert (worker.name, worker.host, worker.queues, worker.busy) == ("w1", "box", ("high", "low"), 0)
    assert worker.seen_at is not None


def test_a_worker_is_busy_with_what_it_holds(ledger_store: Store) -> None:
    async def work(ledger: Ledger, overview: Overview) -> list[LiveWorker]:
        await ledger.events.accept([arrival(), arrival()])
        lease = timedelta(minutes=1)
        await ledger.jobs.claim("w1", sequence=1, slots=9, queues=["default"], lease=lease)
        return await overview.workers()

    assert [(worker.name, worker.busy) for worker in within(ledger_store, work)] == [("w1", 2)]


def test_the_head_of_a_queue_tells_since_when_it_waits(ledger_store: Store) -> None:
    async def work(ledger: Ledger, overview: Overview) -> tuple[Any, ...]:
        before = await overview.now()
        await ledger.events.accept([arrival("bulk")])
        return before, await overview.waiting_since("bulk"), await overview.waiting_since("empty")

    before, since, nothing = within(ledger_store, work)
    assert timedelta(milliseconds=-1) <= since - before < timedelta(seconds=30)
    assert nothing is None


def test_keys_that_were_moved_away_are_found_among_many(ledger_store: Store) -> None:
    with ledger_store.connect_sync() as client:
        client.mset({f"other:{number}": "1" for number in range(12_000)})
        client.mset({f"{keys.CORRUPT}{name}": "1" for name in ("b", "a")})
    assert within(ledger_store, lambda _, overview: overview.corrupt()) == [
        f"{keys.CORRUPT}a",
        f"{keys.CORRUPT}b",
    ]


def test_what_another_key_sealed_is_noticed(ledger_store: Store) -> None:
    def by_others(secret: str) -> bool:
        return within(
            ledger_store, lambda _, overview: overview.sealed_by_others(), seal=Seal([secret, "a-third-key"])
        )

    assert not by_others("another-key")  # nothing is there
    within(ledger_store, lambda ledger, _: ledger.events.accept([arrival(), arrival()]))
    assert by_others("another-key")
    assert not by_others("a-secret-key")


def test_a_mangled_ledger_is_looked_at_all_the_same(ledger_store: Store) -> None:
    with ledger_store.connect_sync() as client:
        for key in (keys.LEASES, keys.QUEUE + "high", keys.JOBS):
            client.set(key, "mangled")

    async def work(_: Ledger, overview: Overview) -> list[Any]:
        return [
            await overview.workers(),
            await overview.waiting_since("high"),
            await overview.corrupt(),
            await overview.sealed_by_others(),
        ]

    assert within(ledger_store, work) == [[], None, [], False]
