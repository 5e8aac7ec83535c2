"""A part of the archive holds what its manifest says, or is damaged; the archive writes, verifies, finds and erases."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.archive import Archived, Lost, Manifest, NotArchived, Overtaken, PartDamaged
from infra.archive.archive import Archive
from infra.archive.lines import line_of
from infra.archive.parts import make, manifest_bytes, opened, read_manifest
from infra.clock import ManualClock
from infra.files import StoreUnavailable
from infra.files.store import FileStore
from infra.ids import EVENT, new_suffix
from infra.ledger.archiving import LEASE, Dossier

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = NOW.date()


def event(number: int = 0, *, at: datetime = NOW) -> Archived:
    suffix = new_suffix(milliseconds=lambda: int(at.timestamp() * 1000) + number)
    return Archived(
        at=NOW, dossier=Dossier(event_id=EVENT + suffix, raw={"key": {"field": b"\xff%d" % number}})
    )


def part_of(*events: Archived) -> tuple[Manifest, bytes]:
    return make(events, day=DAY, name="01k", written_at="2026-11-22T00:00:00.000Z")


SOUND = [event(number) for number in range(3)]
MANIFEST, PART = part_of(*SOUND)


def test_a_part_is_gzip_of_json_lines() -> None:
    assert gzip.decompress(PART).splitlines() == [line_of(one) for one in SOUND]
    assert opened(MANIFEST, PART) == SOUND
    assert part_of(*SOUND)[1] == PART, "the same events make the same part"


@given(st.binary(max_size=100) | st.tuples(st.integers(0, len(PART) - 1), st.integers(1, 255)).map(
    lambda change: PART[: change[0]] + bytes([PART[change[0]] ^ change[1]]) + PART[change[0] + 1 :]
))  # fmt: skip
def test_a_part_that_was_changed_is_damaged(part: bytes) -> None:
    with pytest.raises(PartDamaged, match=r"01k.jsonl.gz"):
        opened(MANIFEST, part)


@pytest.mark.parametrize(
    "changes",
    [{"events": ("evt_1",)}, {"events": ()}, {"jobs": 1}, {"content_size": 1}, {"content_sha256": ""}, {"size": 1}, {"sha256": ""}],
)  # fmt: skip
def test_a_part_that_its_manifest_does_not_describe_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(PartDamaged):
        opened(replace(MANIFEST, **changes), PART)


@given(st.binary(max_size=100) | st.integers(0, 50).map(lambda size: manifest_bytes(MANIFEST)[:size]))
def test_what_is_no_manifest_is_damaged(content: bytes) -> None:
    with pytest.raises(PartDamaged):
        read_manifest(content, MANIFEST.place)


def test_a_manifest_is_good_for_its_own_place_alone() -> None:
    assert read_manifest(manifest_bytes(MANIFEST), MANIFEST.place) == MANIFEST
    with pytest.raises(PartDamaged, match="stood elsewhere"):
        read_manifest(manifest_bytes(MANIFEST), "events/2026-11-22/other.json")


# -- the archive -------------------------------------------------------------------------------------------------------


class Ticking(ManualClock):
    """A clock on which everything takes a millisecond."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


async def unhindered() -> None:
    """Nobody else begins."""


def on(
    directory: Path, scenario: Callable[[Archive], Awaitable[None]], store: FileStore | None = None
) -> None:
    asyncio.run(scenario(Archive(store or FileStore(str(directory)), clock=Ticking(NOW), patience=0.2)))


async def keep(archive: Archive, *events: Archived) -> list[Manifest]:
    made = await archive.write(events)
    for manifest in made:
        await archive.commit(manifest)
    return made


def test_events_stand_under_the_day_on_which_they_were_received(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        old, new = event(at=datetime(2026, 11, 1, tzinfo=UTC)), event()
        first, second = await keep(archive, new, old)
        assert (first.day, second.day) == ("2026-11-01", "2026-11-22")
        assert await archive.days() == [date(2026, 11, 1), DAY]
        assert await archive.event(old.id) == old
        (path, *_) = sorted((tmp_path / "events" / "2026-11-22").iterdir())
        assert path.name.endswith(".json")

    on(tmp_path, scenario)


def test_what_is_not_committed_does_not_count(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        one = event()
        (manifest,) = await archive.write([one])
        with pytest.raises(NotArchived):
            await archive.event(one.id)
        assert await archive.uncommitted(DAY) == [manifest.part]
        await archive.commit(manifest)
        assert await archive.uncommitted(DAY) == []
        assert await archive.event(one.id) == one

    on(tmp_path, scenario)


def test_what_reads_otherwise_than_it_was_written_is_not_kept(tmp_path: Path) -> None:
    class Forgetful(FileStore):
        async def read(self, place: str) -> bytes:
            return (await super().read(place))[:-1]

    async def scenario(archive: Archive) -> None:
        with pytest.raises(PartDamaged, match="does not read as it was written"):
            await archive.write([event()])

    on(tmp_path, scenario, Forgetful(str(tmp_path)))


@pytest.mark.parametrize("step", ["sync", "read"])
def test_a_part_that_somebody_removes_as_it_is_written_is_damaged(tmp_path: Path, step: str) -> None:
    class Raided(FileStore):
        async def sync(self, place: str) -> None:
            if step == "sync":
                await self.remove(place)
            await super().sync(place)

        async def read(self, place: str) -> bytes:
            await self.remove(place)
            return await super().read(place)

    async def scenario(archive: Archive) -> None:
        with pytest.raises(PartDamaged, match=r"jsonl\.gz is gone"):
            await archive.write([event()])

    on(tmp_path, scenario, Raided(str(tmp_path)))


def test_who_was_overtaken_as_he_read_does_not_call_what_another_wrote_anew_lost(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        gone, kept = event(1), event(2)
        (manifest,) = await keep(archive, gone, kept)
        renewals = iter([None])

        async def renew() -> None:
            if next(renewals, Overtaken) is Overtaken:
                raise Overtaken
            (tmp_path / manifest.part).unlink()

        with pytest.raises(Overtaken):
            await archive.read(DAY, renew=renew)

    on(tmp_path, scenario)


def test_a_store_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    class Silent(FileStore):
        async def write(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    async def scenario(archive: Archive) -> None:
        with pytest.raises(StoreUnavailable, match=r"within 0\.2 s"):
            await archive.prepare()

    on(tmp_path, scenario, Silent(str(tmp_path)))


def test_what_is_damaged_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        sound, damaged, lost = [await keep(archive, event(number)) for number in range(3)]
        (tmp_path / damaged[0].part).write_bytes(b"")
        (tmp_path / lost[0].place).write_bytes(b"{}")
        read = await archive.read(DAY)
        assert [one.id for one in read.events] == list(sound[0].events)
        assert read.parts == 1
        assert {one.place for one in read.lost} == {damaged[0].part, lost[0].place}
        assert [one async for one in archive.manifests(DAY) if isinstance(one, Lost)] == read.lost[-1:]
        with pytest.raises(PartDamaged):
            await archive.event(damaged[0].events[0])

    on(tmp_path, scenario)


def test_a_part_that_is_gone_is_damaged(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        (manifest,) = await keep(archive, event())
        (tmp_path / manifest.part).unlink()
        with pytest.raises(PartDamaged, match="is gone"):
            await archive.events_in(manifest)

    on(tmp_path, scenario)


def test_other_files_beside_the_archive_are_left_alone(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        for name in ("notes.txt", "events/notes/a.txt", "events/2026-11-22/notes.txt"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        one = event()
        await keep(archive, one)
        await archive.erase(DAY, {one.id}, renew=unhindered)
        assert await archive.days() == [DAY]
        assert len([path for path in tmp_path.rglob("*.txt") if path.read_text() == "mine"]) == 3

    on(tmp_path, scenario)


def test_what_is_erased_is_in_no_file(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        gone, kept = event(1), event(2)
        await keep(archive, gone, kept)
        await keep(archive, gone)
        assert [one.id for one in await archive.lines_of(DAY, {gone.id}, renew=unhindered)] == [gone.id] * 2
        assert await archive.erase(DAY, {gone.id}, renew=unhindered) == []
        assert [one.id for one in (await archive.read(DAY)).events] == [kept.id]
        content = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        plain = [gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one for one in content]
        assert not [one for one in plain if gone.id.encode() in one]

    on(tmp_path, scenario)


def test_a_part_that_lost_its_place_before_its_manifest_stood_does_not_count(tmp_path: Path) -> None:
    async def scenario(archive: Archive) -> None:
        (manifest,) = await archive.write([event()])
        (tmp_path / manifest.part).unlink()
        with pytest.raises(PartDamaged, match="is gone"):
            await archive.commit(manifest)
        assert [one async for one in archive.manifests(DAY)] == []

    on(tmp_path, scenario)


def test_a_young_part_of_somebody_else_is_left_to_be_committed(tmp_path: Path) -> None:
    clock = Ticking(NOW)

    async def scenario(archive: Archive) -> None:
        archive = Archive(FileStore(str(tmp_path)), clock=clock)
        gone, other = event(1), event(2)
        (theirs,) = await archive.write([other])
        await archive.write([gone])
        await archive.erase(DAY, {gone.id}, renew=unhindered)
        assert await archive.uncommitted(DAY) == [theirs.part]
        await archive.commit(theirs)
        assert await archive.event(other.id) == other
        (tmp_path / theirs.place).unlink()
        clock.advance(LEASE)
        await archive.erase(DAY, {gone.id}, renew=unhindered)
        assert await archive.uncommitted(DAY) == []

    on(tmp_path, scenario)


@pytest.mark.parametrize("renewals", range(5))
def test_nothing_more_is_removed_once_the_lease_is_gone(tmp_path: Path, renewals: int) -> None:
    left = iter(range(renewals))

    async def renew() -> None:
        if next(left, None) is None:
            raise Overtaken

    async def scenario(archive: Archive) -> None:
        gone, kept, other = event(1), event(2), event(3)
        (manifest,) = await keep(archive, gone, kept)
        (leftover,) = await archive.write([gone, other])
        with pytest.raises(Overtaken):
            await archive.erase(DAY, {gone.id}, renew=renew)
        assert await archive.event(kept.id) == kept
        assert await archive.uncommitted(DAY) == [*([manifest.part] if renewals == 3 else []), leftover.part]
        there = {
            one.part for one in [one async for one in archive.manifests(DAY)] if isinstance(one, Manifest)
        }
        assert (manifest.part in there, len(there)) == (renewals < 3, 2 if renewals == 2 else 1)

    on(tmp_path, scenario)


def test_an_erasure_that_breaks_off_loses_nothing_and_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    async def die(*_: Any) -> None:
        raise Died

    async def scenario(archive: Archive) -> None:
        gone, kept = event(1), event(2)
        await keep(archive, gone, kept)
        with monkeypatch.context() as patched:
            patched.setattr(archive, "_remove", die)
            with pytest.raises(Died):
                await archive.erase(DAY, {gone.id}, renew=unhindered)
        assert await archive.event(kept.id) == kept
        await archive.erase(DAY, {gone.id}, renew=unhindered)
        assert {one.id for one in (await archive.read(DAY)).events} == {kept.id}

    on(tmp_path, scenario)
