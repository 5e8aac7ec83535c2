"""Receivers: what is noted of them, when they are paused, and what becomes of their callbacks."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from infra.ledger import keys
from infra.ledger.receivers import WITHHELD, receiver_id
from infra.ledger.records import CallbackStatus, DueCallback, ReceiverRecord, ReceiverStatus
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, HOUR, NOW, Bench, arrival, on

DAY = timedelta(days=1)
OTHER_URL = "https://receiver.example/other"
ID = receiver_id(CALLBACK_URL)


async def due(bench: Bench, *urls: str) -> list[DueCallback]:
    """Jobs that have ended, one for each URL, and their callbacks, taken by a sender."""
    await bench.accept(*(arrival(callback_url=url) for url in urls))
    await bench.run_all()
    return await bench.due()


async def receiver(bench: Bench, url: str = CALLBACK_URL) -> ReceiverRecord:
    """What is known of one."""
    found = await bench.ledger.receivers.receiver(receiver_id(url))
    assert found is not None
    return found


async def callbacks(bench: Bench) -> list[tuple[CallbackStatus, str | None, int]]:
    """How all callbacks stand: status, reason, attempts."""
    page = await bench.ledger.lists.callbacks()
    records = [job.callback for job in page.items if job.callback is not None]
    return [(record.status, record.reason, len(record.attempts)) for record in records]


async def fail(bench: Bench, callback: DueCallback, **changes: Any) -> list[str]:
    """One more attempt that came to nothing."""
    return await bench.record(callback, CallbackStatus.PENDING, **{"retry_after": HOUR} | changes)


async def failing_for(bench: Bench, time: timedelta, *, silent_for: timedelta = NOW) -> None:
    """Let the receiver's first failure be so long ago, and its last."""
    key = keys.RECEIVER + ID
    for name, ago in (("failing", time), ("seen", silent_for)):
        was = float(await bench.client.hget(key, name))
        await bench.client.hset(key, name, str(int(was - ago / timedelta(milliseconds=1))))


# -- noted -------------------------------------------------------------------------------------------------------------


def test_a_receiver_is_known_by_its_url_without_the_query(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two, other = await due(bench, f"{CALLBACK_URL}?job=1", f"{CALLBACK_URL}?job=2", OTHER_URL)
        for callback in (one, two, other):
            await bench.record(callback, CallbackStatus.DELIVERED)
        known = await bench.ledger.receivers.newest()
        assert {one.url for one in known} == {CALLBACK_URL, OTHER_URL}
        assert {one.status for one in known} == {ReceiverStatus.ACTIVE}
        assert (await receiver(bench)).taken_at is not None

    on(ledger_store, scenario)


def test_a_failure_is_noted_and_a_success_wipes_it_out(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two, three = await due(bench, *3 * [CALLBACK_URL])
        await fail(bench, one, error="no connection")
        failing = await receiver(bench)
        assert (failing.status, failing.error) == (ReceiverStatus.FAILING, "no connection")
        await fail(bench, two)
        assert (await receiver(bench)).failing_since == failing.failing_since
        await bench.record(three, CallbackStatus.DELIVERED)
        well = await receiver(bench)
        assert (well.status, well.error, well.failing_since) == (ReceiverStatus.ACTIVE, None, None)

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    ("status", "changes"),
    [(CallbackStatus.BLOCKED, {}), (CallbackStatus.PENDING, {"retry_after": HOUR, "sent": False})],
    ids=["the guard refused", "nothing was sent"],
)
def test_what_is_our_own_doing_says_nothing_of_the_receiver(
    ledger_store: Store, status: CallbackStatus, changes: dict[str, Any]
) -> None:
    async def scenario(bench: Bench) -> None:
        (one,) = await due(bench, CALLBACK_URL)
        await bench.record(one, status, **changes)
        assert await bench.ledger.receivers.newest() == []

    on(ledger_store, scenario)


def test_what_another_sender_holds_by_now_is_not_counted(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(callback_url=CALLBACK_URL)
        await bench.run_all()
        (lost,) = await bench.due(hold=NOW)
        (held,) = await bench.due("s2")
        assert await bench.record(lost, CallbackStatus.DEAD, http_status=410) == []
        assert await bench.ledger.receivers.newest() == []
        await bench.record(held, CallbackStatus.DELIVERED)

    on(ledger_store, scenario)


def test_a_host_that_says_429_to_one_is_told_to_all_for_a_moment(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for callback in await due(bench, "https://Receiver.example:8443/x?job=1", OTHER_URL):
            await fail(bench, callback, http_status=503 if callback.url == OTHER_URL else 429)
        assert await bench.ledger.callbacks.neighbours() == (1, {"receiver.example:8443"})
        await bench.client.zadd(keys.THROTTLED, {"receiver.example:8443": 1})
        assert await bench.ledger.callbacks.neighbours() == (1, set())

    on(ledger_store, scenario)


def test_who_sends_beside_one_is_counted(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in ("w1", "w2", "w3"):
            await bench.renew(worker)
        await bench.die("w3")
        assert (await bench.ledger.callbacks.neighbours()).workers == 2

    on(ledger_store, scenario)


# -- paused by itself --------------------------------------------------------------------------------------------------


def test_one_that_has_only_failed_for_five_days_is_paused(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two, three = await due(bench, *3 * [CALLBACK_URL])
        assert await fail(bench, one) == []
        await failing_for(bench, 5 * DAY - timedelta(minutes=5))
        assert await fail(bench, two) == []
        await failing_for(bench, timedelta(minutes=5))
        assert await fail(bench, three) == [CALLBACK_URL]
        paused = await receiver(bench)
        assert (paused.status, paused.reason) == (ReceiverStatus.PAUSED, "failing")
        assert paused.paused_at is not None

    on(ledger_store, scenario)


def test_one_that_was_not_called_in_between_is_given_its_time_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two = await due(bench, *2 * [CALLBACK_URL])
        await fail(bench, one)
        await failing_for(bench, 20 * DAY, silent_for=3 * DAY)
        assert await fail(bench, two) == []
        assert (await receiver(bench)).status is ReceiverStatus.FAILING

    on(ledger_store, scenario)


def test_one_that_says_410_is_paused_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two = await due(bench, *2 * [CALLBACK_URL])
        gone = {"http_status": 410, "reason": "it wants no more"}
        assert await bench.record(one, CallbackStatus.DEAD, **gone) == [CALLBACK_URL]
        assert (await receiver(bench)).reason == "gone"
        assert await bench.record(two, CallbackStatus.DEAD, **gone) == [], "it was paused before"
        assert {reason for _, reason, _ in await callbacks(bench)} == {"it wants no more"}

    on(ledger_store, scenario)


# -- while it is paused ------------------------------------------------------------------------------------------------


def test_what_waits_for_it_and_what_comes_becomes_a_dead_letter(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        (waiting,) = await due(bench, CALLBACK_URL)
        await fail(bench, waiting)
        assert await bench.ledger.pausing.pause(f"{CALLBACK_URL}?job=1")
        assert [one.url for one in await due(bench, CALLBACK_URL, OTHER_URL)] == [OTHER_URL]
        dead = (CallbackStatus.DEAD, WITHHELD)
        assert sorted(await callbacks(bench)) == sorted(
            [(*dead, 1), (*dead, 0), (CallbackStatus.PENDING, None, 0)]
        )
        assert await bench.ledger.reading.dead_callbacks() == 2
        assert await bench.sweep() == 0

    on(ledger_store, scenario)


def test_what_is_being_sent_when_it_is_paused_is_not_sent_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        delivered, failed = await due(bench, *2 * [CALLBACK_URL])
        await bench.ledger.pausing.pause(CALLBACK_URL)
        await bench.record(delivered, CallbackStatus.DELIVERED)
        await fail(bench, failed)
        assert sorted(await callbacks(bench)) == [
            (CallbackStatus.DEAD, WITHHELD, 1),
            (CallbackStatus.DELIVERED, None, 1),
        ]
        assert (await receiver(bench)).status is ReceiverStatus.PAUSED

    on(ledger_store, scenario)


def test_pausing_twice_changes_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.pausing.pause(CALLBACK_URL)
        before = await bench.snapshot()
        assert not await bench.ledger.pausing.pause(CALLBACK_URL, reason="again")
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_paused_one_stays_so_where_its_record_is_lost(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.pausing.pause(CALLBACK_URL)
        await bench.client.delete(keys.RECEIVER + ID)
        assert await due(bench, CALLBACK_URL) == []
        assert await callbacks(bench) == [(CallbackStatus.DEAD, WITHHELD, 0)]

    on(ledger_store, scenario)


# -- resumed -----------------------------------------------------------------------------------------------------------


def test_resuming_makes_again_what_was_withheld_and_nothing_else(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        (given_up,) = await due(bench, CALLBACK_URL)
        await bench.record(given_up, CallbackStatus.DEAD, reason="given up")
        await bench.ledger.pausing.pause(CALLBACK_URL)
        await bench.ledger.pausing.pause(OTHER_URL)
        assert await due(bench, *3 * [CALLBACK_URL], OTHER_URL) == []
        assert await bench.ledger.pausing.resume(CALLBACK_URL, rate=1000) == 3
        assert (await receiver(bench)).status is ReceiverStatus.ACTIVE
        taken: list[DueCallback] = []
        while len(taken) < 3:
            taken += await bench.due()
        assert {one.url for one in taken} == {CALLBACK_URL}
        assert given_up.id not in {one.id for one in taken}
        assert await bench.ledger.pausing.resume(CALLBACK_URL) is None

    on(ledger_store, scenario)


def test_what_was_withheld_comes_at_the_pace_that_was_asked_for(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.pausing.pause(CALLBACK_URL)
        for _ in range(3):
            assert await due(bench, *50 * [CALLBACK_URL]) == []
        assert await bench.ledger.pausing.resume(CALLBACK_URL, rate=1) == 150
        when = sorted(score for _, score in await bench.client.zrange(keys.OUTBOX, 0, -1, withscores=True))
        assert 140_000 < when[-1] - when[0] < 160_000
        assert all(later - earlier > 900 for earlier, later in pairwise(when))

    on(ledger_store, scenario)


def test_failures_count_from_the_resumption(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        one, two = await due(bench, *2 * [CALLBACK_URL])
        await fail(bench, one)
        await failing_for(bench, 6 * DAY)
        await bench.ledger.pausing.pause(CALLBACK_URL)
        await bench.ledger.pausing.resume(CALLBACK_URL)
        assert await fail(bench, two) == []
        assert (await receiver(bench)).status is ReceiverStatus.FAILING

    on(ledger_store, scenario)


def test_lists_are_narrowed_by_how_receivers_stand(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        failed, _ = await due(bench, CALLBACK_URL, OTHER_URL)
        await fail(bench, failed)
        await bench.ledger.pausing.pause("https://paused.example/")
        newest = bench.ledger.receivers.newest
        assert [one.url for one in await newest(status=ReceiverStatus.PAUSED)] == ["https://paused.example/"]
        assert [one.url for one in await newest(status=ReceiverStatus.FAILING)] == [failed.url]
        assert len(await newest()) == 2
        assert len(await newest(limit=1)) == 1

    on(ledger_store, scenario)


def test_a_record_that_tells_of_another_receiver_is_not_believed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.pausing.pause(CALLBACK_URL)
        await bench.client.hset(keys.RECEIVER + ID, "url", OTHER_URL)
        assert await bench.ledger.receivers.newest() == []

    on(ledger_store, scenario)
