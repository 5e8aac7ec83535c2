"""What is past retention is archived before it goes; it goes only as it was read, and is found again."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.archive import Archived, Manifest
from infra.archive.archive import Archive
from infra.archive.lines import day_of
from infra.clock import SystemClock
from infra.files import StoreUnavailable
from infra.files.store import FileStore
from infra.ledger import Ledger, Seal, keys
from infra.ledger.archiving import ArchiveStanding, Expired
from infra.ledger.jobs import Report
from infra.ledger.records import CallbackStatus
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FAILED,
    FINISHED,
    HOUR,
    NOW,
    RETRIED,
    Bench,
    arrival,
    on,
)
from worker.archivist import Archivist

SOON = timedelta(milliseconds=1)


def past(bench: Bench, *, dead_retention: timedelta = NOW) -> Ledger:
    """The same ledger, for which whatever has ended is past retention."""
    return Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=dead_retention)


def archive_in(directory: Path) -> Archive:
    return Archive(FileStore(str(directory)), clock=SystemClock())


def archivist(ledger: Ledger, archive: Any, name: str = "w1") -> Archivist:
    return Archivist(ledger, archive, worker=name, every=SOON, clock=SystemClock())


async def archived_in(archive: Archive) -> list[Archived]:
    """Every line of every part that counts."""
    found: list[Archived] = []
    for day in await archive.days():
        async for manifest in archive.manifests(day):
            assert isinstance(manifest, Manifest)
            found += await archive.events_in(manifest)
    return found


async def ended(bench: Bench, *outcomes: Any, **changes: Any) -> str:
    """The event of a job that ended so."""
    claim = await bench.take(**changes)
    for outcome in outcomes[:-1]:
        await bench.settle(outcome, claim)
        (claim,) = await bench.claim()
    await bench.ledger.jobs.report([Report(claim, lines=('{"message":"so far"}',))])
    await bench.settle(outcomes[-1], claim)
    await asyncio.sleep(0.002)  # an end in this same millisecond is not past
    return claim.event_id


def test_what_is_past_retention_is_archived_whole_and_then_gone(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, RETRIED, FAILED, tag="ada", callback_url=CALLBACK_URL)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        history = await bench.ledger.histories.history(event_id)
        await asyncio.sleep(0.002)

        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 1

        assert await bench.ledger.reading.event(event_id) is None
        archived = await archive.event(event_id)
        assert archived.dossier.history == history
        (job,) = archived.jobs
        (round_,) = job.rounds
        assert [attempt.outcome for attempt in round_.attempts] == ["retried", "failed"]
        assert round_.logs == ({"message": "so far"},)
        assert round_.callback is not None
        assert [post.number for post in round_.callback.attempts] == [1]

    on(ledger_store, scenario)


def test_what_is_open_or_young_stays(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, FAILED)
        running, queued = await bench.take(), await bench.accept()
        archive = archive_in(tmp_path)
        assert await archivist(past(bench, dead_retention=HOUR), archive).turn() == 0
        assert await archived_in(archive) == []
        assert {running.job_id, queued.job_id} <= {job.id for job in await bench.jobs()}

    on(ledger_store, scenario)


class Away(Archive):
    """An archive whose store is away."""

    async def write(self, events: Any) -> Any:
        raise StoreUnavailable("the bucket is gone")


def test_nothing_goes_while_the_archive_is_away(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FINISHED)
        ledger, store = past(bench), FileStore(str(tmp_path))
        assert await archivist(ledger, Away(store, clock=SystemClock())).turn() == 0
        standing = await ledger.archiving.standing()
        assert standing is not None
        assert (standing.archived, standing.error) == (0, "the bucket is gone")
        assert standing.failing_since is not None
        assert await ledger.jobs.retire() == 0, "a worker without the setting removes nothing either"
        assert await bench.ledger.reading.event(event_id) is not None

        archive = archive_in(tmp_path)
        assert await archivist(ledger, archive).turn() == 1
        standing = await ledger.archiving.standing()
        assert isinstance(standing, ArchiveStanding)
        assert (standing.archived, standing.failing_since, standing.error) == (1, None, "")

    on(ledger_store, scenario)


def test_without_an_archive_nothing_waits_for_one(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, FINISHED)
        ledger = past(bench)
        assert await ledger.archiving.standing() is None
        assert await ledger.jobs.retire() == 1

    on(ledger_store, scenario)


class DyingBeforeItLetsGo(Exception):
    """A worker was killed."""


@pytest.mark.parametrize("step", ["commit", "let_go"])
def test_a_worker_that_dies_on_the_way_loses_nothing(
    ledger_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def die(*_: Any) -> None:
        raise DyingBeforeItLetsGo

    async def scenario(bench: Bench) -> None:
        event_ids = {await ended(bench, FINISHED) for _ in range(3)}
        ledger, archive = past(bench), archive_in(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(
                *((archive, "commit", die) if step == "commit" else (ledger.archiving, "let_go", die))
            )
            with pytest.raises(DyingBeforeItLetsGo):
                await archivist(ledger, archive, "w1").turn()
        assert len(await bench.jobs()) == 3
        assert await archivist(past(bench), archive, "w2").turn() == 0, "the lease of the dead one still runs"
        await bench.client.hset(keys.ARCHIVE, "until", "1")

        assert await archivist(past(bench), archive, "w2").turn() == 3
        lines = await archived_in(archive)
        assert {line.id for line in lines} == event_ids
        assert len(lines) == (3 if step == "commit" else 6)
        assert {(await archive.event(event_id)).id for event_id in event_ids} == event_ids

    on(ledger_store, scenario)


def test_what_is_done_to_a_job_meanwhile_keeps_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FAILED)
        archiving = past(bench).archiving
        jobs, complete = await archiving.expired()
        assert ([job.event_id for job in jobs], complete) == ([event_id], True)
        job = await bench.job(jobs[0].job_id)
        await bench.ledger.steering.retry(job, by="ops")
        assert await archiving.let_go(jobs) == 0
        await bench.run_all()
        await asyncio.sleep(0.002)
        assert await archiving.let_go(jobs) == 0, "it is past retention again, but not as it was archived"
        again, _ = await archiving.expired()
        assert await archiving.let_go(again) == 1
        assert await archiving.let_go(again) == 0

    on(ledger_store, scenario)


def test_a_callback_that_was_made_again_meanwhile_keeps_its_job(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await ended(bench, FINISHED, callback_url=CALLBACK_URL)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        archiving = past(bench).archiving
        jobs, _ = await archiving.expired()
        await bench.ledger.callbacks.redeliver([due.job])
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        assert await archiving.let_go(jobs) == 0
        again, _ = await archiving.expired()
        assert await archiving.let_go(again) == 1

    on(ledger_store, scenario)


def test_jobs_of_an_event_that_go_at_different_times_are_one_event(
    ledger_store: Store, tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FINISHED)
        event = await bench.ledger.reading.event(event_id)
        assert event is not None
        origin = await bench.ledger.steering.origin(event_id, event.jobs)
        assert origin is not None
        again = arrival().job_id
        await bench.ledger.steering.replay(origin, again, by="ops", queue=None, entry=None)
        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 1
        await bench.run_all()
        await asyncio.sleep(0.002)
        assert await archivist(past(bench), archive).turn() == 1

        archived = await archive.event(event_id)
        statuses = {job.rounds[-1].id: job.rounds[-1].status for job in archived.jobs}
        assert statuses == {event.jobs[0]: "finished", again: "finished"}
        assert archived.event is not None
        assert set(archived.event.jobs) == set(statuses)
        assert past(bench).archiving.vouched(archived.dossier) is not None

    on(ledger_store, scenario)


def test_an_event_with_many_jobs_and_rounds_is_archived_whole(
    ledger_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ledger.histories.MOST_ROUNDS", 1)

    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FAILED)
        event = await bench.ledger.reading.event(event_id)
        assert event is not None
        for _ in range(2):
            await bench.ledger.steering.retry(await bench.job(event.jobs[0]), by="ops")
            (claim,) = await bench.claim()
            await bench.settle(FAILED, claim)
        origin = await bench.ledger.steering.origin(event_id, event.jobs)
        assert origin is not None
        await bench.ledger.steering.replay(origin, arrival().job_id, by="ops", queue=None, entry=None)
        await bench.run_all()
        await asyncio.sleep(0.002)
        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 2
        archived = await archive.event(event_id)
        assert [[one.round for one in job.rounds] for job in archived.jobs] == [[1, 2, 3], [1]]

    on(ledger_store, scenario)


def test_what_no_seal_vouches_for_is_archived_as_it_stands(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FAILED, callback_url=CALLBACK_URL)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        await bench.ledger.steering.retry(await bench.job(f"job_{event_id[4:]}"), by="ops")
        (claim,) = await bench.claim()
        await bench.settle(FINISHED, claim)
        (due,) = await bench.due()
        await bench.record(due, CallbackStatus.DELIVERED)
        await asyncio.sleep(0.002)
        await bench.client.hset(keys.EVENT + event_id, "body", b"changed \xff")
        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 1
        archived = await archive.event(event_id)
        assert archived.event is None
        assert archived.dossier.raw[keys.EVENT + event_id]["body"] == b"changed \xff"
        raw, stem = archived.dossier.raw, event_id[4:]
        assert raw[f"{keys.JOB}job_{stem}"]["status"] == b"finished"
        assert len({field.partition(" ")[0] for field in raw[f"{keys.RESULTS}job_{stem}"]}) == 2
        assert b"so far" in raw[f"{keys.LOG}job_{stem}"]["0"]
        assert b"ops" in raw[f"{keys.ACTS}job_{stem}"]["0"]
        callbacks = [raw[f"{keys.CALLBACK}cb_{stem}{end}"]["status"] for end in ("", "-2")]
        assert callbacks == [b"delivered", b"delivered"]
        assert (archived.dossier.body, archived.dossier.job_ids) == (b"changed \xff", {f"job_{stem}"})
        assert past(bench).archiving.vouched(archived.dossier) is None

    on(ledger_store, scenario)


def test_only_one_archives_at_a_time(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        archiving = past(bench).archiving
        assert await archiving.hold("w1")
        assert not await archiving.hold("w2")
        assert await archiving.hold("w1"), "its holder goes on"
        await archiving.leave("w1")
        assert await archiving.hold("w2")

    on(ledger_store, scenario)


def test_what_was_anothers_in_between_is_not_renewed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        archiving = past(bench).archiving
        assert not await archiving.renew("w1"), "it has not begun"
        assert await archiving.hold("w1")
        await lapse(bench)
        assert await archiving.renew("w1"), "nobody else had it"
        await lapse(bench)
        assert await archiving.hold_to_erase("e1")
        assert not await archiving.renew("w1")
        await archiving.leave("w1")
        assert not await archiving.hold("w1"), "it was not his to leave"
        await archiving.leave("e1")
        assert not await archiving.renew("w1")

    on(ledger_store, scenario)


async def lapse(bench: Bench) -> None:
    """As if the lease were over."""
    await bench.client.hset(keys.ARCHIVE, "until", "1")


@pytest.mark.parametrize("leaves", [True, False], ids=["it is free again", "it is another's"])
@pytest.mark.parametrize("step", ["write", "commit"])
def test_one_whose_lease_was_anothers_lets_nothing_go(
    ledger_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, leaves: bool
) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FINISHED)
        ledger, archive = past(bench), archive_in(tmp_path)
        act = getattr(archive, step)

        async def slowly(what: Any) -> Any:
            made = await act(what)
            await lapse(bench)
            assert await ledger.archiving.hold_to_erase("e1")
            if leaves:
                await ledger.archiving.leave("e1")
            return made

        monkeypatch.setattr(archive, step, slowly)
        assert await archivist(ledger, archive).turn() == 0
        assert len(await archived_in(archive)) == (1 if step == "commit" else 0)
        assert await archive.uncommitted(day_of(event_id)) == [], "it may be erased by now"
        assert await bench.ledger.reading.event(event_id) is not None

    on(ledger_store, scenario)


class Hasty(FileStore):
    """A store in which somebody takes a part for a leftover just before its manifest stands there."""

    async def write(self, place: str, *rest: Any, **more: Any) -> Any:
        if place.startswith("events/") and place.endswith(".json"):
            await self.remove(place.removesuffix(".json") + ".jsonl.gz")
        return await super().write(place, *rest, **more)


def test_nothing_goes_whose_part_was_removed_before_it_counted(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await ended(bench, FINISHED)
        hasty = Archive(Hasty(str(tmp_path)), clock=SystemClock())
        assert await archivist(past(bench), hasty).turn() == 0
        assert await bench.ledger.reading.event(event_id) is not None
        assert await archived_in(hasty) == []
        standing = await past(bench).archiving.standing()
        assert standing is not None
        assert standing.error.endswith("is gone")
        assert await archivist(past(bench), archive_in(tmp_path)).turn() == 1

    on(ledger_store, scenario)


def test_many_go_in_several_parts(fake_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.archivist.MOST_EVENTS", 40)

    async def scenario(bench: Bench) -> None:
        for _ in range(3):
            await bench.accept(*(arrival() for _ in range(50)))
        await bench.run_all()
        await asyncio.sleep(0.002)
        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 150
        lines = await archived_in(archive)
        assert len({line.id for line in lines}) == len(lines) == 150
        assert await bench.jobs() == []

    on(fake_store, scenario)


def test_bodies_that_no_seal_vouches_for_fill_a_part_too(
    fake_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.archivist.MOST_BYTES", 1_000)

    async def scenario(bench: Bench) -> None:
        event_ids = [await ended(bench, FINISHED) for _ in range(4)]
        for event_id in event_ids:
            await bench.client.hset(keys.EVENT + event_id, "body", b"\xff" * 600)
        archive = archive_in(tmp_path)
        assert await archivist(past(bench), archive).turn() == 4
        (day,) = await archive.days()
        parts = [manifest async for manifest in archive.manifests(day)]
        assert len(parts) == 2

    on(fake_store, scenario)


def test_what_is_no_job_leaves_the_index(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.client.zadd(keys.JOBS, {b"\xff": 1, "job_gone": 2})
        archiving = past(bench).archiving
        jobs, _ = await archiving.expired()
        assert jobs == [Expired("job_gone", "evt_gone", jobs[0].version)]
        assert await archiving.dossier("evt_gone", ["job_gone"]) is None
        assert await archiving.let_go(jobs) == 1
        assert await bench.client.zrange(keys.JOBS, "(0", "+inf", byscore=True) == []

    on(ledger_store, scenario)
