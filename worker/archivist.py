"""Archives what is past retention, and lets it go then. One of all workers does at a time.

Nothing goes before its copy was written, read back and committed. Whoever dies on the way leaves what he had not let go: it is archived
again, and readers drop what stands twice.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from infra.archive import Archived, ArchiveError, Overtaken
from infra.clock import Clock
from infra.files import StoreUnavailable
from infra.ledger import Ledger, LedgerError
from infra.ledger.archiving import Expired

if TYPE_CHECKING:
    from infra.archive.archive import Archive

log = logging.getLogger(__name__)

MOST_EVENTS: Final = 1_000  # of a part
MOST_BYTES: Final = 8 << 20  # of their bodies, about

_MOST_PAGES: Final = 500  # before others have their turn
_AT_ONCE: Final = 10  # events that are read


@dataclass(slots=True)
class _Batch:
    """What goes together: events, and those of their jobs that may go."""

    events: list[Archived] = field(default_factory=list)
    jobs: list[Expired] = field(default_factory=list)
    size: int = 0

    def add(self, event: Archived | None, jobs: list[Expired]) -> None:
        self.jobs += jobs
        if event is not None:
            self.events.append(event)
            self.size += len(event.dossier.body)

    @property
    def is_full(self) -> bool:
        return len(self.events) >= MOST_EVENTS or self.size >= MOST_BYTES


class Archivist:
    """Walks through what is past retention, again and again.

    Args:
        worker: this process, as the ledger knows who archives.
        every: how often one of all workers looks.
    """

    def __init__(
        self, ledger: Ledger, archive: "Archive", *, worker: str, every: timedelta, clock: Clock
    ) -> None:
        self._archiving = ledger.archiving
        self._turns = ledger.troubles
        self._archive = archive
        self._worker = worker
        self._every = every
        self._clock = clock
        self._prepared = False

    async def run(self) -> None:
        """For as long as the task lives."""
        while True:
            try:
                if await self._turns.take_turn("archive", self._worker, length=self._every * 0.9):
                    await self.turn()
            except LedgerError as error:
                log.error("nothing could be archived: %s", error)
            await asyncio.sleep(self._every.total_seconds())

    async def turn(self) -> int:
        """Archive what there is, unless another does. Returns how many jobs went.

        Raises:
            LedgerError: Redis does not answer; what was archived and not let go is archived again.
        """
        if not await self._archiving.hold(self._worker):
            return 0
        try:
            gone = await self._walk()
        except Overtaken as error:
            log.warning("archiving was not finished: %s", error)
            return 0
        except (StoreUnavailable, ArchiveError) as error:
            log.error("nothing can be archived, so nothing past retention goes: %s", error)
            await self._archiving.went(self._worker, error=str(error))
            return 0
        await self._archiving.went(self._worker, error=None)
        if gone:
            log.info("archived jobs past their retention", extra={"archived": gone})
        return gone

    async def _walk(self) -> int:
        if not self._prepared:
            await self._archive.prepare()
            self._prepared = True
        gone, batch = 0, _Batch()
        for _ in range(_MOST_PAGES):
            await self._renew()
            page, ended = await self._archiving.expired()
            async for event, jobs in self._read(page):
                batch.add(event, jobs)
                if batch.is_full:
                    gone, batch = gone + await self._store(batch), _Batch()
            if ended:
                break
        return gone + await self._store(batch)

    async def _read(self, page: list[Expired]) -> AsyncIterator[tuple[Archived | None, list[Expired]]]:
        """The events of some jobs as they stand, each with those jobs; None where nothing is held of it."""
        by_event: dict[str, list[Expired]] = {}
        for job in page:
            by_event.setdefault(job.event_id, []).append(job)
        named = list(by_event.items())
        for first in range(0, len(named), _AT_ONCE):
            some = named[first : first + _AT_ONCE]
            reading = (
                self._archiving.dossier(event_id, [job.job_id for job in jobs]) for event_id, jobs in some
            )
            found = await asyncio.gather(*reading)
            now = self._clock.now()
            for dossier, (_, jobs) in zip(found, some, strict=True):
                yield None if dossier is None else Archived(at=now, dossier=dossier), jobs

    async def _store(self, batch: _Batch) -> int:
        """Keep what came together, and let its jobs go.

        Who erases begins by taking the lease. So whoever still has it once the parts count, and are there, knows that nobody took them for
        leftovers.
        """
        await self._renew()
        await self._archive.add(batch.events, renew=self._renew)
        await self._renew()
        return await self._archiving.let_go(batch.jobs)

    async def _renew(self) -> None:
        if not await self._archiving.renew(self._worker):
            raise Overtaken("somebody else has begun to archive or to erase")
