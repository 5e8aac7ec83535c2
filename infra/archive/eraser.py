"""Erasing events wherever they are kept: in the ledger, in the archive, and the files of their jobs."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from infra.archive.errors import ArchiveError, Overtaken
from infra.archive.lines import day_of, merged
from infra.archive.parts import Lost
from infra.files import place_of
from infra.ids import new_suffix, time_told
from infra.ledger import Ledger
from infra.ledger.erasing import Subject, uploads_named

if TYPE_CHECKING:
    from infra.archive.archive import Archive
    from infra.files.store import FileStore

ACT: Final = "erase"

_LOOK_EVERY: Final = timedelta(seconds=1)


class Eraser:
    """Erases, and notes whose id went, and at whose wish; never what it was.

    Args:
        archive: None: there is none.
        files: where uploads and artifacts are kept; None: nowhere.
        by: who wants it, for the log of what people did.
    """

    def __init__(
        self, ledger: Ledger, *, archive: "Archive | None", files: "FileStore | None", by: str
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._files = files
        self._by = by
        self._name = f"{ACT}.{new_suffix()}"

    async def hold(self, *, patience: timedelta) -> bool:
        """Keep others from archiving, for what was read before it was erased would be written after. False: in vain.

        Raises:
            ArchiveError: there is an archive, and we were not told where.
        """
        if self._archive is None:
            if await self._ledger.archiving.standing() is not None:
                raise ArchiveError(
                    "HOOKLINE_ARCHIVE: needed, for the workers have it: what is archived has to go too"
                )
            return True
        left = patience
        while not await self._ledger.archiving.hold_to_erase(self._name):
            if left <= timedelta(0):
                return False
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            left -= _LOOK_EVERY
        return True

    async def leave(self) -> None:
        """Let others archive again."""
        if self._archive is not None:
            await self._ledger.archiving.leave(self._name)

    async def renew(self) -> None:
        """Go on.

        Raises:
            Overtaken: somebody else archives or erases, or has since we began, and may have written what was to go.
        """
        if self._archive is not None and not await self._ledger.archiving.renew(self._name):
            raise Overtaken(
                "it took so long that somebody else has begun to archive or to erase; call it again"
            )

    async def find(self, subject: Subject) -> tuple[set[str], list[Lost]]:
        """The ids of somebody's events, and what can't be looked at."""
        found = set(await self._ledger.erasing.events_of(subject))
        lost: list[Lost] = []
        if self._archive is None:
            return found, lost
        for day in await self._archive.days():
            read = await self._archive.read(day, renew=self.renew)
            lost += read.lost
            for one in merged(read.events).values():
                if one.event is None:
                    lost.append(Lost(one.id, f"no seal vouches for {one.id}, so whose it is can't be told"))
                elif subject.owns(one.event):
                    found.add(one.id)
        return found, lost

    async def erase(self, event_ids: Collection[str]) -> tuple[set[str], list[Lost]]:
        """Remove all that there is of some events; to be called again where it breaks off.

        Files go before the records that alone tell of them, and the deed is noted before anything goes. So wherever it breaks off, what is
        left can be found again.

        Returns:
            The ids of those of which there was anything, and what can't be looked at.

        Raises:
            Overtaken: somebody else has begun.
            StoreUnavailable: the store of files, or of the archive, does not answer.
        """
        by_day: dict[date, set[str]] = defaultdict(set)
        for event_id in event_ids:
            by_day[day_of(event_id)].add(event_id)
        found: set[str] = set()
        for day, of_day in sorted(by_day.items()):
            found |= await self._remove_files_of(day, of_day)
        gone = await self._ledger.erasing.erase(sorted(event_ids), between=self.renew)
        for event_id, traces in gone.items():
            await self.renew()
            if traces.found and event_id not in found:  # nothing but a change that was told, say
                await self._note(event_id)
                found.add(event_id)
            await self._remove_files(traces.jobs, ())  # one that ran may have made another
        lost: list[Lost] = []
        if self._archive is not None:
            for day, of_day in sorted(by_day.items()):
                lost += await self._archive.erase(day, of_day, renew=self.renew)
        return found, lost

    async def _remove_files_of(self, day: date, event_ids: Collection[str]) -> set[str]:
        """Note that events go, and remove the files that the ledger and the archive tell of. Returns those of which there is anything."""
        archived = defaultdict(list)
        if self._archive is not None:
            for line in await self._archive.lines_of(day, event_ids, renew=self.renew):
                archived[line.id].append(line.dossier)
        found = set()
        for event_id in sorted(event_ids):
            await self.renew()
            traces, dossiers = await self._ledger.erasing.traces(event_id), archived[event_id]
            if traces.found or dossiers:
                await self._note(event_id)
                found.add(event_id)
            uploads = {upload for dossier in dossiers for upload in uploads_named(dossier.body)}
            await self._remove_files(
                traces.jobs.union(*(dossier.job_ids for dossier in dossiers)), uploads.union(traces.uploads)
            )
        return found

    async def _note(self, event_id: str) -> None:
        await self._ledger.desk.note(by=self._by, act=ACT, on=event_id, client="")

    async def _remove_files(self, jobs: Iterable[str], uploads: Iterable[str]) -> None:
        if self._files is None:
            return
        for job_id in filter(time_told, jobs):
            await self._files.remove_all(place_of(job_id))
        for upload in filter(time_told, uploads):
            await self._files.remove(place_of(upload))
