"""Claiming, finishing, giving back: who holds a job, and what a job's end leaves."""

from collections import Counter
from datetime import timedelta

import pytest

from infra.ledger import keys
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import (
    CallbackStatus,
    Claim,
    Failed,
    Finished,
    HandlerEntry,
    Ignored,
    JobStatus,
    Outcome,
    Released,
    Retried,
)
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    LEASE,
    QUEUES,
    RELEASED,
    RETRIED,
    Bench,
    arrival,
    on,
)


def test_a_claim_tells_all_that_a_worker_needs(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(
            headers={"x-id": "7"}, provider_event_id="ev_1", tag="eu", callback_url=CALLBACK_URL
        )
        (claim,) = await bench.claim("w1")
        assert (claim.job_id, claim.event_id, claim.queue, claim.source, claim.type) == (
            event.job_id, event.event_id, "default", "acme", "order.paid",
        )  # fmt: skip
        assert (claim.body, claim.content_type, claim.metadata, claim.tag) == (
            event.body, "application/json", {"order": 7}, "eu",
        )  # fmt: skip
        assert (claim.headers, claim.provider_event_id, claim.callback) == (
            {"x-id": "7"}, "ev_1", CallbackStatus.PENDING,
        )  # fmt: skip
        assert (claim.attempt, claim.crashes, claim.token) == (1, 0, "w1-1")
        assert abs(claim.claimed_at - event.received_at) < HOUR
        job = await bench.job(claim)
        assert (job.status, job.started_at is not None, job.position) == (JobStatus.STARTED, True, None)

    on(ledger_store, scenario)


def test_queues_are_served_in_their_order(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival(queue=queue) for queue in ("low", "default", "high", "low", "high")))
        assert [claim.queue for claim in await bench.claim(slots=4)] == ["high", "high", "default", "low"]
        assert [claim.queue for claim in await bench.claim(slots=4)] == ["low"]

    on(ledger_store, scenario)


def test_the_last_queue_is_not_starved(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for queue in QUEUES:
            await bench.accept(*(arrival(queue=queue) for _ in range(48)))
        served = Counter([(await bench.claim(slots=1))[0].queue for _ in range(48)])
        assert served["high"] > served["default"] >= 2
        assert served["low"] >= 2

    on(ledger_store, scenario)


def test_a_worker_gets_no_more_than_it_asks_for(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(5)))
        assert len(await bench.claim(slots=2)) == 2
        assert await bench.claim(slots=0) == []
        assert await bench.claim(queues=["other"]) == []
        assert len(await bench.claim()) == 3

    on(ledger_store, scenario)


def test_one_turn_carries_a_bounded_number_of_bytes(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        large = [arrival(body=bytes(3 << 20)) for _ in range(5)]
        for event in large:
            await bench.accept(event)
        first = [claim.job_id for claim in await bench.claim()]
        rest = [claim.job_id for claim in await bench.claim()]
        assert first + rest == [event.job_id for event in large]
        assert len(first) == 3

    on(ledger_store, scenario)


def test_a_repeated_claim_gives_the_same_jobs(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(4)))

        async def claimed(sequence: int) -> list[tuple[str, int]]:
            claims = await bench.ledger.jobs.claim(
                "w1", sequence=sequence, slots=2, queues=QUEUES, lease=LEASE
            )
            return [(claim.job_id, claim.attempt) for claim in claims]

        first = await claimed(7)
        before = await bench.snapshot()
        assert await claimed(7) == first
        assert await bench.snapshot() == before
        assert not set(first) & set(await claimed(8))

    on(ledger_store, scenario)


def test_a_repeated_claim_leaves_out_what_has_ended_meanwhile(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(2)))
        first, second = await bench.claim()
        await bench.settle(FINISHED, first)
        again = await bench.ledger.jobs.claim("w1", sequence=1, slots=5, queues=QUEUES, lease=LEASE)
        assert [claim.job_id for claim in again] == [second.job_id]

    on(ledger_store, scenario)


def test_two_workers_never_hold_the_same_job(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(10)))
        ones, twos = await bench.claim("w1", slots=5), await bench.claim("w2")
        assert len(ones) == len(twos) == 5
        assert not {claim.job_id for claim in ones} & {claim.job_id for claim in twos}

    on(ledger_store, scenario)


def test_a_finished_job_keeps_its_result(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Finished(result='{"sum":[1,"ü"]}'), claim)
        job = await bench.job(claim)
        assert (job.status, job.result, job.error, job.handler) == (
            JobStatus.FINISHED,
            {"sum": [1, "ü"]},
            None,
            HANDLER,
        )
        (attempt,) = job.attempts
        assert (attempt.number, attempt.outcome, attempt.worker, attempt.error) == (1, "finished", "w1", None)
        assert attempt.started_at == claim.claimed_at
        assert job.ended_at is not None
        assert job.started_at is not None
        assert job.ended_at >= job.started_at
        assert await bench.run_all() == []

    on(ledger_store, scenario)


def test_a_failed_job_keeps_its_error(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(FAILED, claim)
        job = await bench.job(claim)
        assert (job.status, job.result, job.error, job.max_attempts) == (JobStatus.FAILED, None, ERROR, 5)

    on(ledger_store, scenario)


def test_an_ignored_job_is_called_back_by_nobody(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        assert not await bench.settle(Ignored(), claim)
        assert await bench.status(claim) is JobStatus.IGNORED
        assert await bench.due() == []
        assert await bench.client.zrange(keys.IGNORED, 0, -1) == [claim.job_id.encode()]

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED])
def test_the_end_of_a_job_queues_its_callback(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        assert await bench.settle(outcome, claim)
        (due,) = await bench.due()
        assert (due.id, due.url, due.attempts) == (f"cb_{claim.job_id[4:]}", CALLBACK_URL, 0)
        assert due.job.status is (JobStatus.FINISHED if outcome is FINISHED else JobStatus.FAILED)

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "outcome", [FINISHED, FAILED, Ignored(), RETRIED, RELEASED, Retried(delay=HOUR, error=ERROR)]
)
def test_settling_twice_changes_nothing(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        await bench.settle(outcome, claim)
        before = await bench.snapshot()
        assert not await bench.settle(outcome, claim)
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Ignored(), RETRIED, RELEASED])
def test_a_zombie_changes_nothing(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        zombie = await bench.take("w1", callback_url=CALLBACK_URL)
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (claim,) = await bench.claim("w2")
        assert (claim.job_id, claim.attempt, claim.crashes) == (zombie.job_id, 2, 1)
        before = await bench.snapshot()
        await bench.settle(outcome, zombie, worker="w1")
        assert await bench.snapshot() == before
        assert await bench.settle(FINISHED, claim, worker="w2")
        assert await bench.status(claim) is JobStatus.FINISHED

    on(ledger_store, scenario)


def test_a_retried_job_counts_its_attempts(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        for number in (1, 2, 3):
            (claim,) = await bench.claim()
            assert (claim.attempt, claim.failures_before) == (number, number - 1)
            await bench.settle(RETRIED if number < 3 else FINISHED, claim)
        job = await bench.job(event)
        assert [(attempt.number, attempt.outcome) for attempt in job.attempts] == [
            (1, "retried"), (2, "retried"), (3, "finished"),
        ]  # fmt: skip
        assert job.attempts[0].error == ERROR
        assert job.error is None

    on(ledger_store, scenario)


def test_an_attempt_that_does_not_count_is_given_back(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept()
        for _ in range(3):
            (claim,) = await bench.claim()
            assert claim.attempt == 1
            await bench.settle(Retried(delay=timedelta(0), error=ERROR, counted=False), claim)
        assert len((await bench.job(claim)).attempts) == 3

    on(ledger_store, scenario)


def test_no_more_than_twenty_attempts_are_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        for _ in range(25):
            await bench.settle(RETRIED, *(await bench.claim()))
        attempts = (await bench.job(event)).attempts
        assert [attempt.number for attempt in attempts] == list(range(6, 26))

    on(ledger_store, scenario)


def test_a_job_that_waits_is_scheduled(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Retried(delay=HOUR, error=ERROR), claim)
        job = await bench.job(claim)
        assert (job.status, job.error) == (JobStatus.SCHEDULED, ERROR)
        assert job.next_attempt_at is not None
        assert job.ended_at is None
        assert timedelta(0) <= job.next_attempt_at - claim.claimed_at - HOUR < timedelta(minutes=5)
        assert await bench.claim() == []

    on(ledger_store, scenario)


def test_released_jobs_go_to_the_front_in_their_order(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first, second, third = (arrival() for _ in range(3))
        await bench.accept(first, second, third)
        claims = await bench.claim(slots=2)
        await bench.settle(Released(), *claims)
        again = await bench.claim()
        assert [claim.job_id for claim in again] == [first.job_id, second.job_id, third.job_id]
        assert {claim.attempt for claim in again} == {1}
        assert (await bench.job(first)).attempts == ()

    on(ledger_store, scenario)


def test_a_released_job_keeps_its_turn_through_a_wait_and_a_retried_one_loses_it(ledger_store: Store) -> None:
    async def again(bench: Bench, outcome: Released | Retried, claim: Claim) -> list[str]:
        """The jobs that are claimed once this one has been given back and is due."""
        await bench.settle(outcome, claim)
        while not (await bench.ledger.jobs.promote(["default"]))[0]:
            pass
        claims = await bench.claim()
        await bench.settle(Released(), *claims)
        return [claim.job_id for claim in claims]

    async def scenario(bench: Bench) -> None:
        first, second = arrival(), arrival()
        await bench.accept(first, second)
        moment = timedelta(milliseconds=1)
        (claim,) = await bench.claim(slots=1)
        assert await again(bench, Released(delay=moment), claim) == [first.job_id, second.job_id]
        (claim,) = await bench.claim(slots=1)
        retried = Retried(delay=moment, error=ERROR)
        assert await again(bench, retried, claim) == [second.job_id, first.job_id]

    on(ledger_store, scenario)


def test_retried_jobs_go_to_the_back(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = arrival(), arrival()
        await bench.accept(first, second)
        await bench.settle(RETRIED, *(await bench.claim(slots=1)))
        assert [claim.job_id for claim in await bench.claim()] == [second.job_id, first.job_id]

    on(ledger_store, scenario)


def test_a_job_can_be_passed_on_to_another_queue(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Released(queue="media"), claim)
        assert (await bench.job(claim)).queue == "media"
        assert await bench.claim() == []
        (again,) = await bench.claim(queues=["media"])
        assert (again.queue, again.attempt) == ("media", 1)
        assert [(counts.name, counts.started) for counts in await bench.ledger.reading.queues()] == [
            ("default", 0), ("media", 1),
        ]  # fmt: skip

    on(ledger_store, scenario)


def test_many_outcomes_are_settled_in_one_turn(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(100)))
        await bench.accept(*(arrival() for _ in range(100)))
        claims = await bench.claim() + await bench.claim()
        await bench.settle(FINISHED, *claims)
        assert {job.status for job in await bench.jobs(limit=500)} == {JobStatus.FINISHED}

    on(ledger_store, scenario)


def test_large_results_are_settled_a_few_at_a_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(4)))
        claims = await bench.claim()
        await bench.settle(Finished(result='"' + "x" * (3 << 20) + '"'), *claims)
        assert len((await bench.job(claims[3])).result) == 3 << 20

    on(ledger_store, scenario)


def test_a_failure_without_a_trace_has_a_text_for_rq(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Failed(error=type(ERROR)(type="Reject", message="no \ud800")), claim)
        error = (await bench.job(claim)).error
        assert error is not None
        assert (error.message, error.trace) == ("no \ud800", "Reject: no ?")

    on(ledger_store, scenario)


def test_a_worker_is_told_once_that_its_jobs_were_given_away(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.renew("w1")
        await bench.take("w1")
        assert await bench.renew("w1")
        await bench.die("w1")
        assert await bench.renew("w1"), "nobody has looked meanwhile"
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        await bench.claim("w1", slots=0)
        assert not await bench.renew("w1")
        assert await bench.renew("w1")

    on(ledger_store, scenario)


def test_a_worker_is_seen_with_what_it_handles(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        entries = (HandlerEntry(source="acme", type="*", handler=HANDLER, queue="high"),)
        await bench.renew("w1", manifest=entries)
        await bench.renew("w2")
        assert await bench.ledger.workers.manifests() == {"w1": entries, "w2": ()}
        await bench.die("w2")
        assert await bench.ledger.workers.manifests() == {"w1": entries}

    on(ledger_store, scenario)


def test_a_worker_that_departs_leaves_no_trace(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        claim = await bench.take("w1")
        await bench.settle(FINISHED, claim)
        assert await bench.ledger.workers.depart("w1", queues=QUEUES) == 0
        assert await bench.ledger.workers.manifests() == {}
        assert [
            key
            for key in await bench.client.keys("*")
            if key.endswith(b":w1") or key == keys.WORKERS.encode()
        ] == []

    on(ledger_store, scenario)


def test_what_a_departing_worker_could_not_give_back_is_taken_over_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        claim = await bench.take("w1")
        assert await bench.ledger.workers.depart("w1", queues=QUEUES) == 1
        assert (await bench.ledger.jobs.take_over()).requeued == 1
        assert [again.job_id for again in await bench.claim("w2")] == [claim.job_id]

    on(ledger_store, scenario)


def test_a_worker_registers_again_after_everything_was_emptied(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew("w1")
        claim = await bench.take("w1")
        await bench.client.flushall()
        assert await bench.renew("w1")
        await bench.settle(FINISHED, claim)
        assert await bench.ledger.reading.job(claim.job_id) is None
        await bench.accept()
        assert len(await bench.claim("w1")) == 1

    on(ledger_store, scenario)


def test_crashes_are_counted_apart_from_failures(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept()
        for outcome in (None, RETRIED):
            (claim,) = await bench.claim("w1")
            if outcome is None:
                await bench.die("w1")
                await bench.ledger.jobs.take_over()
            else:
                await bench.settle(outcome, claim)
        (claim,) = await bench.claim("w1")
        assert (claim.attempt, claim.crashes, claim.failures_before) == (3, 1, 1)
        assert claim.crashes < CRASH_CAP

    on(ledger_store, scenario)
