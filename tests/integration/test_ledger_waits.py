"""Jobs that wait for an event: they hold nothing, the event wakes them, and one that came before is found."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger import keys
from infra.ledger.records import Claim, JobStatus, Settlement, Waiting
from infra.ledger.wire import seen_key
from tests.conftest import Store
from tests.integration.ledger_bench import HOUR, QUEUES, RELEASED, RETRIED, Bench, arrival, on

KEY = "pay_1"
PAYMENT = {"source": "payments", "provider_event_id": KEY}
BY_WAIT_KEY = {"source": "payments", "provider_event_id": "ev_1", "wait_key": KEY}
both_ways = pytest.mark.parametrize("sent", [PAYMENT, BY_WAIT_KEY], ids=["by its id", "by its wait key"])


def until(wait: timedelta) -> Waiting:
    return Waiting(source="payments", key=KEY, until=datetime.now(UTC) + wait)


async def wait(bench: Bench, *, timeout: timedelta = HOUR, **changes: Any) -> Claim:
    """A job that waits."""
    claim = await bench.take(**changes)
    await bench.settle(until(timeout), claim)
    return claim


@both_ways
def test_the_event_wakes_the_job_that_waits_for_it(ledger_store: Store, sent: dict[str, Any]) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench)
        assert await bench.status(claim) is JobStatus.SCHEDULED
        assert await bench.claim("w2") == []

        event = await bench.accept(**sent)

        payment, again = await bench.claim("w2")
        assert (again.job_id, again.attempt, again.crashes) == (claim.job_id, 1, 0)
        assert payment.job_id == event.job_id
        found = await bench.ledger.steps.look_for(again.job_id, "payments", KEY)
        assert found is not None
        assert found.id == event.event_id

    on(ledger_store, scenario)


@both_ways
def test_an_event_that_came_before_is_found_by_the_handler_and_by_the_wait(
    ledger_store: Store, sent: dict[str, Any]
) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(**sent)
        await bench.run_all()
        claim = await bench.take()

        found = await bench.ledger.steps.look_for(claim.job_id, "payments", KEY)
        assert found is not None
        assert found.id == event.event_id
        await bench.settle(until(HOUR), claim)
        (again,) = await bench.claim("w2")
        assert (again.job_id, again.attempt) == (claim.job_id, 1)

    on(ledger_store, scenario)


def test_the_event_that_woke_a_job_is_known_when_its_window_is_over(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench)
        event = await bench.accept(**PAYMENT)
        await bench.client.delete(keys.SEEN + seen_key("payments", KEY))

        found = await bench.ledger.steps.look_for(claim.job_id, "payments", KEY)
        assert found is not None
        assert found.id == event.event_id

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "other",
    [
        {"source": "payments", "provider_event_id": "pay_2"},
        {"source": "orders", "provider_event_id": KEY},
        {"source": "orders", "provider_event_id": "o", "wait_key": KEY},
        {"source": "payments"},
    ],
)
def test_another_event_wakes_nobody(ledger_store: Store, other: dict[str, Any]) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench)
        await bench.accept(**other)

        assert await bench.status(claim) is JobStatus.SCHEDULED
        assert await bench.ledger.steps.look_for(claim.job_id, "payments", KEY) is None

    on(ledger_store, scenario)


def test_a_wait_ends_with_its_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench, timeout=timedelta(milliseconds=40))
        while not (await bench.ledger.jobs.promote(QUEUES))[0]:
            pass

        (again,) = await bench.claim("w2")
        assert (again.job_id, again.attempt) == (claim.job_id, 1)
        assert await bench.client.smembers(keys.WAITING + seen_key("payments", KEY)) == set()
        assert not await bench.client.hexists(keys.JOB + claim.job_id, "waiting")

    on(ledger_store, scenario)


def test_a_job_that_no_longer_waits_is_left_alone(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench, timeout=timedelta(milliseconds=40))
        while not (await bench.ledger.jobs.promote(QUEUES))[0]:
            pass
        (again,) = await bench.claim("w2")
        await bench.settle(type(RETRIED)(delay=HOUR, error=RETRIED.error), again, worker="w2")
        await bench.accept(**PAYMENT)

        assert await bench.status(claim) is JobStatus.SCHEDULED

    on(ledger_store, scenario)


def test_a_wait_whose_time_is_over_starts_again_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench, timeout=timedelta(seconds=-1))

        assert [again.job_id for again in await bench.claim("w2")] == [claim.job_id]

    on(ledger_store, scenario)


def test_one_event_wakes_all_that_wait_for_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        waiting = {(await wait(bench)).job_id for _ in range(3)}
        await bench.accept(**PAYMENT)

        assert waiting < {claim.job_id for claim in await bench.claim("w2")}

    on(ledger_store, scenario)


def test_where_too_many_wait_the_rest_look_for_themselves(valkey_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        others = [f"job_{number}" for number in range(1_000)]
        await bench.client.sadd(keys.WAITING + seen_key("payments", KEY), *others)
        claim = await wait(bench)

        job = await bench.job(claim)
        assert job.next_attempt_at is not None
        assert job.next_attempt_at - await bench.ledger.reading.now() < timedelta(minutes=1.1)

    on(valkey_store, scenario)


def test_a_canceled_job_is_not_woken(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench)
        await bench.ledger.jobs.cancel(claim.job_id)
        await bench.accept(**PAYMENT)

        assert await bench.status(claim) is JobStatus.CANCELED
        assert not await bench.client.exists(keys.STEPS + claim.job_id)

    on(ledger_store, scenario)


def test_who_lost_the_job_can_not_have_it_wait(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        frozen = await bench.take("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (claim,) = await bench.claim("w2")
        await bench.settle(until(HOUR), frozen)

        assert await bench.status(claim) is JobStatus.STARTED
        assert not await bench.client.exists(keys.WAITING + seen_key("payments", KEY))

    on(ledger_store, scenario)


def test_a_wait_that_is_settled_twice_is_settled_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        outcome = until(HOUR)
        for _ in range(2):
            await bench.settle(outcome, claim)

        job = await bench.job(claim)
        assert (job.status, job.attempt) == (JobStatus.SCHEDULED, 0)
        assert await bench.client.zcard(f"{keys.STARTED}default") == 0
        assert await bench.client.scard(f"{keys.RUNNING}w1") == 0

    on(ledger_store, scenario)


def test_a_job_that_waits_keeps_its_place_in_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first = await wait(bench, ordering_key="k")
        await bench.accept(ordering_key="k")
        assert await bench.claim("w2") == []
        await bench.accept(**PAYMENT)

        assert first.job_id in {claim.job_id for claim in await bench.claim("w2")}

    on(ledger_store, scenario)


def test_a_job_that_waits_gives_its_place_under_the_limit_to_others(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        limits = ["acme:*", "m:f", 1]

        async def claims() -> list[Claim]:
            claims = await bench.ledger.jobs.claim(
                "w1",
                sequence=next(bench.sequences),
                slots=10,
                queues=QUEUES,
                lease=HOUR,
                limits=limits,
            )
            return list(claims)

        await bench.accept(*(arrival() for _ in range(2)))
        (first,) = await claims()
        await bench.settle(until(HOUR), first)

        (second,) = await claims()
        assert second.job_id != first.job_id

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bench: bench.client.delete(keys.AWAITED),
        lambda bench: bench.client.delete(keys.WAITING + seen_key("payments", KEY)),
        lambda bench: bench.client.set(keys.WAITING + seen_key("payments", KEY), "garbage"),
    ],
)
def test_a_wait_that_was_lost_ends_with_its_time_and_finds_the_event(
    ledger_store: Store, spoil: Callable[[Bench], Awaitable[Any]]
) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await wait(bench, timeout=timedelta(milliseconds=40))
        await spoil(bench)
        await bench.accept(**PAYMENT)
        while not (await bench.ledger.jobs.promote(QUEUES))[0]:
            pass

        assert claim.job_id in {again.job_id for again in await bench.claim("w2")}
        assert await bench.ledger.steps.look_for(claim.job_id, "payments", KEY) is not None

    on(ledger_store, scenario)


def test_an_event_that_somebody_else_named_does_not_count(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        other = await bench.accept(source="payments", provider_event_id="pay_2")
        for place in (keys.SEEN, keys.ARRIVED):
            await bench.client.set(place + seen_key("payments", KEY), other.event_id)
        await bench.client.hset(
            keys.STEPS + claim.job_id, f"came:{seen_key('payments', KEY)}", other.event_id
        )

        assert await bench.ledger.steps.look_for(claim.job_id, "payments", KEY) is None
        assert (
            await bench.ledger.steps.look_for(claim.job_id, "payments", KEY, event_id=other.event_id) is None
        )

    on(ledger_store, scenario)


def test_an_event_of_which_nothing_is_left_is_waited_for_no_faster(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(**BY_WAIT_KEY)
        await bench.run_all()
        await bench.ledger.erasing.erase([event.event_id])
        assert await bench.client.get(keys.ARRIVED + seen_key("payments", KEY)) == event.event_id.encode()

        claim = await wait(bench)
        assert await bench.status(claim) is JobStatus.SCHEDULED
        newer = await bench.accept(**BY_WAIT_KEY | {"provider_event_id": "ev_2"})
        assert claim.job_id in {again.job_id for again in await bench.claim("w2")}
        found = await bench.ledger.steps.look_for(claim.job_id, "payments", KEY)
        assert found is not None
        assert found.id == newer.event_id

    on(ledger_store, scenario)


@both_ways
def test_an_event_that_was_mangled_starts_the_job_that_waits_for_it_once(
    ledger_store: Store, sent: dict[str, Any]
) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(**sent)
        await bench.run_all()
        await bench.client.hset(keys.EVENT + event.event_id, "body", "changed")

        claim = await wait(bench)
        (again,) = await bench.claim("w2")
        assert again.job_id == claim.job_id
        assert await bench.ledger.steps.look_for(claim.job_id, "payments", KEY) is None
        await bench.settle(until(HOUR), again, worker="w2")
        assert await bench.status(claim) is JobStatus.SCHEDULED

    on(ledger_store, scenario)


def test_many_settle_differently_in_one_turn(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(3)))
        first, second, third = await bench.claim()
        await bench.ledger.jobs.settle(
            "w1",
            [
                Settlement(claim=first, outcome=until(HOUR)),
                Settlement(claim=second, outcome=RELEASED),
                Settlement(claim=third, outcome=until(HOUR)),
            ],
        )

        assert [await bench.status(claim) for claim in (first, second, third)] == [
            JobStatus.SCHEDULED,
            JobStatus.QUEUED,
            JobStatus.SCHEDULED,
        ]

    on(ledger_store, scenario)
