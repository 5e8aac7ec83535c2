"""The outbox: what is due, who sends it, what is kept of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from infra.ledger import keys
from infra.ledger.records import (
    CallbackAttempt,
    CallbackFormat,
    CallbackOptions,
    CallbackRecord,
    CallbackStatus,
    DueCallback,
    JobRecord,
)
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FINISHED, HOUR, NOW, Bench, arrival, on

FINAL = [CallbackStatus.DELIVERED, CallbackStatus.BLOCKED, CallbackStatus.DEAD]


async def ended(bench: Bench) -> str:
    """The id of a job that has ended, with a callback to make."""
    claim = await bench.take(callback_url=CALLBACK_URL)
    await bench.settle(FINISHED, claim)
    return claim.job_id


async def due_one(bench: Bench) -> DueCallback:
    """The only callback that is due."""
    (due,) = await bench.due()
    return due


async def callback(bench: Bench, due: DueCallback) -> CallbackRecord:
    """How it stands."""
    record = (await bench.job(due.job.id)).callback
    assert record is not None
    return record


def test_a_due_callback_is_leased_to_one_sender(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await ended(bench)
        due = await due_one(bench)
        assert (due.job.id, due.job.result, due.url, due.attempts) == (job_id, {"ok": True}, CALLBACK_URL, 0)
        assert await bench.due("s2") == []
        _, wait = await bench.ledger.callbacks.due("s2", sequence=9, most=1, hold=HOUR)
        assert wait is not None
        assert NOW < wait <= HOUR

    on(ledger_store, scenario)


def test_a_callback_comes_with_how_its_caller_wants_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        options = CallbackOptions(format=CallbackFormat.CLOUDEVENTS, progress=True)
        claim = await bench.take(callback_url=CALLBACK_URL, callback_options=options)
        assert (claim.progress_url, claim.callback_options) == (CALLBACK_URL, options)
        await bench.settle(FINISHED, claim)
        assert (await due_one(bench)).options == options

    on(ledger_store, scenario)


def test_many_senders_share_what_is_due(ledger_store: Store) -> None:
    """F71: what one holds, no other gets."""

    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival(callback_url=CALLBACK_URL) for _ in range(60)))
        await bench.run_all()
        taken = await asyncio.gather(*(bench.due(f"s{number}") for number in range(3)))
        ids = [due.id for part in taken for due in part]
        assert len(ids) == len(set(ids)) == 60

    on(ledger_store, scenario)


def test_no_more_are_taken_than_asked_for(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival(callback_url=CALLBACK_URL) for _ in range(3)))
        await bench.run_all()
        taken, wait = await bench.ledger.callbacks.due("s1", sequence=1, most=2, hold=HOUR)
        assert (len(taken), wait) == (2, NOW)

    on(ledger_store, scenario)


def test_nothing_due_is_told_as_such(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.ledger.callbacks.due("s1", sequence=1, most=10, hold=HOUR) == ([], None)

    on(ledger_store, scenario)


def test_a_callback_whose_sender_died_is_due_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        (first,) = await bench.due("s1", hold=NOW)
        (again,) = await bench.due("s2")
        assert (again.id, again.attempts) == (first.id, 0)
        assert again.token != first.token
        await bench.record(first, CallbackStatus.DELIVERED)
        assert (await callback(bench, again)).status is CallbackStatus.PENDING, (
            "the first sender holds it no more"
        )
        await bench.record(again, CallbackStatus.DEAD, reason="gave up")
        assert (await callback(bench, again)).status is CallbackStatus.DEAD

    on(ledger_store, scenario)


@pytest.mark.parametrize("status", FINAL)
def test_a_final_status_ends_a_callback(ledger_store: Store, status: CallbackStatus) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.record(due, status, reason="why")
        record = await callback(bench, due)
        assert (record.status, record.reason, record.next_attempt_at) == (status, "why", None)
        assert await bench.due() == []
        assert await bench.client.zrange(f"{keys.CALLBACKS_AS}{status}", 0, -1) == [due.id.encode()]
        assert await bench.client.exists(f"{keys.CALLBACKS_AS}pending", keys.OUTBOX) == 0
        assert await bench.ledger.reading.dead_callbacks() == (1 if status is CallbackStatus.DEAD else 0)
        assert await bench.sweep() == 0
        assert await bench.due() == []

    on(ledger_store, scenario)


def test_a_callback_waits_for_its_next_attempt(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        await bench.record(await due_one(bench), CallbackStatus.PENDING, retry_after=NOW)
        second = await due_one(bench)
        assert second.attempts == 1
        await bench.record(second, CallbackStatus.PENDING, retry_after=HOUR)
        assert await bench.due() == []
        record = await callback(bench, second)
        assert record.next_attempt_at is not None
        assert abs(record.next_attempt_at - datetime.now(UTC) - HOUR) < timedelta(minutes=5)
        assert record.attempts == tuple(
            CallbackAttempt(
                number=number,
                at=datetime(2026, 11, 21, tzinfo=UTC),
                duration=timedelta(milliseconds=80),
                status=500,
                reply="thanks",
            )
            for number in (1, 2)
        )

    on(ledger_store, scenario)


@pytest.mark.parametrize("status", [CallbackStatus.PENDING, *FINAL])
def test_recording_twice_changes_nothing(ledger_store: Store, status: CallbackStatus) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.record(due, status, retry_after=HOUR)
        before = await bench.snapshot()
        await bench.record(due, status, retry_after=HOUR)
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_no_more_than_twenty_attempts_are_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        for _ in range(23):
            due = await due_one(bench)
            await bench.record(due, CallbackStatus.PENDING, retry_after=NOW)
        assert [attempt.number for attempt in (await callback(bench, due)).attempts] == list(range(4, 24))

    on(ledger_store, scenario)


def test_any_reply_can_be_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        replies = ["\x00\x1f", "\ud800", '"]}', "ü" * 2000]
        for reply in replies:
            attempt = CallbackAttempt(number=1, at=datetime.now(UTC), duration=NOW, reply=reply, error=reply)
            from infra.ledger.records import Delivery

            delivery = Delivery(
                callback=due, attempt=attempt, status=CallbackStatus.PENDING, retry_after=NOW, reason=reply
            )
            await bench.ledger.callbacks.record([delivery])
            due = await due_one(bench)
        assert [attempt.reply for attempt in (await callback(bench, due)).attempts] == replies

    on(ledger_store, scenario)


def test_a_lost_outbox_is_filled_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival(callback_url=CALLBACK_URL) for _ in range(3)))
        await bench.run_all()
        delivered, *_ = await bench.due(hold=NOW)
        (delivered,) = [due for due in await bench.due() if due.id == delivered.id]
        await bench.record(delivered, CallbackStatus.DELIVERED)
        await bench.client.delete(keys.OUTBOX)
        await bench.sweep()
        assert len(await bench.due()) == 2
        assert await bench.sweep() == 0

    on(ledger_store, scenario)


def test_a_callback_whose_record_is_gone_is_made_anew(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        (key,) = await bench.client.keys(f"{keys.CALLBACK}*")
        await bench.client.delete(key)
        due = await due_one(bench)
        await bench.record(due, CallbackStatus.DELIVERED)
        assert (await callback(bench, due)).status is CallbackStatus.DELIVERED

    on(ledger_store, scenario)


def test_a_callback_whose_job_can_not_be_believed_is_blocked(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        forged, sound = await ended(bench), await ended(bench)
        event = keys.EVENT + "evt_" + forged[4:]
        birth = await bench.client.hget(event, f"job:{forged}")
        await bench.client.hset(
            event, f"job:{forged}", birth.replace(b"receiver.example", b"attacker.example")
        )
        assert [due.job.id for due in await bench.due()] == [sound]
        assert await bench.client.hget(f"{keys.CALLBACK}cb_{forged[4:]}", "status") == b"blocked"
        assert await bench.client.zrange(f"{keys.CALLBACKS_AS}blocked", 0, -1) == [
            f"cb_{forged[4:]}".encode()
        ]

    on(ledger_store, scenario)


def test_garbage_in_the_outbox_is_thrown_out(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        await bench.client.zadd(
            keys.OUTBOX, {b"\xff\x00": 0, "cb_unknown": 0, "x" * 100: 0, "later": float("inf")}
        )
        assert len(await bench.due()) == 1
        assert await bench.client.zcard(keys.OUTBOX) == 2
        assert set(await bench.ledger.reading.quarantined()) == {"??", "cb_unknown", "x" * 64}

    on(ledger_store, scenario)


# -- given back --------------------------------------------------------------------------------------------------------


def test_what_is_given_back_waits_and_counts_no_attempt(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.ledger.callbacks.postpone([due], HOUR)
        record = await callback(bench, due)
        assert (record.status, record.attempts) == (CallbackStatus.PENDING, ())
        assert record.next_attempt_at is not None
        assert abs(record.next_attempt_at - datetime.now(UTC) - HOUR) < timedelta(minutes=5)
        before = await bench.snapshot()
        await bench.ledger.callbacks.postpone([due], NOW)
        assert await bench.snapshot() == before, "it is not held any more"

    on(ledger_store, scenario)


def test_what_is_given_back_at_once_is_the_next_senders(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.ledger.callbacks.postpone([due], NOW)
        (again,) = await bench.due("s2")
        assert (again.id, again.attempts) == (due.id, 0)
        await bench.ledger.callbacks.postpone([due], HOUR)
        await bench.record(again, CallbackStatus.DELIVERED)
        assert (await callback(bench, again)).status is CallbackStatus.DELIVERED

    on(ledger_store, scenario)


# -- made again --------------------------------------------------------------------------------------------------------


async def told(bench: Bench, due: DueCallback) -> JobRecord:
    """The job that a callback tells of."""
    (job,) = await bench.ledger.reading.called([due.id])
    assert job is not None
    return job


@pytest.mark.parametrize("status", FINAL)
def test_what_has_ended_is_made_again_under_its_old_id(ledger_store: Store, status: CallbackStatus) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        await bench.record(await due_one(bench), CallbackStatus.PENDING, retry_after=NOW)
        due = await due_one(bench)
        await bench.record(due, status, reason="why")
        assert await bench.ledger.callbacks.redeliver([await told(bench, due)]) == [True]
        record = await callback(bench, due)
        assert (record.status, record.reason, len(record.attempts)) == (CallbackStatus.PENDING, None, 2)
        assert await bench.client.exists(f"{keys.CALLBACKS_AS}{status}") == 0
        again = await due_one(bench)
        assert (again.id, again.attempts, again.earlier) == (due.id, 2, 2)
        await bench.record(again, CallbackStatus.PENDING, retry_after=NOW)
        third = await due_one(bench)
        assert (third.attempts, third.earlier) == (3, 2), "the schedule counts from where it was redelivered"

    on(ledger_store, scenario)


def test_what_is_redelivered_twice_is_made_again_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.record(due, CallbackStatus.DEAD)
        job = await told(bench, due)
        assert await bench.ledger.callbacks.redeliver([job]) == [True]
        assert await bench.ledger.callbacks.redeliver([job]) == [True]
        again = await due_one(bench)
        assert await bench.ledger.callbacks.redeliver([job]) == [True]
        assert await bench.due("s2") == [], "its sender is left alone"
        await bench.record(again, CallbackStatus.DELIVERED)
        assert (await callback(bench, again)).status is CallbackStatus.DELIVERED

    on(ledger_store, scenario)


def test_what_waits_for_its_next_attempt_waits_no_longer(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.record(due, CallbackStatus.PENDING, retry_after=HOUR)
        await bench.ledger.callbacks.redeliver([await told(bench, due)])
        again = await due_one(bench)
        assert (again.attempts, again.earlier) == (1, 0)

    on(ledger_store, scenario)


def test_before_its_job_has_ended_there_is_nothing_to_redeliver(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        before = await bench.snapshot()
        assert await bench.ledger.callbacks.redeliver([await bench.job(claim)]) == [False]
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_an_earlier_rounds_callback_is_made_again_and_tells_of_that_round(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        due = await due_one(bench)
        await bench.record(due, CallbackStatus.DEAD)
        job = await told(bench, due)
        await bench.client.hset(keys.JOB + job.id, mapping={"round": "2", "status": "started"})
        assert await bench.ledger.callbacks.redeliver([job]) == [True]
        again = await due_one(bench)
        assert (again.id, again.job.round) == (due.id, 1)

    on(ledger_store, scenario)


@pytest.mark.parametrize("unknown", ["", "cb_", "cb_unknown", "\ud800", "cb_" + "0" * 26, "nonsense"])
def test_what_is_no_callback_is_not_found(ledger_store: Store, unknown: str) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench)
        assert await bench.ledger.reading.called([unknown]) == [None]

    on(ledger_store, scenario)
