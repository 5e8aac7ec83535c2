"""Bulk replays: what a filter finds is run again, a page at a time, each job once, by whichever worker comes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from infra.ids import REPLAY, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.bulk import BulkReplay, ReplayPage, ReplayStatus, Terms
from infra.ledger.lists import Filter
from infra.ledger.records import Failed, Ignored, JobStatus, Outcome
from infra.ledger.selections import Selection
from tests.conftest import Store
from tests.integration.ledger_bench import ERROR, FAILED, FINISHED, Bench, arrival, on

DEAD = Filter(status=JobStatus.FAILED)
FAST = Terms(rate=1000)
GONE = REPLAY + "0" * 26


async def ended(bench: Bench, number: int, outcome: Outcome = FAILED, **changes: Any) -> list[str]:
    """So many jobs that ended so; their ids, oldest first."""
    await bench.accept(*[arrival(**changes) for _ in range(number)])
    claims = await bench.claim("w0")
    await bench.settle(outcome, *claims, worker="w0")
    return sorted(claim.job_id for claim in claims)


async def start(bench: Bench, terms: Terms = FAST, wanted: Filter = DEAD) -> str:
    chosen = await bench.ledger.replays.select(wanted)
    return await bench.ledger.replays.start(chosen, terms, by="ops", asked={"status": "failed"})


async def shown(bench: Bench, replay_id: str) -> BulkReplay:
    replay = await bench.ledger.replays.replay(replay_id)
    assert replay is not None
    return replay


async def page(bench: Bench, worker: str = "w1") -> ReplayPage:
    """The next page of whatever is due now."""
    await bench.client.zadd(
        keys.REPLAYS_DUE, dict.fromkeys(await bench.client.zrange(keys.REPLAYS_DUE, 0, -1), 1)
    )
    found = await bench.ledger.replays.proceed(worker, sequence=next(bench.sequences))
    assert isinstance(found, ReplayPage), found
    return found


async def run_out(bench: Bench, outcome: Outcome = FINISHED) -> None:
    """Go on until no bulk replay runs; their jobs end like this."""
    for _ in range(100):
        due = await bench.client.zrange(keys.REPLAYS_DUE, 0, -1)
        await bench.client.zadd(keys.REPLAYS_DUE, dict.fromkeys(due, 1)) if due else None
        found = await bench.ledger.replays.proceed("w1", sequence=next(bench.sequences))
        if found is None:
            return
        if isinstance(found, ReplayPage):
            await bench.ledger.replays.run(found)
        await bench.settle(outcome, *(await bench.claim("w0")), worker="w0")
    raise AssertionError("it never ends")


def test_failed_jobs_are_retried_oldest_first_and_counted(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = await ended(bench, 5)
        replay_id = await start(bench)
        first = await page(bench)
        assert (first.jobs, first.queue, first.by) == (tuple(jobs), "low", "ops")
        assert await bench.ledger.replays.run(first) == 5
        claims = await bench.claim("w0")
        assert sorted(claim.job_id for claim in claims) == jobs
        assert {claim.queue for claim in claims} == {"low"}
        await bench.settle(FINISHED, *claims, worker="w0")
        await run_out(bench)
        replay = await shown(bench, replay_id)
        assert (replay.status, replay.reason) == (ReplayStatus.FINISHED, None)
        assert (replay.total, replay.begun, replay.skipped, replay.succeeded, replay.failed) == (
            5,
            5,
            0,
            5,
            0,
        )
        assert replay.ended_at is not None
        acts = await bench.ledger.reading.acts(jobs[0])
        assert [(act.act, act.by) for act in acts] == [("retry", f"ops ({replay_id})")]

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, Ignored()], ids=lambda one: type(one).__name__)
def test_what_ended_otherwise_is_replayed(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        (job_id,) = await ended(bench, 1, outcome)
        before = await bench.job(job_id)
        replay_id = await start(bench, wanted=Filter(status=before.status))
        await run_out(bench)
        assert (await shown(bench, replay_id)).succeeded == 1
        assert await bench.status(job_id) is before.status
        event = await bench.ledger.reading.event(before.event_id)
        assert event is not None
        (other,) = set(event.jobs) - {job_id}
        assert await bench.status(other) is JobStatus.FINISHED

    on(ledger_store, scenario)


def test_an_event_with_two_jobs_is_replayed_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        (job_id,) = await ended(bench, 1, FINISHED)
        event_id = (await bench.job(job_id)).event_id
        for expected in (2, 3):
            replay_id = await start(bench, wanted=Filter(status=JobStatus.FINISHED))
            await run_out(bench)
            event = await bench.ledger.reading.event(event_id)
            assert event is not None
            assert len(event.jobs) == expected
        replay = await shown(bench, replay_id)
        assert (replay.total, replay.begun, replay.skipped) == (2, 1, 1)

    on(ledger_store, scenario)


def test_a_page_is_run_once_though_its_worker_died(ledger_store: Store) -> None:
    """The first worker takes a page and dies; the second takes it again; the first comes back."""

    async def scenario(bench: Bench) -> None:
        jobs = await ended(bench, 3)
        await start(bench)
        of_first = await page(bench, "w1")
        of_second = await page(bench, "w2")
        assert of_second.jobs == of_first.jobs
        assert await bench.ledger.replays.run(of_second) == 3
        before = await bench.snapshot()
        assert await bench.ledger.replays.run(of_first) == 0
        assert await bench.ledger.replays.run(of_second) == 0
        assert await bench.snapshot() == before
        assert sorted(await bench.run_all()) == sorted(jobs)

    on(ledger_store, scenario)


def test_a_page_is_held_for_a_while_and_the_next_one_waits(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 4)
        await start(bench, Terms(rate=2))
        taken = await bench.ledger.replays.proceed("w1", sequence=1)
        assert isinstance(taken, ReplayPage)
        assert len(taken.jobs) == 2
        held = await bench.ledger.replays.proceed("w2", sequence=1)
        assert isinstance(held, timedelta)
        assert timedelta(seconds=20) < held <= timedelta(seconds=30)
        await bench.ledger.replays.run(taken)
        wait = await bench.ledger.replays.proceed("w2", sequence=2)
        assert isinstance(wait, timedelta)
        assert timedelta(milliseconds=500) < wait <= timedelta(seconds=1)

    on(ledger_store, scenario)


def test_it_stops_when_too_many_fail(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 60)
        replay_id = await start(bench, Terms(rate=20, share=0.2, least=20))
        await run_out(bench, Failed(error=ERROR))
        replay = await shown(bench, replay_id)
        assert (replay.status, replay.reason) == (ReplayStatus.STOPPED, "too many failed")
        assert (replay.begun, replay.failed) == (20, 20)

    on(ledger_store, scenario)


def test_a_few_failures_stop_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 19)
        replay_id = await start(bench, Terms(rate=1000, share=0, least=20))
        await run_out(bench, Failed(error=ERROR))
        replay = await shown(bench, replay_id)
        assert (replay.status, replay.failed) == (ReplayStatus.FINISHED, 19)

    on(ledger_store, scenario)


def test_one_that_was_halted_begins_nothing_more(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 4)
        replay_id = await start(bench, Terms(rate=2))
        await bench.ledger.replays.run(await page(bench))
        held = await page(bench)
        assert await bench.ledger.replays.halt(replay_id, by="Ada")
        assert not await bench.ledger.replays.halt(replay_id, by="twice")
        assert await bench.ledger.replays.run(held) == 0
        await run_out(bench)
        replay = await shown(bench, replay_id)
        assert (replay.status, replay.reason, replay.begun) == (ReplayStatus.STOPPED, "by Ada", 2)
        left = {key.decode() for key in await bench.client.keys("*") if replay_id.encode() in key}
        assert left == {keys.REPLAY + replay_id}
        assert await bench.client.pttl(keys.REPLAY + replay_id) > 0

    on(ledger_store, scenario)


def test_what_has_moved_on_is_skipped(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        retried, gone, kept = await ended(bench, 3)
        replay_id = await start(bench)
        await bench.ledger.steering.retry(await bench.job(retried), by="Ada")
        await bench.client.delete(f"{keys.JOB}{gone}")
        await bench.ledger.replays.run(await page(bench))
        replay = await shown(bench, replay_id)
        assert (replay.begun, replay.skipped) == (1, 2)
        assert (await bench.job(kept)).round == 2

    on(ledger_store, scenario)


def test_nothing_to_run_is_finished_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        replay_id = await start(bench)
        await run_out(bench)
        replay = await shown(bench, replay_id)
        assert (replay.status, replay.total) == (ReplayStatus.FINISHED, 0)

    on(ledger_store, scenario)


def test_a_plan_is_made_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = await ended(bench, 2)
        plan = ("plan", GONE, "in one place", 2, "by", "ops", *jobs)
        assert await bench.ledger.replays._scripts.run(*plan) == GONE.encode()
        before = await bench.snapshot()
        assert await bench.ledger.replays._scripts.run(*plan) == GONE.encode()
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_of_one_kind_one_runs_at_a_time_however_many_are_wanted_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 2)
        replays = bench.ledger.replays
        chosen = await replays.select(DEAD)

        async def once(kind: str) -> tuple[str, bool]:
            return await replays.start_once(kind, chosen, FAST, by="ops", asked={})

        at_once = await asyncio.gather(*(once("in one place") for _ in range(5)))
        assert len({replay_id for replay_id, _ in at_once}) == 1
        assert sum(is_new for _, is_new in at_once) == 1
        assert (await once("in another"))[1]
        assert len(await replays.newest(10)) == 2
        first = at_once[0][0]
        await replays.halt(first, by="ops")
        again, is_new = await once("in one place")
        assert (again != first, is_new) == (True, True)

    on(ledger_store, scenario)


def test_one_whose_turn_was_lost_goes_on(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 1)
        replay_id = await start(bench)
        await bench.client.delete(keys.REPLAYS_DUE)
        assert await bench.ledger.replays.proceed("w1", sequence=1) == timedelta(0)
        await run_out(bench)
        assert (await shown(bench, replay_id)).succeeded == 1

    on(ledger_store, scenario)


def test_the_newest_are_listed_first(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        ids = []
        for _ in range(3):
            ids.append(await start(bench))
            await bench.client.zadd(keys.REPLAYS, {ids[-1]: len(ids)})
        assert [replay.id for replay in await bench.ledger.replays.newest(2)] == ids[:0:-1]
        assert await bench.ledger.replays.replay(GONE) is None
        assert not await bench.ledger.replays.halt(GONE, by="Ada")

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    "field", ["status", "rate", "share", "least", "filter", "total", "begun", "created", "queue"]
)
def test_a_mangled_record_can_be_looked_at_and_harms_no_other(ledger_store: Store, field: str) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, 1)
        mangled, sound = await start(bench), await start(bench)
        await bench.client.hset(keys.REPLAY + mangled, field, b"\xff\x00{")
        await run_out(bench)
        assert (await shown(bench, mangled)).id == mangled
        assert (await shown(bench, sound)).status is ReplayStatus.FINISHED

    on(ledger_store, scenario)


# -- selection ---------------------------------------------------------------------------------------------------------


async def chosen(bench: Bench, wanted: Filter, ids: list[str] | None = None) -> Selection:
    return await bench.ledger.replays.select(wanted, ids=ids)


def test_only_what_has_ended_and_fits_is_chosen(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        (failed,) = await ended(bench, 1, source="acme")
        (other,) = await ended(bench, 1, source="billing")
        (finished,) = await ended(bench, 1, FINISHED)
        waiting = (await bench.accept()).job_id
        all_ids = [failed, other, finished, waiting, "job_" + new_suffix(), "nonsense"]
        assert [job.id for job in (await chosen(bench, DEAD)).jobs] == [failed, other]
        assert [
            job.id for job in (await chosen(bench, Filter(status=JobStatus.FAILED, source="billing"))).jobs
        ] == [other]
        found = await chosen(bench, Filter(), ids=all_ids)
        assert ([job.id for job in found.jobs], found.retries) == ([failed, other, finished], 2)

    on(ledger_store, scenario)


def test_a_selection_tells_what_has_succeeded_already(ledger_store: Store) -> None:
    """A failed job whose event was replayed since, and it worked: to run it again may do the work twice."""

    async def scenario(bench: Bench) -> None:
        one, _ = await ended(bench, 2)
        event_id = (await bench.job(one)).event_id
        origin = await bench.ledger.steering.origin(event_id, [one])
        assert origin is not None
        await bench.ledger.steering.replay(origin, "job_" + new_suffix(), by="Ada", queue=None, entry=None)
        assert (await chosen(bench, DEAD)).succeeded == 0
        await bench.run_all()
        found = await chosen(bench, DEAD)
        assert (len(found.jobs), found.succeeded, found.complete) == (2, 1, True)
        assert (await chosen(bench, Filter(status=JobStatus.FINISHED))).succeeded == 1

    on(ledger_store, scenario)


def test_a_selection_is_bounded_and_says_so(fake_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.ledger.selections.MOST", 3)

    async def scenario(bench: Bench) -> None:
        jobs = await ended(bench, 5)
        found = await chosen(bench, DEAD)
        assert ([job.id for job in found.jobs], found.complete) == (jobs[2:], False)

    on(fake_store, scenario)


def test_one_that_has_ended_goes_after_a_while(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        short = Ledger(bench.client, seal=Seal(["a key"]), dead_retention=timedelta(milliseconds=1))
        replay_id = await start(bench)
        assert await short.replays.proceed("w1", sequence=1) is None
        while await bench.client.exists(keys.REPLAY + replay_id):
            pass
        assert await bench.ledger.replays.newest(10) == []

    on(ledger_store, scenario)
