"""Limits: no more jobs of a handler run than it declares, over all workers; who has no place is parked."""

from typing import Any

import pytest

from infra.ledger import keys
from infra.ledger.records import HandlerEntry, Ignored, Outcome, Retried
from infra.ledger.wire import limits_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    RETRIED,
    Bench,
    arrival,
    on,
)

LATER = Retried(delay=HOUR, error=ERROR)


def limited(bench: Bench, most: int = 2, **changes: Any) -> None:
    entry = {"source": "acme", "type": "*", "handler": HANDLER, "concurrency": most}
    bench.limits = limits_of(
        [HandlerEntry(**(entry | changes)), HandlerEntry(source="api", type="*", handler="m:api")]
    )


def test_no_more_run_than_the_limit_allows_whoever_claims(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench)
        await bench.accept(*(arrival() for _ in range(5)))
        held = await bench.claim("w1", slots=1) + await bench.claim("w2")
        assert len(held) == 2
        assert await bench.claim("w3") == []
        assert (
            await bench.client.llen(keys.PARKED + HANDLER),
            await bench.client.llen(keys.QUEUE + "default"),
        ) == (3, 0)
        await bench.settle(FINISHED, held[0], worker="w1")
        assert len(await bench.claim("w3")) == 1

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "outcome",
    [FINISHED, FAILED, Ignored(), RETRIED, LATER],
    ids=["finished", "failed", "ignored", "again", "later"],
)
def test_a_place_is_given_back_with_the_attempt(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(arrival(), arrival())
        (first,) = await bench.claim()
        await bench.settle(outcome, first)
        (second,) = await bench.claim()
        assert second.job_id != first.job_id
        assert await bench.client.smembers(keys.HOLDING + HANDLER) == {second.job_id.encode()}

    on(ledger_store, scenario)


def test_who_has_waited_longest_is_let_in_first(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        jobs = [arrival() for _ in range(12)]
        await bench.accept(*jobs)
        assert await bench.run_all() == [job.job_id for job in jobs]

    on(ledger_store, scenario)


def test_a_place_is_given_back_when_the_worker_dies_or_the_job_is_canceled(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(3)))
        (first,) = await bench.claim("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (second,) = await bench.claim("w2")
        await bench.ledger.jobs.cancel(second.job_id)
        ran = await bench.run_all()
        assert len({*ran, first.job_id, second.job_id}) == 3

    on(ledger_store, scenario)


def test_a_claim_looks_past_those_that_have_no_place(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(10)), arrival(source="api"))
        assert [claim.source for claim in await bench.claim(slots=5)] == ["acme", "api"]

    on(ledger_store, scenario)


def test_another_handler_of_the_source_has_no_part_in_the_limit(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = limits_of([
            HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=1),
            HandlerEntry(source="acme", type="order.paid", handler="handlers.acme:other"),
        ])  # fmt: skip
        await bench.accept(*(arrival() for _ in range(3)), *(arrival(type="other") for _ in range(3)))
        assert sorted(claim.type for claim in await bench.claim()) == ["order.paid"] * 3 + ["other"]
        assert await bench.client.scard(keys.HOLDING + HANDLER) == 1

    on(ledger_store, scenario)


def test_a_raised_limit_lets_all_in_that_it_can(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(8)))
        (first,) = await bench.claim()
        limited(bench, 4)
        await bench.accept(arrival())
        held = await bench.claim()
        await bench.settle(FINISHED, first)
        assert len(held) + len(await bench.claim()) == 4

    on(ledger_store, scenario)


def test_without_the_limit_those_that_waited_run(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(4)))
        (first,) = await bench.claim()
        bench.limits = ()
        await bench.settle(FINISHED, first)
        ran = await bench.run_all()
        await bench.sweep()
        assert len(ran + await bench.run_all()) == 3

    on(ledger_store, scenario)


def test_places_that_nobody_holds_any_more_are_found(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 1)
        await bench.accept(*(arrival() for _ in range(3)))
        await bench.claim()
        await bench.client.sadd(keys.HOLDING + HANDLER, "job_gone")
        await bench.client.delete(keys.PARKED + HANDLER)
        await bench.die("w1")
        for _ in range(3):
            await bench.ledger.jobs.take_over()
            await bench.sweep()
            await bench.run_all()
        assert await bench.client.zcard(keys.OPEN) <= 1  # the mark

    on(ledger_store, scenario)


def test_limits_and_lines_go_together(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limited(bench, 2)
        jobs = [arrival(ordering_key=f"order-{number % 3}") for number in range(12)]
        await bench.accept(*jobs)
        ran: list[str] = []
        while claims := await bench.claim():
            assert len(claims) <= 2
            await bench.settle(FINISHED, *claims)
            ran += [claim.job_id for claim in claims]
        for line in range(3):
            of_line = [job.job_id for number, job in enumerate(jobs) if number % 3 == line]
            assert [job for job in ran if job in of_line] == of_line

    on(ledger_store, scenario)
