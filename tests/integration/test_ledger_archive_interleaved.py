"""Whoever archives and whoever erases, and at every one of their steps somebody else in between, or a death.

A step is one thing that is asked of the store, or of the ledger about the lease and what goes. At each of them in turn the lease lapses, and
another does all that he has to. Whatever the step was: nothing is lost, and what is erased stays erased.
"""

import asyncio
import gzip
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from infra.archive import NotArchived, Overtaken
from infra.archive.archive import Archive
from infra.archive.eraser import Eraser
from infra.clock import SystemClock
from infra.files import place_of
from infra.files.store import FileStore
from infra.ledger import Ledger, Seal, keys
from tests.conftest import Store
from tests.integration.ledger_bench import HOUR, NOW, Bench, on
from worker.archivist import Archivist

pytestmark = [
    pytest.mark.slow,  # each test is some thirty
    pytest.mark.parametrize("ledger_store", ["fake", "valkey"], indirect=True),
]

TAGS: Final = ("ada", "bob", "kept")


class Died(Exception):
    """The process was killed."""


class Steps:
    """Counts the steps of one process; before one of them something else happens."""

    def __init__(self, place: int, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._left = place
        self._meanwhile = meanwhile
        self.reached = False

    async def step(self) -> None:
        self._left -= 1
        if self._left == -1:
            self.reached = True
            await self._meanwhile()

    def of(self, inner: Any) -> Any:
        """The same thing, each of whose coroutines is a step."""
        return _Stepping(inner, self)


class _Stepping:
    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def stepping(*words: Any, **more: Any) -> Any:
            await self._steps.step()
            return await found(*words, **more)

        return stepping


class House:
    """A ledger that holds an event for each of the tags, all past retention, an archive and files."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.directory = directory
        self.ledger = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW)
        self.events: dict[str, str] = {}

    async def fill(self, *, archived: bool) -> None:
        await self.bench.client.flushall()
        for tag in TAGS:
            self.events[tag] = (await self.bench.accept(tag=tag, body=tag.encode() * 3)).event_id
            report = self.directory / "files" / place_of(f"job_{self.events[tag][4:]}", "report.txt")
            report.parent.mkdir(parents=True)
            report.write_text(tag * 3)
        await self.bench.run_all()
        await asyncio.sleep(0.002)
        if archived:
            assert await self.archivist("w0").turn() == len(TAGS)

    def archivist(self, name: str, steps: Steps | None = None) -> Archivist:
        ledger: Any = self.ledger
        if steps is not None:
            ledger = SimpleNamespace(archiving=steps.of(ledger.archiving), troubles=ledger.troubles)
        return Archivist(ledger, self._archive(steps), worker=name, every=HOUR, clock=SystemClock())

    async def erase(self, tag: str, steps: Steps | None = None) -> None:
        ledger: Any = self.ledger
        if steps is not None:
            parts = {name: steps.of(getattr(ledger, name)) for name in ("archiving", "erasing", "desk")}
            ledger = SimpleNamespace(**parts)
        eraser = Eraser(ledger, archive=self._archive(steps), files=self._store("files", steps), by="tests")
        assert await eraser.hold(patience=NOW)
        await eraser.erase({self.events[tag]})
        await eraser.leave()

    async def lapse(self) -> None:
        """As if the lease, if anybody holds it, were over."""
        if await self.bench.client.exists(keys.ARCHIVE):
            await self.bench.client.hset(keys.ARCHIVE, "until", "1")

    async def is_somewhere(self, tag: str) -> bool:
        """Whether the ledger holds an event, or a part that counts does."""
        if await self.ledger.reading.event(self.events[tag]) is not None:
            return True
        try:
            found = await self._archive(None).event(self.events[tag])
        except NotArchived:
            return False
        return found.event is not None and found.event.body == tag.encode() * 3

    async def left_of(self, tag: str) -> list[str]:
        """The files, be it a part that does not count, and the keys that hold any of an event."""
        files = {str(path): path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}
        held = {name: gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one for name, one in files.items()}
        for key, value in (await self.bench.snapshot()).items():
            if not key.startswith((keys.AUDIT.encode(), keys.SEEN.encode())):
                held[key.decode()] = repr(value).encode()
        body, id_ = tag.encode() * 3, self.events[tag].encode()
        return [name for name, content in held.items() if body in content or id_ in content]

    def _archive(self, steps: Steps | None) -> Archive:
        return Archive(self._store("archive", steps), clock=SystemClock())

    def _store(self, name: str, steps: Steps | None) -> Any:
        store = FileStore(str(self.directory / name))
        return store if steps is None else steps.of(store)


def at_every_step(
    store: Store,
    directory: Path,
    scenario: Callable[[House, Callable[..., Steps]], Awaitable[Steps]],
    *,
    archived: bool = False,
) -> None:
    """Run a scenario once for each step of the process whose steps it returns, in a house of its own."""

    async def everywhere(bench: Bench) -> None:
        place = 0
        while True:
            house = House(bench, directory / str(place))
            await house.fill(archived=archived)
            steps = await scenario(house, lambda meanwhile, place=place: Steps(place, meanwhile))
            if not steps.reached:
                break
            place += 1
        assert place > 10, "it has more steps than that"

    on(store, everywhere)


async def die() -> None:
    raise Died


def test_whoever_archives_is_overtaken_by_who_erases(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(house: House, steps_with: Callable[..., Steps]) -> Steps:
        async def meanwhile() -> None:
            await house.lapse()
            await house.erase("ada")

        steps = steps_with(meanwhile)
        await house.archivist("w1", steps).turn()
        assert await house.is_somewhere("kept")
        assert await house.left_of("ada") == [] or not steps.reached
        await house.lapse()
        await house.archivist("w2").turn()
        assert await house.left_of("ada") == [] or not steps.reached
        assert await house.is_somewhere("kept")
        return steps

    at_every_step(ledger_store, tmp_path, scenario)


def test_whoever_archives_dies_and_what_he_left_is_erased(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(house: House, steps_with: Callable[..., Steps]) -> Steps:
        steps = steps_with(die)
        try:
            await house.archivist("w1", steps).turn()
        except Died:
            await house.lapse()
        assert all([await house.is_somewhere(tag) for tag in TAGS])
        await house.erase("ada")
        assert await house.left_of("ada") == []
        await house.archivist("w2").turn()
        assert await house.left_of("ada") == []
        assert await house.is_somewhere("kept")
        return steps

    at_every_step(ledger_store, tmp_path, scenario)


@pytest.mark.parametrize("archived", [True, False], ids=["of the archive", "of the ledger"])
def test_whoever_erases_is_overtaken_by_who_archives_and_calls_again(
    ledger_store: Store, tmp_path: Path, archived: bool
) -> None:
    async def scenario(house: House, steps_with: Callable[..., Steps]) -> Steps:
        async def meanwhile() -> None:
            await house.lapse()
            await house.archivist("w1").turn()

        steps = steps_with(meanwhile)
        try:
            await house.erase("ada", steps)
        except Overtaken:
            await house.erase("ada")
        assert await house.left_of("ada") == []
        assert await house.is_somewhere("kept")
        return steps

    at_every_step(ledger_store, tmp_path, scenario, archived=archived)


@pytest.mark.parametrize("archived", [True, False], ids=["of the archive", "of the ledger"])
def test_whoever_erases_dies_and_the_next_call_completes_it(
    ledger_store: Store, tmp_path: Path, archived: bool
) -> None:
    async def scenario(house: House, steps_with: Callable[..., Steps]) -> Steps:
        steps = steps_with(die)
        try:
            await house.erase("ada", steps)
        except Died:
            await house.lapse()
        noted = {deed.on for deed in await house.ledger.desk.deeds()}
        assert await house.is_somewhere("ada") or house.events["ada"] in noted
        await house.archivist("w1").turn()
        await house.erase("ada")
        assert await house.left_of("ada") == []
        assert await house.is_somewhere("kept")
        return steps

    at_every_step(ledger_store, tmp_path, scenario, archived=archived)


def test_two_who_erase_overtake_each_other(ledger_store: Store, tmp_path: Path) -> None:
    async def scenario(house: House, steps_with: Callable[..., Steps]) -> Steps:
        async def meanwhile() -> None:
            await house.lapse()
            await house.erase("bob")

        steps = steps_with(meanwhile)
        try:
            await house.erase("ada", steps)
        except Overtaken:
            assert await house.left_of("bob") == []
            await house.erase("ada")
        assert await house.left_of("ada") == []
        assert await house.left_of("bob") == [] or not steps.reached
        assert await house.is_somewhere("kept")
        return steps

    at_every_step(ledger_store, tmp_path, scenario, archived=True)
