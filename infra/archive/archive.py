"""The archive itself, over a directory or a bucket. Imported by who opens one: obstore takes its time."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

from infra.archive import parts
from infra.archive.errors import NotArchived, Overtaken, PartDamaged
from infra.archive.lines import FORMAT, Archived, day_of, merged
from infra.archive.parts import ROOT, Lost, Manifest
from infra.clock import Clock, rfc3339, unix_milliseconds
from infra.files import FileMissing, StoreUnavailable
from infra.files.store import FileStore
from infra.ids import new_suffix
from infra.ledger.archiving import LEASE

PATIENCE: Final = 30.0  # seconds, for one thing that the store is asked for

# Says that we go on, to whoever gave us the lease; raises `Overtaken` where it is another's, or was.
Renew = Callable[[], Awaitable[None]]

_SIGN: Final = "about.json"  # says what stands there
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Day:
    """What was read of one day.

    Args:
        events: the lines of its parts; an event may stand in several (`merged`).
        parts: how many of them are sound.
        lost: what can't be read.
    """

    events: list[Archived]
    parts: int
    lost: list[Lost]


class Archive:
    """What is archived, in parts by the day on which events were received.

    Everything here raises `StoreUnavailable` where the store refuses, or does not answer in time.
    """

    def __init__(self, store: FileStore, *, clock: Clock, patience: float = PATIENCE) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience

    # -- writing ---------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """See that something can be kept there, and read back."""
        await self._keep(_SIGN, b'{"format": "%s"}\n' % FORMAT.encode())

    async def add(self, events: Sequence[Archived], *, renew: Renew) -> None:
        """Write and commit events. Of what is not committed when the lease is gone nothing stays: it might be erased by now.

        Raises:
            Overtaken: it is gone.
            PartDamaged: a part does not read as it was written, or somebody has removed it.
        """
        made = await self.write(events)
        for place, manifest in enumerate(made):
            try:
                await renew()
            except Overtaken:
                for one in made[place:]:
                    await self._remove(one.part)
                raise
            await self.commit(manifest)

    async def write(self, events: Sequence[Archived]) -> list[Manifest]:
        """Keep events, a part a day, and read each part back. A part counts once it is committed.

        Raises:
            PartDamaged: one does not read as it was written.
        """
        by_day: dict[date, list[Archived]] = defaultdict(list)
        for event in events:
            by_day[day_of(event.id)].append(event)
        return [await self._write(day, of_day) for day, of_day in sorted(by_day.items())]

    async def commit(self, manifest: Manifest) -> None:
        """The part counts from now on. It is read once more, for it counted for nothing until its manifest stood there.

        Raises:
            PartDamaged: its manifest does not read as it was written, or the part is gone; then it does not count.
        """
        await self._keep(manifest.place, parts.manifest_bytes(manifest))
        try:
            await asyncio.to_thread(parts.lines_in, manifest, await self._part(manifest))
        except PartDamaged:
            await self._remove(manifest.place)
            raise

    async def _write(self, day: date, events: Sequence[Archived]) -> Manifest:
        now = self._clock.now()
        name = new_suffix(milliseconds=lambda: unix_milliseconds(now))
        manifest, part = await asyncio.to_thread(
            parts.make, events, day=day, name=name, written_at=rfc3339(now)
        )
        await self._keep(manifest.part, part)
        await self.events_in(manifest)
        return manifest

    async def _keep(self, place: str, content: bytes) -> None:
        async with self._in_time():
            await self._store.write(place, _once(content), limit=len(content))
            try:
                await self._store.sync(place)
                kept = await self._store.read(place)
            except FileMissing:
                raise PartDamaged(f"{place} is gone") from None
            if kept != content:
                raise PartDamaged(f"{place} does not read as it was written")

    # -- reading ---------------------------------------------------------------------------------------------------

    async def days(self) -> list[date]:
        """The days of which there is anything, in order."""
        async with self._in_time():
            folders = [folder.rpartition("/")[2] for folder in await self._store.folders(ROOT)]
        return [date.fromisoformat(name) for name in folders if _DAY.fullmatch(name)]

    async def manifests(self, day: date) -> AsyncIterator[Manifest | Lost]:
        """Those of the parts of a day, in the order in which they were written."""
        for place in await self._places(day):
            if parts.is_manifest(place):
                try:
                    async with self._in_time():
                        manifest = parts.read_manifest(await self._store.read(place), place)
                except (FileMissing, PartDamaged) as error:
                    yield Lost(place, str(error))
                else:
                    yield manifest

    async def read(self, day: date, *, renew: Renew | None = None) -> Day:
        """All of a day that can be read.

        Raises:
            Overtaken: the lease is gone, so somebody may have written a part anew meanwhile.
        """
        events: list[Archived] = []
        sound, lost = 0, []
        async for manifest in self.manifests(day):
            if renew is not None:
                await renew()
            if isinstance(manifest, Lost):
                lost.append(manifest)
                continue
            try:
                events += await self.events_in(manifest)
                sound += 1
            except PartDamaged as error:
                lost.append(Lost(manifest.part, str(error)))
        if renew is not None:
            await renew()
        return Day(events, sound, lost)

    async def uncommitted(self, day: date) -> list[str]:
        """The parts of a day that have no manifest: who wrote them died before they counted."""
        places = await self._places(day)
        committed = {parts.part_of(place) for place in places if parts.is_manifest(place)}
        return [place for place in places if parts.is_part(place) and place not in committed]

    async def events_in(self, manifest: Manifest) -> list[Archived]:
        """The events of a part, each of which can be read.

        Raises:
            PartDamaged: the part is gone, or not what its manifest says.
        """
        return await asyncio.to_thread(parts.opened, manifest, await self._part(manifest))

    async def _part(self, manifest: Manifest) -> bytes:
        try:
            async with self._in_time():
                return await self._store.read(manifest.part)
        except FileMissing:
            raise PartDamaged(f"{manifest.part} is gone") from None

    async def event(self, event_id: str) -> Archived:
        """One event, with all that the parts have of it.

        Raises:
            NotArchived: none has it.
            PartDamaged: one that has it is no good.
        """
        found = []
        async for manifest in self.manifests(day_of(event_id)):
            if isinstance(manifest, Manifest) and event_id in manifest.events:
                found += [event for event in await self.events_in(manifest) if event.id == event_id]
        if not found:
            raise NotArchived(f"no event {event_id} in the archive")
        return merged(found)[event_id]

    async def _places(self, day: date) -> list[str]:
        async with self._in_time():
            return await self._store.places(f"{ROOT}/{day.isoformat()}")

    # -- erasing ---------------------------------------------------------------------------------------------------

    async def lines_of(self, day: date, ids: Collection[str], *, renew: Renew) -> list[Archived]:
        """What can be read of some events of a day, each as often as it stands there."""
        found: list[Archived] = []
        async for manifest in self.manifests(day):
            await renew()
            if isinstance(manifest, Manifest) and not set(manifest.events).isdisjoint(ids):
                with suppress(PartDamaged):
                    found += [event for event in await self.events_in(manifest) if event.id in ids]
        return found

    async def erase(self, day: date, ids: Collection[str], *, renew: Renew) -> list[Lost]:
        """Write the parts of a day anew, without these events; what was never committed goes whole.

        The new part counts before the old one goes: a crash leaves twice what was to stay, and what was to go until this is called
        again. Nobody else may write meanwhile. Should somebody do so nevertheless, such as a worker of another ledger, he is between the
        part and its manifest: a part without one that is younger than a lease stays, if it holds none of these events.

        Returns:
            What could not be looked at.

        Raises:
            Overtaken: the lease is gone; what was to go may still be there.
        """
        lost = []
        async for manifest in self.manifests(day):
            await renew()
            if isinstance(manifest, Lost):
                lost.append(manifest)
            elif not set(manifest.events).isdisjoint(ids):
                try:
                    await self._without(manifest, ids, renew)
                except PartDamaged as error:
                    lost.append(Lost(manifest.part, str(error)))
        for place in await self.uncommitted(day):
            if not self._is_young(place) or await self._may_tell_of(place, ids):
                await renew()
                await self._remove(place)
        await renew()  # a part that is lost may be one that somebody else has written anew
        return lost

    async def _without(self, manifest: Manifest, ids: Collection[str], renew: Renew) -> None:
        events = await self.events_in(manifest)
        await self.add([event for event in events if event.id not in ids], renew=renew)
        for place in (manifest.place, manifest.part):
            await renew()
            await self._remove(place)

    def _is_young(self, place: str) -> bool:
        """Whether whoever wrote a part may be about to commit it."""
        begun = parts.begun_at(place)
        return begun is not None and self._clock.now() - begun < LEASE

    async def _may_tell_of(self, place: str, ids: Collection[str]) -> bool:
        try:
            async with self._in_time():
                part = await self._store.read(place)
        except FileMissing:
            return False
        return await asyncio.to_thread(parts.may_tell_of, part, ids)

    async def _remove(self, place: str) -> None:
        async with self._in_time():
            await self._store.remove(place)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """What is asked of the store, with a limit."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {self._patience:g} s") from None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
