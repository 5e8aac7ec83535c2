"""What all processes have counted, and how things stand."""

import asyncio
from datetime import timedelta

import pytest

from infra.ledger import keys, measures
from infra.ledger.records import CallbackStatus
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FAILED, FINISHED, Bench, arrival, on


def test_processes_add_up_and_a_repetition_does_not(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.measures.add("one", 0, {"a": 1, "b": 2})
        await bench.ledger.measures.add("two", 0, {"a": 10})
        await bench.ledger.measures.add("two", 0, {"a": 10})
        await bench.ledger.measures.add("two", 1, {"a": 100})
        assert await bench.ledger.measures.totals() == {"a": 111, "b": 2}

    on(ledger_store, scenario)


def test_there_are_so_many_series_at_the_most(ledger_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MOST_FIELDS", 3)

    async def scenario(bench: Bench) -> None:
        await bench.ledger.measures.add("one", 0, {"a": 1, "b": 1})
        await bench.ledger.measures.add("one", 1, {"c": 1, "d": 1, "a": 1})
        await bench.ledger.measures.add("one", 2, {"e": 1, "c": 1})
        assert await bench.ledger.measures.totals() == {"a": 2, "b": 1, "c": 2}

    on(ledger_store, scenario)


def test_a_number_that_is_none_starts_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.client.hset(keys.METRICS, "a", "many")
        await bench.ledger.measures.add("one", 0, {"a": 7})
        assert await bench.ledger.measures.totals() == {"a": 7}

    on(ledger_store, scenario)


def test_an_empty_ledger_stands_at_nought(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        standing = await bench.ledger.measures.standing()
        assert (standing.queues, standing.workers, standing.overdue) == ((), 0, timedelta(0))
        assert set(standing.callbacks.values()) == {0}
        assert await bench.ledger.measures.totals() == {}

    on(ledger_store, scenario)


def test_every_job_and_callback_stands_somewhere(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew()
        await bench.settle(FAILED, await bench.take(callback_url=CALLBACK_URL))
        await bench.take()
        await bench.accept(arrival(queue="low", ordering_key="one"), arrival(queue="low", ordering_key="one"))
        await asyncio.sleep(0.02)

        standing = await bench.ledger.measures.standing()

        found = {queue.name: queue for queue in standing.queues}
        assert (found["default"].started, found["default"].failed, found["default"].queued) == (1, 1, 0)
        assert (found["low"].queued, found["low"].parked) == (1, 1)
        assert found["default"].oldest == timedelta(0) < found["low"].oldest < timedelta(minutes=1)
        assert (standing.workers, standing.callbacks[CallbackStatus.PENDING]) == (1, 1)
        assert timedelta(0) < standing.overdue < timedelta(minutes=1)

    on(ledger_store, scenario)


def test_a_finished_job_stands_nowhere(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.settle(FINISHED, await bench.take())
        (queue,) = (await bench.ledger.measures.standing()).queues
        assert (queue.queued, queue.scheduled, queue.started, queue.parked, queue.failed) == (0,) * 5

    on(ledger_store, scenario)
