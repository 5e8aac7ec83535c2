"""Where events go when there are several shards, and what becomes of a request whose shards don't all answer."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import LedgerError
from infra.ledger.records import Arrival, JobStatus, Receipt
from infra.settings import Settings
from infra.shards import shard_in
from ingest.shards.spread import Spread
from ingest.sources import load_sources

SOURCES = """
[acme]
provider = "bearer"
[shop]
provider = "bearer"
spread_by = "json:$.order"
[payments]
provider = "bearer"
spread_by = "json:$.data.order"
[ledger]
provider = "bearer"
spread_by = "books"
"""


class Shard:
    """Plays the recorder of one shard."""

    def __init__(self, number: int, *, dead: bool = False) -> None:
        self.number = number
        self.dead = dead
        self.taken: list[Arrival] = []

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        if self.dead:
            raise LedgerError("it is dead")
        self.taken += arrivals
        return [
            Receipt(event_id=arrival.event_id, job_id=arrival.job_id, status=JobStatus.QUEUED)
            for arrival in arrivals
        ]


def spread_over(shards: Sequence[Shard]) -> Spread:
    settings = Settings.load({})
    variables = {f"SOURCE_{name}_SECRET": "s3cret" for name in ("ACME", "SHOP", "PAYMENTS", "LEDGER")}
    table = load_sources(settings, variables, read_file=lambda _: SOURCES)
    return Spread(cast("Any", shards), table)


def arrival(source: str = "acme", known_by: str | None = None, body: bytes = b"{}", **more: Any) -> Arrival:
    suffix = new_suffix()
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=source,
        type="a",
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
        body=body,
        provider_event_id=known_by,
        **more,
    )


def home_of(*arrivals: Arrival, shards: int = 8) -> set[int]:
    """The shards that these go to."""
    return {
        shard_in(receipt.job_id)
        for receipt in asyncio.run(spread_over([Shard(number) for number in range(shards)]).record(arrivals))
    }


@given(ids=st.lists(st.text(min_size=1), min_size=1, max_size=100), count=st.integers(2, 5))
def test_each_event_gets_its_own_receipt_whatever_the_shards(ids: list[str], count: int) -> None:
    shards = [Shard(number) for number in range(count)]
    arrivals = [arrival(known_by=one) for one in ids]
    receipts = asyncio.run(spread_over(shards).record(arrivals))
    assert sum(len(shard.taken) for shard in shards) == len(ids)
    taken = {one.event_id: (one.provider_event_id, shard.number) for shard in shards for one in shard.taken}
    assert [taken[receipt.event_id] for receipt in receipts] == [
        (one, shard_in(receipt.job_id)) for one, receipt in zip(ids, receipts, strict=True)
    ]
    homes: dict[str, int] = {}
    for known_by, number in taken.values():
        assert homes.setdefault(str(known_by), number) == number  # a duplicate finds the first


def test_the_same_id_of_another_source_is_another_event() -> None:
    assert len({next(iter(home_of(arrival(f"s{n}", known_by="1")))) for n in range(40)}) > 1


def test_what_is_known_by_nothing_goes_anywhere() -> None:
    assert len(home_of(*[arrival() for _ in range(100)])) > 1


def test_what_belongs_together_stays_together_over_sources_and_the_api() -> None:
    """So that an order of jobs holds, and one may wait for the other."""
    for order in map(str, range(20)):
        shop = arrival("shop", known_by=f"a-{order}", body=b'{"order": "%s"}' % order.encode())
        payment = arrival(
            "payments", known_by=f"b-{order}", body=b'{"data": {"order": "%s"}}' % order.encode()
        )
        submitted = arrival("api", known_by=f"c-{order}", ordering_key=order)
        assert len(home_of(shop, payment, submitted)) == 1


def test_a_source_can_be_kept_whole() -> None:
    assert len(home_of(*[arrival("ledger", known_by=str(number)) for number in range(50)])) == 1


def test_where_nothing_is_found_to_keep_it_together_the_id_decides() -> None:
    assert len(home_of(*[arrival("shop", known_by=str(number)) for number in range(50)])) > 1


def test_an_order_that_shards_would_break_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    spread = spread_over([Shard(0), Shard(1)])
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            asyncio.run(spread.record([arrival(known_by=str(number), ordering_key="k")]))
            asyncio.run(spread.record([arrival("shop", body=b'{"order": 1}', ordering_key="k")]))
    assert [record.getMessage() for record in caplog.records] == [
        "source acme has no spread_by: the order of its a holds within each shard only"
    ]


def test_a_dead_shard_costs_its_own_events_alone() -> None:
    shards = [Shard(0), Shard(1, dead=True)]
    spread, taken = spread_over(shards), 0
    for number in range(50):
        try:
            asyncio.run(spread.record([arrival(known_by=str(number))]))
            taken += 1
        except LedgerError:
            pass
    assert 0 < taken < 50
    assert len(shards[0].taken) == taken


def test_a_request_is_not_acknowledged_while_one_of_its_shards_has_not_confirmed() -> None:
    shards = [Shard(0), Shard(1, dead=True)]
    with pytest.raises(LedgerError, match="it is dead"):
        asyncio.run(spread_over(shards).record([arrival(known_by=str(number)) for number in range(50)]))
    assert shards[0].taken
