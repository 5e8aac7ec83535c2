"""Erasing events wherever they are kept: in the ledger, in the archive, and the files of their jobs."""

import asyncio
from collections.abc import Collection
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from infra.archive.errors import ArchiveError
from infra.archive.lines import Archived, day_of
from infra.archive.parts import Lost
from infra.files import place_of
from infra.ids import new_suffix
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

    async def find(self, subject: Subject) -> tuple[set[str], list[Lost]]:
        """The ids of somebody's events, and what can't be looked at."""
        found = set(await self._ledger.erasing.events_of(subject))
        lost: list[Lost] = []
        if self._archive is None:
            return found, lost
        for day in await self._archive.days():
            await self._ledger.archiving.hold_to_erase(self._name)
            read = await self._archive.read(day)
            lost += read.lost
            found |= {one.id for one in read.events if one.event is not None and subject.owns(one.event)}
        return found, lost

    async def erase(self, event_ids: Collection[str]) -> tuple[set[str], list[Lost]]:
        """Remove all that there is of some events; to be called again where it breaks off.

        Returns:
            The ids of those of which there was anything, and what can't be looked at.
        """
        found: set[str] = set()
        for event_id in sorted(event_ids):
            erased = await self._ledger.erasing.erase(event_id)
            await self._remove_files(erased.jobs, erased.uploads)
            found |= {event_id} if erased.found else set()
        archived, lost = await self._erase_archived(event_ids)
        for one in archived:
            body = b"" if one.event is None else one.event.body
            await self._remove_files([job.rounds[-1].id for job in one.jobs], uploads_named(body))
        found |= {one.id for one in archived}
        for event_id in sorted(found):
            await self._ledger.desk.note(by=self._by, act=ACT, on=event_id, client="")
        return found, lost

    async def _erase_archived(self, event_ids: Collection[str]) -> tuple[list[Archived], list[Lost]]:
        erased: list[Archived] = []
        lost: list[Lost] = []
        if self._archive is None:
            return erased, lost
        by_day: dict[date, set[str]] = {}
        for event_id in event_ids:
            by_day.setdefault(day_of(event_id), set()).add(event_id)
        for day, of_day in sorted(by_day.items()):
            await self._ledger.archiving.hold_to_erase(self._name)
            gone, not_read = await self._archive.erase(day, of_day)
            erased += gone
            lost += not_read
        return erased, lost

    async def _remove_files(self, jobs: Collection[str], uploads: Collection[str]) -> None:
        if self._files is None:
            return
        for job_id in jobs:
            if place := _place(job_id):
                await self._files.remove_all(place)
        for upload in uploads:
            if place := _place(upload):
                await self._files.remove(place)


def _place(owner: str) -> str | None:
    """Where files of an id stand; None where the id, which a sender may have made up, tells no day.

    >>> _place("file_01k00000000000000000000000"), _place("file_zzzzzzzzzzzzzzzzzzzzzzzzzz")
    ('2025-07-12/file_01k00000000000000000000000', None)
    """
    try:
        return place_of(owner)
    except (ValueError, OverflowError, OSError):
        return None
