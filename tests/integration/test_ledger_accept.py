"""Accepting events: stored and queued in one step, once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.ledger import keys
from infra.ledger.records import CallbackStatus, JobStatus, Receipt
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, HOUR, Bench, arrival, on


def test_a_new_event_is_stored_and_its_job_queued(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = arrival(
            body=b"\x00\xff raw",
            headers={"x-id": "7"},
            content_type="text/plain",
            tag="eu",
            accepted_by="ops",
        )
        (receipt,) = await bench.ledger.events.accept([event])
        assert receipt == Receipt(event_id=event.event_id, job_id=event.job_id, status=JobStatus.QUEUED)
        job = await bench.job(event)
        assert (job.status, job.queue, job.position, job.attempt, job.attempts) == (
            JobStatus.QUEUED,
            "default",
            1,
            0,
            (),
        )
        assert (job.callback, job.metadata) == (None, {"order": 7})
        kept = await bench.ledger.reading.event(event.event_id)
        assert kept is not None
        assert (kept.body, kept.headers, kept.content_type, kept.tag, kept.accepted_by) == (
            b"\x00\xff raw", {"x-id": "7"}, "text/plain", "eu", "ops",
        )  # fmt: skip
        assert kept.jobs == (event.job_id,)

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    ("body", "same_body", "counts"), [(b'{"total":12}', True, (1, 0)), (b'{"total":13}', False, (0, 1))]
)
def test_a_duplicate_gets_the_first_ids(
    ledger_store: Store, body: bytes, same_body: bool, counts: tuple[int, int]
) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.accept(provider_event_id="ev_1")
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1", body=body)])
        assert (receipt.event_id, receipt.job_id) == (first.event_id, first.job_id)
        assert (receipt.duplicate, receipt.same_body) == (True, same_body)
        kept = await bench.ledger.reading.event(first.event_id)
        assert kept is not None
        assert (kept.duplicates, kept.differing_duplicates) == counts
        assert kept.body == first.body
        assert await bench.run_all() == [first.job_id]

    on(ledger_store, scenario)


def test_ids_are_told_apart_by_their_source(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(provider_event_id="ev_1")
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1", source="other")])
        assert not receipt.duplicate
        assert len(await bench.run_all()) == 2

    on(ledger_store, scenario)


def test_an_id_is_forgotten_after_the_window(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(provider_event_id="ev_1")
        (key,) = await bench.client.keys(f"{keys.SEEN}*")
        assert 0 < await bench.client.pttl(key) <= 3_600_000
        await bench.client.delete(key)
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1")])
        assert not receipt.duplicate

    on(ledger_store, scenario, dedup_window=HOUR)


def test_a_duplicate_of_an_event_that_is_gone_still_runs_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.accept(provider_event_id="ev_1")
        await bench.run_all()
        await bench.client.delete(keys.EVENT + first.event_id, keys.JOB + first.job_id)
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1")])
        assert (receipt.event_id, receipt.duplicate) == (first.event_id, True)
        assert await bench.run_all() == []

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "changes", [{}, {"provider_event_id": "ev_1"}, {"run_at": datetime(2100, 1, 1, tzinfo=UTC)}]
)
def test_accepting_the_same_arrival_again_changes_nothing(
    ledger_store: Store, changes: dict[str, Any]
) -> None:
    async def scenario(bench: Bench) -> None:
        event = arrival(**changes)
        first = await bench.ledger.events.accept([event])
        before = await bench.snapshot()
        assert await bench.ledger.events.accept([event]) == first
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_batch_of_a_hundred_is_taken_in_order(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        arrivals = [
            arrival(provider_event_id=str(number), body=str(number).encode()) for number in range(100)
        ]
        receipts = await bench.ledger.events.accept(arrivals)
        assert [receipt.job_id for receipt in receipts] == [event.job_id for event in arrivals]
        assert [(claim.job_id, claim.body) for claim in await bench.claim()] == [
            (event.job_id, event.body) for event in arrivals
        ]

    on(ledger_store, scenario)


def test_a_larger_batch_is_refused_whole(fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError, match="at most 100"):
            await bench.ledger.events.accept([arrival() for _ in range(101)])
        assert await bench.snapshot() == {}

    on(fake_store, scenario)


def test_an_event_and_its_job_must_belong_together(fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError, match="share the end"):
            await bench.ledger.events.accept([arrival(job_id=arrival().job_id)])

    on(fake_store, scenario)


def test_duplicates_within_a_batch_are_one_event(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        receipts = await bench.ledger.events.accept([arrival(provider_event_id="ev_1") for _ in range(3)])
        assert {receipt.event_id for receipt in receipts} == {receipts[0].event_id}
        assert [receipt.duplicate for receipt in receipts] == [False, True, True]
        assert len(await bench.run_all()) == 1

    on(ledger_store, scenario)


def test_fifty_at_once_with_the_same_id_are_one_event(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        accepting = [bench.ledger.events.accept([arrival(provider_event_id="ev_1")]) for _ in range(50)]
        receipts = [receipt for (receipt,) in await asyncio.gather(*accepting)]
        assert len({receipt.job_id for receipt in receipts}) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1
        assert len(await bench.run_all()) == 1

    on(ledger_store, scenario)


def test_a_job_for_later_is_scheduled(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        at = datetime(2100, 1, 1, tzinfo=UTC)
        event = arrival(run_at=at)
        (receipt,) = await bench.ledger.events.accept([event])
        assert receipt.status is JobStatus.SCHEDULED
        job = await bench.job(event)
        assert (job.status, job.next_attempt_at, job.position) == (JobStatus.SCHEDULED, at, None)
        assert await bench.claim() == []
        count, wait = await bench.ledger.jobs.promote(["default"])
        assert count == 0
        assert wait is not None
        assert wait > HOUR

    on(ledger_store, scenario)


def test_a_callback_that_may_not_be_made_is_blocked_from_the_start(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(callback_url="http://10.0.0.1/", callback_refusal="not an https URL")
        callback = (await bench.job(event)).callback
        assert callback is not None
        assert (callback.status, callback.reason) == (CallbackStatus.BLOCKED, "not an https URL")
        await bench.run_all()
        ended = (await bench.job(event)).callback
        assert ended is not None
        assert (ended.status, ended.reason, ended.attempts) == (
            CallbackStatus.BLOCKED,
            "not an https URL",
            (),
        )
        assert await bench.due() == []

    on(ledger_store, scenario)


def test_a_callback_is_pending_before_its_job_ends(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(callback_url=CALLBACK_URL)
        callback = (await bench.job(event)).callback
        assert callback is not None
        assert (callback.status, callback.url, callback.next_attempt_at) == (
            CallbackStatus.PENDING,
            CALLBACK_URL,
            None,
        )
        assert await bench.due() == []

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "text", ["naïve", "\ud800", 'a","at":1,"digest":"x', "a\x00b", "x" * 300, "größe:klein"]
)
def test_any_type_and_tag_can_be_found_again(ledger_store: Store, text: str) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(type=text, tag=text, provider_event_id=text, metadata={"said": text})
        await bench.accept(type="another")
        assert [job.id for job in await bench.jobs(type=text)] == [event.job_id]
        (receipt,) = await bench.ledger.events.accept([arrival(type=text, provider_event_id=text)])
        assert (receipt.duplicate, receipt.same_body) == (True, True)
        claim = next(claim for claim in await bench.claim() if claim.job_id == event.job_id)
        assert claim.metadata == {"said": text}

    on(ledger_store, scenario)
