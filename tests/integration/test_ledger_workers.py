"""What workers tell of themselves, and for how long it counts."""

from datetime import timedelta

from infra.ledger.records import HandlerEntry
from tests.conftest import Store
from tests.integration.ledger_bench import HANDLER, QUEUES, Bench, on


def test_what_the_last_workers_told_is_remembered_while_none_lives(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        entry = HandlerEntry(
            source="acme",
            type="*",
            handler=HANDLER,
            concurrency=2,
            ordering_key="json:$.order",
            timeout=timedelta(minutes=7),
        )
        await bench.renew("w1", manifest=[entry])
        await bench.ledger.workers.depart("w1", queues=QUEUES)
        told = await bench.ledger.workers.told()
        assert (told.live, told.remembered) == ({}, (entry,))

    on(ledger_store, scenario)
