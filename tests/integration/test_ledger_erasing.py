"""What is erased is nowhere any more: no key holds any of it, whoever runs it is told, and others go on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from infra.archive import ArchiveError, Lost, NotArchived, Overtaken
from infra.archive.archive import Archive
from infra.archive.eraser import Eraser
from infra.archive.lines import day_of
from infra.clock import SystemClock
from infra.files import StoreUnavailable, place_of
from infra.files.store import FileStore
from infra.ids import FILE, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.erasing import Subject
from infra.ledger.jobs import Report
from infra.ledger.records import CallbackStatus, HandlerEntry, Progress, Waiting
from infra.ledger.troubles import Failures, Place
from infra.ledger.wire import limits_of
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FAILED,
    FINISHED,
    HANDLER,
    HOUR,
    NOW,
    Bench,
    arrival,
    on,
)
from worker.archivist import Archivist

SECRET = "ada@example.com"
BODY = json.dumps({"name": SECRET}).encode()
T = TypeVar("T")
LIMITED = HandlerEntry(source="acme", type="*", handler=HANDLER, concurrency=1)


async def everything(bench: Bench) -> bytes:
    """All that the store holds, keys and values, in one text."""
    return repr(await bench.snapshot()).encode()


async def leaves_nothing(bench: Bench, event_id: str) -> None:
    await bench.ledger.erasing.erase([event_id])
    there = await everything(bench)
    assert SECRET.encode() not in there
    stem = event_id[4:].encode()
    found = {
        key for key, value in (await bench.snapshot()).items() if stem in key or stem in repr(value).encode()
    }
    assert found <= {key for key in found if key.startswith(keys.SEEN.encode())}, (
        "but for the digest of its provider's id"
    )


async def _queued(bench: Bench, **changes: Any) -> str:
    return (await bench.accept(body=BODY, **changes)).event_id


async def _scheduled(bench: Bench) -> str:
    return (await bench.accept(body=BODY, run_at=arrival().received_at + timedelta(days=1))).event_id


async def _running(bench: Bench) -> str:
    claim = await bench.take(body=BODY, callback_url=CALLBACK_URL)
    await bench.ledger.jobs.report(
        [Report(claim, Progress(current=1, message=SECRET), (json.dumps({"message": SECRET}),))]
    )
    await bench.ledger.steps.keep(claim, "step:a", json.dumps(SECRET))
    return claim.event_id


async def _waiting(bench: Bench) -> str:
    claim = await bench.take(body=BODY)
    until = await bench.ledger.reading.now() + HOUR
    await bench.settle(Waiting(source="acme", key="awaited", until=until), claim)
    return claim.event_id


async def _finished(bench: Bench) -> str:
    claim = await bench.take(body=BODY, callback_url=CALLBACK_URL, provider_event_id="ev_1")
    await bench.settle(type(FINISHED)(result=json.dumps(SECRET)), claim)
    return claim.event_id


async def _retried_by_hand(bench: Bench) -> str:
    claim = await bench.take(body=BODY, callback_url=CALLBACK_URL)
    await bench.settle(FAILED, claim)
    (due,) = await bench.due()
    await bench.record(due, CallbackStatus.DEAD, reason="gave up")
    await bench.ledger.steering.retry(await bench.job(claim.job_id), by="ops")
    (claim,) = await bench.claim()
    await bench.settle(FAILED, claim)
    failures = {Place(handler=HANDLER, type="KeyError", place="a.py:1"): Failures(SECRET, claim.job_id, 1, 1)}
    await bench.ledger.troubles.note(failures)
    await bench.ledger.refusals.keep("acme", BODY)
    return claim.event_id


async def _replayed(bench: Bench) -> str:
    event_id = await _finished(bench)
    event = await bench.ledger.reading.event(event_id)
    assert event is not None
    origin = await bench.ledger.steering.origin(event_id, event.jobs)
    assert origin is not None
    await bench.ledger.steering.replay(origin, arrival().job_id, by="ops", queue=None, entry=None)
    return event_id


async def _set_aside(bench: Bench) -> str:
    event_id = await _finished(bench)
    await bench.client.rename(
        f"{keys.RESULTS}job_{event_id[4:]}", f"{keys.CORRUPT}{keys.RESULTS}job_{event_id[4:]}:1"
    )
    return event_id


STATES = [_queued, _scheduled, _running, _waiting, _finished, _retried_by_hand, _replayed, _set_aside]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__[1:])
def test_nothing_is_left_of_an_event_that_is_erased(ledger_store: Store, state: Any) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await state(bench)
        other = await bench.accept()
        await leaves_nothing(bench, event_id)
        await bench.sweep()
        assert await bench.ledger.reading.quarantined() == {}
        assert (await bench.job(other.job_id)).status == "queued"
        await leaves_nothing(bench, event_id)

    on(ledger_store, scenario)


def test_who_runs_it_is_fenced(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take(body=BODY)
        await bench.ledger.erasing.erase([claim.event_id])
        assert await bench.ledger.jobs.report([Report(claim, lines=("{}",))]) == {claim.job_id}
        await bench.settle(FINISHED, claim)
        assert await bench.ledger.reading.job(claim.job_id) is None
        assert await bench.client.keys(f"*{claim.job_id}*") == []

    on(ledger_store, scenario)


def test_whoever_stood_behind_it_goes_on(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        head = await bench.accept(ordering_key="one")
        behind = await bench.accept(ordering_key="one")
        await bench.ledger.erasing.erase([head.event_id])
        assert [claim.job_id for claim in await bench.claim()] == [behind.job_id]

    on(ledger_store, scenario)


def test_a_place_under_a_limit_is_given_back(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        bench.limits = limits_of([LIMITED])
        await bench.accept(arrival(), arrival())
        (holder,) = await bench.claim()
        await bench.ledger.erasing.erase([holder.event_id])
        assert len(await bench.claim()) == 1

    on(ledger_store, scenario)


def test_what_is_sent_again_is_a_duplicate_and_not_stored(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event_id = await _finished(bench)
        await bench.ledger.erasing.erase([event_id])
        (receipt,) = await bench.ledger.events.accept([arrival(provider_event_id="ev_1", body=BODY)])
        assert (receipt.duplicate, receipt.event_id) == (True, event_id)
        assert SECRET.encode() not in await everything(bench)

    on(ledger_store, scenario)


@pytest.mark.parametrize("odd", ["evt_", "evt_../x", "nothing", "evt_" + "0" * 26])
def test_what_is_not_there_can_be_erased(ledger_store: Store, odd: str) -> None:
    async def scenario(bench: Bench) -> None:
        assert not (await bench.ledger.erasing.erase([odd]))[odd].found

    on(ledger_store, scenario)


# -- in the archive, and the files -------------------------------------------------------------------------------------


class House:
    """A ledger with an archive and files."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.ledger = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW)
        self.archive = Archive(FileStore(str(directory / "archive")), clock=SystemClock())
        self.files = FileStore(str(directory / "files"))
        self.directory = directory

    @property
    def eraser(self) -> Eraser:
        return Eraser(self.ledger, archive=self.archive, files=self.files, by="tests")

    async def erase(self, event_ids: set[str]) -> tuple[set[str], list[Lost]]:
        return await self.alone(lambda eraser: eraser.erase(event_ids))

    async def find(self, subject: Subject) -> tuple[set[str], list[Lost]]:
        return await self.alone(lambda eraser: eraser.find(subject))

    async def alone(self, act: Callable[[Eraser], Awaitable[T]]) -> T:
        """What a new eraser does while nobody else archives."""
        eraser = self.eraser
        assert await eraser.hold(patience=NOW)
        try:
            return await act(eraser)
        finally:
            await eraser.leave()

    async def archived(self, **changes: Any) -> str:
        receipt = await self.bench.accept(**changes)
        await self.bench.run_all()
        await asyncio.sleep(0.002)
        return receipt.event_id

    async def write_archive(self) -> None:
        clock = SystemClock()
        await Archivist(self.ledger, self.archive, worker="w1", every=HOUR, clock=clock).turn()

    def put(self, *places: str) -> None:
        """Keep a file at each of some places."""
        for place in places:
            path = self.directory / "files" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)

    def kept_files(self) -> list[str]:
        """The names of those that are kept."""
        return [path.name for path in (self.directory / "files").rglob("*") if path.is_file()]

    def on_disk(self) -> bytes:
        import gzip

        found = [path for path in self.directory.rglob("*") if path.is_file()]
        return b"".join(
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            for path in found
        )


def test_an_archived_event_is_erased_and_its_neighbours_stay(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        gone, kept = await house.archived(body=BODY), await house.archived()
        await house.write_archive()
        before = await house.archive.event(kept)

        assert await house.erase({gone}) == ({gone}, [])

        assert SECRET.encode() not in house.on_disk()
        assert gone.encode() not in house.on_disk()
        assert await house.archive.event(kept) == before
        with pytest.raises(NotArchived):
            await house.archive.event(gone)
        read = await house.archive.read(day_of(kept))
        assert ([event.id for event in read.events], read.parts, read.lost) == ([kept], 1, [])
        (deed, *_) = await house.ledger.desk.deeds()
        assert (deed.by, deed.act, deed.on) == ("tests", "erase", gone)

    on(fake_store, scenario)


def test_a_part_of_which_nothing_is_left_goes_whole(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id = await house.archived(body=BODY)
        await house.write_archive()
        await house.erase({event_id})
        assert [path.name for path in (tmp_path / "archive").rglob("*") if path.is_file()] == ["about.json"]

    on(fake_store, scenario)


def test_a_part_that_was_never_committed_is_erased(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id = await house.archived(body=BODY)
        await house.write_archive()
        (manifest,) = (tmp_path / "archive" / "events").rglob("*.json")
        manifest.unlink()
        await house.erase({event_id})
        assert SECRET.encode() not in house.on_disk()

    on(fake_store, scenario)


def test_a_part_that_cant_be_read_is_named(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id = await house.archived(body=BODY)
        await house.write_archive()
        (part,) = (tmp_path / "archive").rglob("*.gz")
        part.write_bytes(part.read_bytes()[:-1])
        _, (lost,) = await house.erase({event_id})
        assert lost.place.endswith(part.name)

    on(fake_store, scenario)


def test_files_go_with_their_event(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        upload = FILE + new_suffix()
        event_id = await house.archived(body=json.dumps({"clip": upload}).encode())
        job_id = f"job_{event_id[4:]}"
        house.put(place_of(upload), place_of(job_id, "report.pdf"), place_of(arrival().job_id, "other.pdf"))
        await house.write_archive()
        await house.erase({event_id})
        assert house.kept_files() == ["other.pdf"]

    on(fake_store, scenario)


def test_files_go_with_an_event_that_no_seal_vouched_for(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id, upload = await house.archived(body=BODY), FILE + new_suffix()
        await bench.client.hset(keys.EVENT + event_id, "body", json.dumps({"clip": upload}))
        house.put(place_of(upload), place_of(f"job_{event_id[4:]}", "report.pdf"))
        await house.write_archive()
        assert (await house.archive.event(event_id)).event is None
        assert await house.erase({event_id}) == ({event_id}, [])
        assert house.kept_files() == []

    on(fake_store, scenario)


@pytest.mark.parametrize("where", ["files", "archive"])
def test_an_erasure_that_a_store_breaks_off_is_completed_by_the_next(
    fake_store: Store, tmp_path: Path, where: str
) -> None:
    class Away(FileStore):
        """A store that goes away in the middle."""

        async def remove_all(self, within: str) -> int:
            raise StoreUnavailable("gone")

        async def remove(self, place: str) -> None:
            raise StoreUnavailable("gone")

    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        archived = await house.archived(body=BODY)
        await house.write_archive()
        live = (await bench.accept(body=BODY)).event_id
        house.put(*(place_of(f"job_{event_id[4:]}", "report.pdf") for event_id in (archived, live)))
        away, sound = Away(str(tmp_path / where)), (house.files, house.archive)
        if where == "files":
            house.files = away
        else:
            house.archive = Archive(away, clock=SystemClock())
        with pytest.raises(StoreUnavailable):
            await house.erase({archived, live})
        assert await house.ledger.desk.deeds() != [], "whatever went, somebody has noted it"

        house.files, house.archive = sound
        found, lost = await house.erase({archived, live})
        assert (archived in found, lost) == (True, [])
        assert {deed.on for deed in await house.ledger.desk.deeds()} == {archived, live}
        assert house.kept_files() == []
        assert SECRET.encode() not in house.on_disk() + await everything(bench)

    on(fake_store, scenario)


def test_who_erases_stops_once_somebody_else_has_begun(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id = await house.archived(body=BODY)
        eraser = house.eraser
        assert await eraser.hold(patience=NOW)
        await bench.client.hset(keys.ARCHIVE, "until", "1")
        await house.write_archive()
        with pytest.raises(Overtaken):
            await eraser.find(Subject(tag="ada"))
        with pytest.raises(Overtaken):
            await eraser.erase({event_id})
        assert await house.archive.event(event_id)

    on(fake_store, scenario)


def test_a_lease_that_lapses_while_a_part_is_written_anew_leaves_the_old_one(
    fake_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        gone, kept = await house.archived(body=BODY), await house.archived()
        await house.write_archive()
        (before,) = (tmp_path / "archive" / "events").rglob("*.gz")
        write = house.archive.write

        async def slowly(events: Any) -> Any:
            made = await write(events)
            await bench.client.hset(keys.ARCHIVE, "until", "1")
            assert await house.ledger.archiving.hold("w2")
            return made

        with monkeypatch.context() as patched:
            patched.setattr(house.archive, "write", slowly)
            with pytest.raises(Overtaken):
                await house.erase({gone})
        assert list((tmp_path / "archive" / "events").rglob("*.gz")) == [before]
        assert await house.archive.event(kept)

    on(fake_store, scenario)


def test_what_everybody_shares_is_walked_once_however_many_go(
    fake_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench) -> None:
        erasing, walks = bench.ledger.erasing, []

        async def counted(commands: Any) -> Any:
            walks.extend(command[0] for command in commands if command[0] in {"SCAN", "XRANGE"})
            return await fetch(commands)

        event_ids = [await _queued(bench) for _ in range(5)]
        other = await bench.accept()
        fetch = erasing._fetch
        monkeypatch.setattr(erasing, "_fetch", counted)
        found = await erasing.erase(event_ids)
        assert [event_id for event_id, traces in found.items() if traces.found] == event_ids
        assert sorted(walks) == ["SCAN", "XRANGE"]
        assert SECRET.encode() not in await everything(bench)
        entries = repr(await bench.client.xrange(keys.LIVE))
        assert [stem for stem in (one[4:] for one in event_ids) if stem in entries] == []
        assert other.job_id in entries

    on(fake_store, scenario)


def test_somebodys_events_are_found_wherever_they_are(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        old, other = await house.archived(tag="ada", provider_event_id="a"), await house.archived(tag="bob")
        await house.write_archive()
        new = (await bench.accept(tag="ada", wait_key="a")).event_id
        assert await house.find(Subject(tag="ada")) == ({old, new}, [])
        assert await house.find(Subject(source="acme", key="a")) == ({old, new}, [])
        assert await house.find(Subject(source="api", tag="ada")) == (set(), [])
        assert await house.erase({old, new}) == ({old, new}, [])
        assert await house.archive.event(other)

    on(fake_store, scenario)


def test_an_archived_event_that_has_no_seal_is_named_for_nobody_knows_whose_it_is(
    fake_store: Store, tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        known, unknown = await house.archived(tag="ada"), await house.archived(tag="ada")
        await bench.client.hset(keys.EVENT + unknown, "body", "changed")
        await house.write_archive()
        found, (lost,) = await house.find(Subject(tag="ada"))
        assert (found, lost.place) == ({known}, unknown)
        assert await house.erase({unknown}) == ({unknown}, [])
        assert await house.find(Subject(tag="ada")) == ({known}, [])

    on(fake_store, scenario)


def test_without_the_archive_that_the_workers_have_nothing_is_erased(
    fake_store: Store, tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        await house.write_archive()
        with pytest.raises(ArchiveError, match="HOOKLINE_ARCHIVE"):
            await Eraser(house.ledger, archive=None, files=None, by="tests").hold(patience=NOW)

    on(fake_store, scenario)


def test_who_erases_does_not_say_that_there_is_an_archive(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        await house.archived()
        assert await house.eraser.hold(patience=NOW)
        assert await house.ledger.archiving.standing() is None
        assert await house.ledger.jobs.retire() == 1

    on(fake_store, scenario)


def test_nobody_archives_while_somebody_erases(fake_store: Store, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        house = House(bench, tmp_path)
        event_id = await house.archived()
        eraser = house.eraser
        assert await eraser.hold(patience=NOW)
        await house.write_archive()
        assert await house.ledger.reading.event(event_id) is not None
        assert not await house.eraser.hold(patience=NOW)
        await eraser.leave()
        await house.write_archive()
        assert await house.ledger.reading.event(event_id) is None

    on(fake_store, scenario)


@pytest.mark.parametrize("words", [{}, {"source": "acme"}, {"key": "a"}])
def test_everybody_is_no_subject(words: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a subject"):
        Subject(**words)
