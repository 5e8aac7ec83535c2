"""Retry and replay: a failed job runs again in a round of its own, an event gets one more job; nothing happens twice."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from infra.ids import JOB, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.records import CallbackStatus, HandlerEntry, Ignored, JobStatus, Outcome, Retried
from infra.ledger.steering import Verdict
from infra.ledger.wire import limits_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    NOW,
    Bench,
    on,
)

LATER = Retried(delay=HOUR, error=ERROR)
GONE = "job_" + "0" * 26


async def fail(bench: Bench, **changes: Any) -> str:
    """A job that was given up."""
    claim = await bench.take(**({"callback_url": CALLBACK_URL} | changes))
    await bench.settle(FAILED, claim)
    return claim.job_id


async def retry(bench: Bench, job_id: str, *, by: str = "ops") -> Verdict:
    return await bench.ledger.steering.retry(await bench.job(job_id), by=by)


async def replay(
    bench: Bench,
    event_id: str,
    *,
    job_id: str | None = None,
    queue: str | None = None,
    entry: HandlerEntry | None = None,
    seen: int | None = None,
) -> tuple[str, Verdict]:
    event = await bench.ledger.reading.event(event_id)
    assert event is not None
    origin = await bench.ledger.steering.origin(event_id, event.jobs)
    assert origin is not None
    made = job_id or JOB + new_suffix()
    return made, await bench.ledger.steering.replay(
        origin, made, by="ops", queue=queue, entry=entry, seen=seen
    )


# -- retry -------------------------------------------------------------------------------------------------------------


def test_a_failed_job_runs_again_in_a_round_of_its_own(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        assert await retry(bench, job_id) is Verdict.DONE
        job = await bench.job(job_id)
        assert (job.status, job.round, job.attempt, job.position) == (JobStatus.QUEUED, 2, 0, 1)
        assert (job.started_at, job.ended_at) == (None, None)
        (claim,) = await bench.claim()
        assert (claim.job_id, claim.attempt, claim.crashes) == (job_id, 1, 0)
        await bench.settle(FINISHED, claim)
        job = await bench.job(job_id)
        assert (job.status, job.result, job.error) == (JobStatus.FINISHED, {"ok": True}, None)
        assert [(one.round, one.number, one.outcome) for one in job.attempts] == [
            (1, 1, "failed"),
            (2, 1, "finished"),
        ]

    on(ledger_store, scenario)


@pytest.mark.parametrize("outcome", [FINISHED, Ignored(), LATER], ids=lambda one: type(one).__name__)
def test_only_a_failed_job_can_be_retried(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL)
        for settled in (False, True):
            if settled:
                await bench.settle(outcome, claim)
            before = await bench.snapshot()
            assert await retry(bench, claim.job_id) is Verdict.NOT_FAILED
            assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_retry_of_what_is_queued_again_changes_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        failed = await bench.job(job_id)
        await bench.ledger.steering.retry(failed, by="ops")
        before = await bench.snapshot()
        assert await bench.ledger.steering.retry(failed, by="ops") is Verdict.NOT_FAILED
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_each_round_calls_back_once_with_its_own_outcome(ledger_store: Store) -> None:
    """The first round's callback still waits while the second ends, and tells of the first."""

    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        ended = (await bench.job(job_id)).ended_at
        await retry(bench, job_id)
        (first,) = await bench.due(hold=NOW)
        assert (first.id, first.job.status, first.job.error) == (
            f"cb_{job_id[4:]}",
            JobStatus.FAILED,
            ERROR_TOLD,
        )
        assert (first.job.attempt, first.job.ended_at, first.job.result) == (1, ended, None)
        await bench.run_all()
        both = {due.id: due.job.status for due in await bench.due()}
        assert both == {
            f"cb_{job_id[4:]}": JobStatus.FAILED,
            f"cb_{job_id[4:]}-2": JobStatus.FINISHED,
        }
        listed = (await bench.ledger.lists.callbacks()).items
        assert {job.callback.id for job in listed if job.callback} == set(both)

    on(ledger_store, scenario)


ERROR_TOLD = type(ERROR)(type=ERROR.type, message=ERROR.message)


def test_the_dead_letter_of_an_earlier_round_can_be_made_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DEAD)
        await retry(bench, job_id)
        (job,) = await bench.ledger.reading.called([due.id])
        assert job is not None
        assert await bench.ledger.callbacks.redeliver([job]) == [True]
        (again,) = await bench.due()
        assert (again.id, again.job.status) == (due.id, JobStatus.FAILED)

    on(ledger_store, scenario)


def test_deaths_are_counted_anew(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = (await bench.accept()).job_id
        for _ in range(3):
            await bench.claim("w1")
            await bench.die("w1")
            await bench.ledger.jobs.take_over()
        assert await bench.status(job_id) is JobStatus.FAILED
        assert await retry(bench, job_id) is Verdict.DONE
        (claim,) = await bench.claim("w2")
        assert (claim.attempt, claim.crashes, claim.failures_before) == (1, 0, 0)
        await bench.die("w2")
        assert (await bench.ledger.jobs.take_over()).requeued == 1

    on(ledger_store, scenario)


def test_what_a_handler_kept_stays(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.ledger.steps.keep(claim, "step:fetch", "[1]")
        await bench.settle(FAILED, claim)
        await retry(bench, claim.job_id)
        assert await bench.ledger.steps.kept(claim.job_id) == {"step:fetch": "[1]"}

    on(ledger_store, scenario)


def test_a_retried_job_stands_at_the_end_of_its_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench, ordering_key="order-1")
        other = await bench.accept(ordering_key="order-1")
        await retry(bench, job_id)
        assert [claim.job_id for claim in await bench.claim()] == [other.job_id]
        assert await bench.client.hget(f"{keys.JOB}{job_id}", "status") == b"deferred"
        await bench.ledger.jobs.cancel(other.job_id)
        assert await bench.run_all() == [job_id]

    on(ledger_store, scenario)


def test_a_limit_holds_for_a_retried_job_too(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = limits_of([HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=1)])
        job_id = await fail(bench)
        running = await bench.take()
        await retry(bench, job_id)
        assert await bench.claim() == []
        await bench.settle(FINISHED, running)
        assert await bench.run_all() == [job_id]

    on(ledger_store, scenario)


def test_a_retried_job_is_kept_until_it_has_ended_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench, callback_url=None)
        await retry(bench, job_id)
        keep_nothing = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW)
        assert await keep_nothing.jobs.retire() == 0
        assert await bench.client.zscore(f"{keys.FAILED}default", job_id) is None
        await bench.run_all()
        assert await keep_nothing.jobs.retire() == 1
        assert not [key for key in await bench.snapshot() if job_id.encode()[4:] in key]

    on(ledger_store, scenario)


def test_a_record_made_anew_stays_in_its_round(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        await retry(bench, job_id)
        await bench.client.delete(f"{keys.JOB}{job_id}")
        assert await bench.run_all() == [job_id]
        assert {due.id for due in await bench.due()} >= {f"cb_{job_id[4:]}-2"}

    on(ledger_store, scenario)


def test_a_changed_record_is_quarantined_in_every_round(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        job = await bench.job(job_id)
        await bench.client.hset(f"{keys.EVENT}{job.event_id}", "body", b'{"total":1000000}')
        assert await bench.ledger.steering.retry(job, by="ops") is Verdict.DONE
        assert await bench.claim() == []
        assert job_id in await bench.ledger.reading.quarantined()

    on(ledger_store, scenario)


def test_a_job_has_a_hundred_rounds_at_the_most(fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench, callback_url=None)
        await bench.client.hset(f"{keys.JOB}{job_id}", "round", 100)
        assert await retry(bench, job_id) is Verdict.SPENT

    on(fake_store, scenario)


def test_a_job_that_is_gone_can_not_be_retried(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench, callback_url=None)
        job = await bench.job(job_id)
        await Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW).jobs.retire()
        before = await bench.snapshot()
        assert await bench.ledger.steering.retry(job, by="ops") is Verdict.MISSING
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_a_retried_job_is_true_to_rq(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        await retry(bench, job_id)
        with ledger_store.connect_sync() as client:
            job = Job.fetch(job_id, connection=client, serializer=JSONSerializer)
            assert job.is_queued
            assert job.ended_at is None
            assert FailedJobRegistry("default", connection=client).get_job_ids() == []
            assert Queue("default", connection=client, serializer=JSONSerializer).job_ids == [job_id]

    on(ledger_store, scenario)


# -- replay ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Ignored()], ids=lambda one: type(one).__name__)
def test_an_event_gets_one_more_job(ledger_store: Store, outcome: Outcome) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(callback_url=CALLBACK_URL, tag="org-7")
        await bench.settle(outcome, claim)
        for due in await bench.due():
            await bench.record(due, CallbackStatus.DELIVERED)
        job_id, verdict = await replay(bench, claim.event_id)
        assert verdict is Verdict.DONE
        assert (await bench.ledger.reading.event(claim.event_id)).jobs == tuple(
            sorted({claim.job_id, job_id})
        )  # type: ignore[union-attr]
        (again,) = await bench.claim()
        assert (again.job_id, again.event_id, again.body, again.tag) == (
            job_id,
            claim.event_id,
            claim.body,
            "org-7",
        )
        await bench.settle(FINISHED, again)
        (due,) = await bench.due()
        assert (due.id, due.url, due.job.status) == (f"cb_{job_id[4:]}", CALLBACK_URL, JobStatus.FINISHED)
        assert await bench.status(claim) is {Ignored: JobStatus.IGNORED}.get(
            type(outcome), JobStatus.FINISHED if outcome is FINISHED else JobStatus.FAILED
        )

    on(ledger_store, scenario)


def test_a_replay_with_the_same_id_is_made_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(FINISHED, claim)
        job_id, _ = await replay(bench, claim.event_id)
        before = await bench.snapshot()
        assert await replay(bench, claim.event_id, job_id=job_id) == (job_id, Verdict.THERE)
        assert await bench.snapshot() == before

    on(ledger_store, scenario)


def test_of_those_who_have_seen_the_same_jobs_one_replays(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = (await bench.job(await fail(bench))).event_id
        made = await asyncio.gather(*(replay(bench, event_id, seen=1) for _ in range(3)))
        assert sorted(verdict for _, verdict in made) == [Verdict.DONE, Verdict.OVERTAKEN, Verdict.OVERTAKEN]
        event = await bench.ledger.reading.event(event_id)
        assert event is not None
        assert len(event.jobs) == 2
        assert (await replay(bench, event_id, seen=2))[1] is Verdict.DONE

    on(ledger_store, scenario)


def test_a_replay_goes_where_it_is_sent(ledger_store: Store) -> None:
    entry = HandlerEntry(source="acme", type="*", handler=HANDLER, queue="high")

    async def scenario(bench: Bench) -> None:
        claim = await bench.take(run_at=datetime(2020, 1, 1, tzinfo=UTC), queue="default")
        for queue, known, lands in [("low", entry, "low"), (None, entry, "high"), (None, None, "default")]:
            job_id, _ = await replay(bench, claim.event_id, queue=queue, entry=known)
            assert (await bench.job(job_id)).queue == lands
            assert await bench.status(job_id) is JobStatus.QUEUED

    async def scheduled_is_promoted(bench: Bench) -> None:
        await bench.accept(run_at=datetime(2020, 1, 1, tzinfo=UTC))
        await bench.ledger.jobs.promote(["default"])
        (claim,) = await bench.claim()
        job_id, _ = await replay(bench, claim.event_id)
        assert await bench.status(job_id) is JobStatus.QUEUED

    on(ledger_store, scheduled_is_promoted)


def test_a_replay_stands_in_its_events_line(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.take(ordering_key="order-1")
        job_id, _ = await replay(bench, first.event_id)
        assert await bench.claim() == []
        await bench.settle(FINISHED, first)
        assert await bench.run_all() == [job_id]

    on(ledger_store, scenario)


def test_a_replay_whose_record_is_lost_is_made_anew_from_its_event(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(FINISHED, claim)
        job_id, _ = await replay(bench, claim.event_id)
        await bench.client.delete(f"{keys.JOB}{job_id}")
        assert await bench.run_all() == [job_id]
        assert (await bench.job(job_id)).event_id == claim.event_id

    on(ledger_store, scenario)


def test_an_event_goes_with_the_last_of_its_jobs(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(FINISHED, claim)
        job_id, _ = await replay(bench, claim.event_id)
        keep_nothing = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW)
        assert await keep_nothing.jobs.retire() == 1
        assert await bench.run_all() == [job_id]
        assert await keep_nothing.jobs.retire() == 1
        left = {key.decode() for key in await bench.snapshot()}
        assert not {key for key in left if key.startswith((keys.EVENT, keys.JOB, keys.ACTS, keys.REPLAYED))}

    on(ledger_store, scenario)


def test_an_event_without_a_seal_has_no_origin(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.client.hset(f"{keys.EVENT}{claim.event_id}", "head", b"{}")
        assert await bench.ledger.steering.origin(claim.event_id, [claim.job_id]) is None
        assert await bench.ledger.steering.origin("evt_" + "0" * 26, [GONE]) is None

    on(ledger_store, scenario)


def test_watchers_are_told_with_the_callers_tag(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(tag="org-7")
        await bench.settle(FAILED, claim)
        await retry(bench, claim.job_id)
        job_id, _ = await replay(bench, claim.event_id, queue="low")
        entries = await bench.client.xrange(keys.LIVE)
        changes = [change for _, entry in entries for change in json.loads(entry[b"changes"])]
        told = [
            (one["job_id"], one["status"], one["queue"], one["tag"]) for one in changes if "status" in one
        ]
        assert told == [
            (claim.job_id, "queued", "default", "org-7"),
            (claim.job_id, "started", "default", "org-7"),
            (claim.job_id, "failed", "default", "org-7"),
            (claim.job_id, "queued", "default", "org-7"),
            (job_id, "queued", "low", "org-7"),
        ]

    on(ledger_store, scenario)


# -- who did it --------------------------------------------------------------------------------------------------------


def test_who_did_what_is_told_in_order(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench)
        await retry(bench, job_id, by="Ada")
        await retry(bench, job_id, by="twice")
        await bench.ledger.jobs.cancel(job_id, by="link")
        await bench.ledger.jobs.cancel(job_id, by="twice")
        acts = await bench.ledger.reading.acts(job_id)
        assert [(act.act, act.by) for act in acts] == [("retry", "Ada"), ("cancel", "link")]
        replayed, _ = await replay(bench, (await bench.job(job_id)).event_id)
        assert [(act.act, act.by) for act in await bench.ledger.reading.acts(replayed)] == [("replay", "ops")]
        assert await bench.ledger.reading.acts(GONE) == ()

    on(ledger_store, scenario)


def test_acts_are_bounded(fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        job_id = await fail(bench, callback_url=None)
        await bench.client.rpush(f"{keys.ACTS}{job_id}", *["{}"] * 200)
        await retry(bench, job_id, by="last")
        acts = await bench.ledger.reading.acts(job_id)
        assert (len(acts), acts[-1].by) == (50, "last")

    on(fake_store, scenario)


def test_where_replays_belong_is_made_anew_with_the_indices(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(FINISHED, claim)
        job_id, _ = await replay(bench, claim.event_id)
        await bench.client.delete(keys.REPLAYED, keys.JOBS)
        await bench.sweep()
        assert await bench.client.hgetall(keys.REPLAYED) == {job_id.encode(): claim.event_id.encode()}

    on(ledger_store, scenario)
