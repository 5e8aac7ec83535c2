"""Queues and handlers that are paused, and workers that are asked to stop."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from infra.ledger import keys
from infra.ledger.pauses import Asked, Held, Wishes
from infra.ledger.records import Arrival, HandlerEntry, JobStatus
from infra.ledger.scripts import BATCH
from infra.ledger.wire import limits_of
from tests.conftest import Store
from tests.integration.ledger_bench import FINISHED, HANDLER, LEASE, Bench, arrival, on

ENTRY = HandlerEntry(source="acme", type="*", handler=HANDLER)
LIMITED = HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=3)
MANY = 150


async def tell(bench: Bench, *entries: HandlerEntry, worker: str = "w1") -> None:
    await bench.renew(worker, manifest=list(entries))


async def accept(bench: Bench, count: int) -> Arrival:
    """So many jobs; the first is returned."""
    arrivals = [arrival() for _ in range(count)]
    for first in range(0, count, BATCH):
        await bench.accept(*arrivals[first : first + BATCH])
    return arrivals[0]


async def run_all(bench: Bench, entries: Sequence[HandlerEntry]) -> list[int]:
    """Run what is queued, as a worker does that has heeded its orders. Returns how many jobs each of its turns ran."""
    bench.limits = limits_of(entries, (await bench.ledger.pauses.wishes("w1")).handlers)
    turns = []
    while claims := await bench.claim("w1"):
        await bench.settle(FINISHED, *claims)
        turns.append(len(claims))
    return turns


# -- queues ------------------------------------------------------------------------------------------------------------


def test_a_pause_is_told_to_whoever_asks_and_ends_when_it_is_resumed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        pauses = bench.ledger.pauses
        await bench.renew()
        assert await pauses.pause(Held.QUEUE, "low", by="ada") is Asked.NOW
        assert await pauses.pause(Held.QUEUE, "low", by="bob") is Asked.BEFORE
        (paused,) = await pauses.all()
        assert (paused.kind, paused.name, paused.by) == (Held.QUEUE, "low", "ada")
        assert paused.at is not None
        assert await pauses.wishes("w1") == Wishes(queues=frozenset({"low"}))
        assert (await bench.ledger.measures.standing()).pauses == [paused]

        assert await pauses.resume(Held.QUEUE, "low") is Asked.NOW
        assert await pauses.resume(Held.QUEUE, "low") is Asked.BEFORE
        assert await pauses.wishes("w1") == Wishes()

    on(ledger_store, scenario)


@pytest.mark.parametrize("kind", Held)
def test_what_nobody_knows_is_not_paused(ledger_store: Store, kind: Held) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, ENTRY)
        assert await bench.ledger.pauses.pause(kind, "nobody's", by="ada") is Asked.MISSING
        assert await bench.ledger.pauses.resume(kind, "nobody's") is Asked.MISSING
        assert await bench.ledger.pauses.all() == []

    on(ledger_store, scenario)


def test_what_is_paused_is_resumed_even_when_nobody_knows_it_any_more(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, ENTRY)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        await bench.client.delete(keys.TOLD, keys.HELD + "w1")
        assert await bench.ledger.pauses.resume(Held.HANDLER, HANDLER) is Asked.NOW

    on(ledger_store, scenario)


@pytest.mark.parametrize("told", ["", "no JSON", "[]", '{"at":"soon","by":1}', '{"at":1e300,"by":"x"}'])
def test_a_pause_whose_record_is_mangled_holds_all_the_same(ledger_store: Store, told: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.client.hset(keys.HELD_BACK, mapping={"queue low": told, "nonsense": told})
        (paused,) = await bench.ledger.pauses.all()
        assert (paused.name, paused.by, paused.at) == ("low", "", None)
        assert (await bench.ledger.pauses.wishes("w1")).queues == {"low"}

    on(ledger_store, scenario)


# -- handlers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [ENTRY, LIMITED], ids=["without a limit", "with one"])
def test_the_jobs_of_a_paused_handler_wait_as_queued_and_then_all_run(
    ledger_store: Store, entry: HandlerEntry
) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, entry)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        first = await accept(bench, MANY)
        assert await run_all(bench, [entry]) == []
        assert await bench.status(first) is JobStatus.QUEUED

        await bench.ledger.pauses.resume(Held.HANDLER, HANDLER)
        turns = await run_all(bench, [entry])
        assert sum(turns) == MANY
        if entry is LIMITED:
            assert max(turns) == LIMITED.concurrency
        else:
            assert len(turns) < 10

    on(ledger_store, scenario)


def test_other_handlers_jobs_overtake_those_of_a_paused_one(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        other = HandlerEntry(source="acme", type="other", handler="m:other")
        await tell(bench, ENTRY, other)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        await accept(bench, 20)
        await bench.accept(type="other")
        assert await run_all(bench, [ENTRY, other]) == [1]

    on(ledger_store, scenario)


def test_a_worker_that_did_not_know_of_the_resumption_yet_loses_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, ENTRY)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        await accept(bench, MANY)
        await run_all(bench, [ENTRY])
        await bench.ledger.pauses.resume(Held.HANDLER, HANDLER)

        assert await bench.claim("w1") == []  # it still parks whatever it takes
        await bench.ledger.pauses.let_in(HANDLER, None)

        assert sum(await run_all(bench, [ENTRY])) == MANY

    on(ledger_store, scenario)


def test_nothing_is_let_in_while_the_handler_is_paused_anew(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, ENTRY)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        await accept(bench, 1)
        await run_all(bench, [ENTRY])
        before = await bench.snapshot()
        await bench.ledger.pauses.let_in(HANDLER, None)
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_the_sweeper_takes_nobody_out_of_a_pause(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await tell(bench, ENTRY)
        await bench.ledger.pauses.pause(Held.HANDLER, HANDLER, by="ada")
        await accept(bench, 5)
        for _ in range(3):
            assert await run_all(bench, [ENTRY]) == []
            await bench.sweep()
        await bench.ledger.pauses.resume(Held.HANDLER, HANDLER)
        assert sum(await run_all(bench, [ENTRY])) == 5

    on(ledger_store, scenario)


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_worker_is_asked_once_to_stop_and_is_shown_as_draining(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        pauses = bench.ledger.pauses
        await bench.renew("w1")
        await bench.renew("w2")
        assert await pauses.drain("w1", by="ada") is Asked.NOW
        assert await pauses.drain("w1", by="bob") is Asked.BEFORE
        assert [(await pauses.wishes(worker)).drain for worker in ("w1", "w2")] == [True, False]
        assert {one.name: one.draining for one in await bench.ledger.overview.workers()} == {
            "w1": True,
            "w2": False,
        }
        await bench.renew("w1")
        assert (await pauses.wishes("w1")).drain
        await bench.ledger.workers.depart("w1", queues=["default"])
        assert not (await pauses.wishes("w1")).drain

    on(ledger_store, scenario)


def test_only_a_worker_that_lives_can_be_asked(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1", lease=timedelta(milliseconds=1))
        await asyncio.sleep(0.005)
        for worker in ("w1", "nobody"):
            assert await bench.ledger.pauses.drain(worker, by="ada") is Asked.MISSING

    on(ledger_store, scenario)


def test_what_a_worker_runs_is_told(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1", lease=LEASE)
        claim = await bench.take("w1")
        ((worker, job),) = await bench.ledger.overview.running(["w1", "w2"])
        assert (worker, job.id, job.status) == ("w1", claim.job_id, JobStatus.STARTED)

    on(ledger_store, scenario)
