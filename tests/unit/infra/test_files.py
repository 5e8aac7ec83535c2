"""Files: kept whole or not at all, found again, removed by day; links that name one file."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from infra.clock import ManualClock
from infra.files import ArtifactLinks, FileMissing, FileTooLarge, Kept, StoreUnavailable, is_name, place_of
from infra.files.store import FileStore
from infra.ids import FILE, JOB, new_suffix

NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(store: FileStore, place: str) -> bytes:
    found = await store.open(place)
    return b"".join([chunk async for chunk in found.chunks])


def test_what_was_written_is_read_and_measured(tmp_path: Path) -> None:
    async def run() -> None:
        store = FileStore(str(tmp_path / "made" / "here"))
        kept = await store.write("2026-11-22/a/b.txt", chunks(b"one ", b"two"), limit=7)
        assert kept == Kept(7, sha256(b"one two").hexdigest())
        assert await content(store, "2026-11-22/a/b.txt") == b"one two"
        assert await store.copy("2026-11-22/a/b.txt", tmp_path / "copy", limit=7) == kept
        assert (tmp_path / "copy").read_bytes() == b"one two"

    asyncio.run(run())


def test_a_file_of_this_machine_replaces_what_stood_there(tmp_path: Path) -> None:
    async def run() -> None:
        store, source = FileStore(f"file://{tmp_path}/store"), tmp_path / "source"
        for text in (b"first", b"second"):
            source.write_bytes(text)
            await store.write("2026-11-22/a", source, limit=10)
        assert await content(store, "2026-11-22/a") == b"second"

    asyncio.run(run())


def test_what_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        store = FileStore(str(tmp_path))
        with pytest.raises(FileTooLarge, match="at most 5 bytes"):
            await store.write("2026-11-22/a", chunks(b"four", b"more"), limit=5)
        with pytest.raises(FileMissing):
            await store.open("2026-11-22/a")
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    asyncio.run(run())


def test_a_file_that_has_grown_is_not_copied(tmp_path: Path) -> None:
    async def run() -> None:
        store = FileStore(str(tmp_path / "store"))
        await store.write("2026-11-22/a", chunks(b"12345"), limit=5)
        with pytest.raises(FileTooLarge):
            await store.copy("2026-11-22/a", tmp_path / "copy", limit=4)

    asyncio.run(run())


def test_days_past_retention_go_whole(tmp_path: Path) -> None:
    async def run() -> None:
        store = FileStore(str(tmp_path))
        for place in ("2026-10-01/a", "2026-10-01/b/c", "2026-10-02/a", "other/a"):
            await store.write(place, chunks(b"x"), limit=1)
        assert await store.retire(date(2026, 10, 2)) == 2
        assert await store.retire(date(2026, 10, 2)) == 0
        assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
            "2026-10-02/a",
            "other/a",
        ]

    asyncio.run(run())


@pytest.mark.parametrize("url", ["gopher://bucket", "s3://", "file:///proc/none/here"])
def test_a_store_that_cant_be_is_refused_with_words(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"files can't be kept there: ."):
        FileStore(url)


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("report.pdf", True), ("Angebot für Zoë, final (3).pdf", True), ("a", True), ("日本.mp4", True), ("x" * 120, True),
        ("", False), ("x" * 121, False), (".env", False), ("..", False), ("a/b", False), ("a\\b", False), ("a\nb", False),
        ("a..b", False), (" a", False), ("a ", False), ("a\x00", False), ('a"b', False),
    ],
)  # fmt: skip
def test_a_name_can_do_no_harm(name: str, fine: bool) -> None:
    assert is_name(name) is fine


def test_a_place_begins_with_the_day_of_its_id() -> None:
    suffix = new_suffix(milliseconds=lambda: int(NOW.timestamp() * 1000))
    assert place_of(FILE + suffix) == f"2026-11-22/file_{suffix}"
    assert place_of(JOB + suffix, "a.txt") == f"2026-11-22/job_{suffix}/a.txt"


class TestLinks:
    def setup_method(self) -> None:
        self.clock = ManualClock(NOW)
        made = self.links("old").artifact("job_1", "a b.pdf", "application/pdf", Kept(3, "abc"))
        self.url, self.token = made.url, made.url.partition("token=")[2]

    def links(self, *keys: str) -> ArtifactLinks:
        return ArtifactLinks(keys, public_url="https://h.example", ttl=timedelta(days=7), clock=self.clock)

    def test_one_names_its_file_and_says_what_it_is(self) -> None:
        assert self.url.startswith("https://h.example/artifacts/job_1/a%20b.pdf?token=")
        said = self.links("old").read("job_1", "a b.pdf", self.token)
        assert (said.content_type, said.size, said.sha256) == ("application/pdf", 3, "abc")

    def test_it_survives_the_rotation_of_the_key(self) -> None:
        assert self.links("new", "old").read("job_1", "a b.pdf", self.token).size == 3
        with pytest.raises(FileMissing):
            self.links("new").read("job_1", "a b.pdf", self.token)

    @pytest.mark.parametrize(("job", "name"), [("job_2", "a b.pdf"), ("job_1", "b.pdf")])
    def test_it_is_good_for_no_other_file(self, job: str, name: str) -> None:
        with pytest.raises(FileMissing, match="another"):
            self.links("old").read(job, name, self.token)

    @pytest.mark.parametrize("change", ["", "x", "é"])
    def test_a_changed_one_is_good_for_nothing(self, change: str) -> None:
        with pytest.raises(FileMissing):
            self.links("old").read("job_1", "a b.pdf", change + self.token[1:])

    def test_it_expires(self) -> None:
        self.clock.advance(timedelta(days=7, seconds=1))
        with pytest.raises(FileMissing, match="expired"):
            self.links("old").read("job_1", "a b.pdf", self.token)
