"""What running handlers say, what is read of it all, and what a broken seal does."""

import json
from collections.abc import Awaitable, Callable

import pytest

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, LedgerError, Seal, keys
from infra.ledger.jobs import LOG_LINES_KEPT, Report
from infra.ledger.reading import QueueCounts
from infra.ledger.records import Arrival, JobStatus, Progress
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FAILED, FINISHED, Bench, arrival, on


def line(text: str) -> str:
    return json.dumps({"level": "info", "message": text})


def test_progress_and_log_lines_can_be_read_while_a_job_runs(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        said = Progress(current=2, total=5, message="naïve", stage="upload")
        await bench.ledger.jobs.report([Report(claim, said, (line("one"), "no JSON \ud800"))])
        await bench.ledger.jobs.report([Report(claim, lines=(line("two"),))])
        job = await bench.job(claim)
        assert job.progress == said
        assert [said["message"] for said in job.logs] == ["one", "no JSON \\ud800", "two"]

    on(ledger_store, scenario)


def test_only_the_holder_of_a_job_speaks_for_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim, other = await bench.take(), await bench.take()
        await bench.settle(FINISHED, claim)
        before = await bench.snapshot()
        await bench.ledger.jobs.report([Report(claim, Progress(current=1), (line("late"),))])
        assert await bench.snapshot() == before
        await bench.ledger.jobs.report(
            [Report(claim, lines=("late",)), Report(other, lines=(line("in time"),))]
        )
        assert (await bench.job(claim)).logs == ()
        assert len((await bench.job(other)).logs) == 1

    on(ledger_store, scenario)


def test_the_last_lines_of_a_log_are_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        for first in (0, 500):
            lines = tuple(line(str(number)) for number in range(first, first + 300))
            await bench.ledger.jobs.report([Report(claim, lines=lines)])
        logs = (await bench.job(claim)).logs
        assert [said["message"] for said in logs] == [
            str(number) for number in range(800 - LOG_LINES_KEPT, 800)
        ]
        assert await bench.client.llen(keys.LOG + claim.job_id) == LOG_LINES_KEPT

    on(ledger_store, scenario)


def test_many_reports_go_in_one_round_trip(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(100)))
        claims = await bench.claim()
        said = tuple(line("x" * 200) for _ in range(LOG_LINES_KEPT))
        await bench.ledger.jobs.report([Report(claim, Progress(current=1), said) for claim in claims])
        jobs = await bench.ledger.reading.jobs_of([claim.job_id for claim in claims])
        assert {len(job.logs) for job in jobs if job is not None} == {LOG_LINES_KEPT}

    on(ledger_store, scenario)


def test_an_unknown_id_reads_as_none(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.ledger.reading.job(JOB + new_suffix()) is None
        assert await bench.ledger.reading.job("\ud800") is None
        assert await bench.ledger.reading.event(EVENT + new_suffix()) is None
        assert await bench.jobs() == (await bench.ledger.lists.events()).items == []

    on(ledger_store, scenario)


def test_a_queued_job_knows_its_position(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        jobs = [await bench.accept() for _ in range(3)]
        assert [(await bench.job(job)).position for job in jobs] == [1, 2, 3]
        (first, *_) = await bench.claim(slots=1)
        assert [(await bench.job(job)).position for job in jobs] == [None, 1, 2]
        assert first.job_id == jobs[0].job_id

    on(ledger_store, scenario)


def test_a_job_in_a_line_comes_after_those_before_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept()
        line = [await bench.accept(ordering_key="a") for _ in range(3)]
        assert [(await bench.job(job)).position for job in line] == [2, 3, 4]
        await bench.claim()
        assert [(await bench.job(job)).position for job in line] == [None, 1, 2]
        await bench.ledger.jobs.cancel(line[0].job_id)
        assert [(await bench.job(job)).position for job in line] == [None, 1, 2]

    on(ledger_store, scenario)


def test_a_job_that_waits_for_a_place_knows_its_position(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = ["acme:*", "m:f", 1]
        jobs = [await bench.accept() for _ in range(3)]
        await bench.claim()
        assert [(await bench.job(job)).position for job in jobs] == [None, 1, 2]

    on(ledger_store, scenario)


def test_queues_are_counted(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.settle(FAILED, await bench.take())
        await bench.take()
        await bench.accept(queue="low")
        assert await bench.ledger.reading.queues() == [
            QueueCounts("default", queued=0, scheduled=0, started=1, failed=1),
            QueueCounts("low", queued=1, scheduled=0, started=0, failed=0),
        ]

    on(ledger_store, scenario)


def test_the_live_stream_tells_every_change(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept(tag='eu","at":1', callback_url=CALLBACK_URL)
        (claim,) = await bench.claim()
        await bench.ledger.jobs.report([Report(claim, Progress(current=1))])
        await bench.settle(FINISHED, claim)
        changes = [
            change
            for _, entry in await bench.client.xrange(keys.LIVE)
            for change in json.loads(entry[b"changes"])
        ]
        about = {
            "job_id": event.job_id,
            "event_id": event.event_id,
            "queue": "default",
            "source": "acme",
            "type": "order.paid",
            "tag": 'eu","at":1',
        }
        assert [change for change in changes if "status" in change] == [
            about | {"status": status} for status in ("queued", "started", "finished")
        ]
        assert changes[2]["progress"]["current"] == 1

    on(ledger_store, scenario)


def test_the_live_stream_is_bounded_by_the_changes_it_keeps(valkey_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(120):
            await bench.accept(*(arrival() for _ in range(100)))
        assert await bench.client.xlen(keys.LIVE) <= 101

    on(valkey_store, scenario)


def test_a_server_that_is_gone_is_a_ledger_error(fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        from infra.redis_client import connect

        async with connect("unix:///nowhere/redis.sock") as nobody:
            ledger = Ledger(nobody, seal=Seal(["a key"]))
            for asking in (
                ledger.reading.ping(),
                ledger.reading.job("job_1"),
                ledger.events.accept([arrival()]),
            ):
                with pytest.raises(LedgerError):
                    await asking

    on(fake_store, scenario)


# -- what was changed behind our back ----------------------------------------------------------------------------------


async def _change(bench: Bench, event: Arrival, field: str, old: bytes, new: bytes) -> None:
    kept = await bench.client.hget(keys.EVENT + event.event_id, field)
    assert old in kept
    await bench.client.hset(keys.EVENT + event.event_id, field, kept.replace(old, new))


async def _type(bench: Bench, event: Arrival, other: Arrival) -> None:
    await _change(bench, event, "head", b"order.paid", b"order.void")


async def _metadata(bench: Bench, event: Arrival, other: Arrival) -> None:
    await _change(bench, event, "head", b'"order":7', b'"order":8')


async def _body(bench: Bench, event: Arrival, other: Arrival) -> None:
    await _change(bench, event, "body", b"12", b"99")


async def _url(bench: Bench, event: Arrival, other: Arrival) -> None:
    await _change(bench, event, f"job:{event.job_id}", b"receiver.example", b"attacker.example")


async def _queue(bench: Bench, event: Arrival, other: Arrival) -> None:
    await _change(bench, event, f"job:{event.job_id}", b'"default"', b'"admin"')


async def _swapped_bodies(bench: Bench, event: Arrival, other: Arrival) -> None:
    await bench.client.hset(keys.EVENT + event.event_id, "body", other.body)


async def _another_head(bench: Bench, event: Arrival, other: Arrival) -> None:
    kept = await bench.client.hmget(keys.EVENT + other.event_id, "head", "body", f"job:{other.job_id}")
    await bench.client.hset(
        keys.EVENT + event.event_id,
        mapping={"head": kept[0], "body": kept[1], f"job:{event.job_id}": kept[2]},
    )


async def _no_birth(bench: Bench, event: Arrival, other: Arrival) -> None:
    await bench.client.hdel(keys.EVENT + event.event_id, f"job:{event.job_id}")


async def _garbage(bench: Bench, event: Arrival, other: Arrival) -> None:
    await bench.client.hset(
        keys.EVENT + event.event_id, mapping={"head": b"\xff{", f"job:{event.job_id}": b"\x00"}
    )


CHANGES = [_type, _metadata, _body, _url, _queue, _swapped_bodies, _another_head, _no_birth, _garbage]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_was_changed_is_quarantined_alone(
    ledger_store: Store, change: Callable[[Bench, Arrival, Arrival], Awaitable[None]]
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.sweep()
        before, changed, after = (
            arrival(callback_url=CALLBACK_URL, body=body) for body in (b'{"total":1}', b'{"total":12}', b"x")
        )
        await bench.accept(before, changed, after)
        await change(bench, changed, after)
        assert await bench.run_all() == [before.job_id, after.job_id]
        assert await bench.ledger.reading.event(changed.event_id) is None
        assert list(await bench.ledger.reading.quarantined()) == [changed.job_id]
        assert await bench.client.hget(keys.JOB + changed.job_id, "status") == b"failed"
        assert await bench.client.smembers(f"{keys.RUNNING}w9") == set()
        assert sorted(due.job.id for due in await bench.due()) == sorted([before.job_id, after.job_id])
        assert await bench.sweep() == 0
        assert await bench.run_all() == []

    on(ledger_store, scenario)


def test_what_another_key_sealed_is_not_run(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = arrival()
        await Ledger(bench.client, seal=Seal(["another key"])).events.accept([event])
        assert await bench.claim() == []
        assert await bench.ledger.reading.job(event.job_id) is None

    on(ledger_store, scenario)


def test_a_key_that_was_replaced_still_opens_what_it_sealed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        rotated = Ledger(bench.client, seal=Seal(["a new key", "a key"]))
        job = await rotated.reading.job(event.job_id)
        assert job is not None
        assert job.status is JobStatus.QUEUED

    on(ledger_store, scenario)
