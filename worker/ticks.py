"""Recurring handlers: each worker that has them makes their jobs; each time gives one job, for all workers name it alike."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from handlers.declaration import Handler
from handlers.schedules import Schedule
from infra.clock import unix_milliseconds
from infra.ledger import Ledger, LedgerError
from infra.ledger.ticks import Recurrence
from infra.recurring import tick

log = logging.getLogger(__name__)

_PAUSE: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(minutes=1)  # clocks are set now and then
_TOLD: Final = 3  # times ahead, for people


class Ticker:
    """Makes the jobs of recurring handlers when they are due, on Redis's clock.

    Of the times that were missed while no worker ran, the newest is made up for. Where a schedule is new, nothing was missed.
    """

    def __init__(self, ledger: Ledger, handlers: Iterable[Handler]) -> None:
        self._ledger = ledger
        self._recurring = [(one, one.schedule) for one in handlers if one.schedule is not None]
        self._done: dict[str, datetime] = {}

    async def run(self) -> None:
        """For as long as the task lives; it ends at once where nothing recurs."""
        while self._recurring:
            try:
                wait = await self.look()
            except LedgerError as error:
                log.error("recurring jobs could not be made: %s", error)
                wait = _PAUSE
            await asyncio.sleep(wait.total_seconds())

    async def look(self) -> timedelta:
        """Make what is due. Returns how long to wait before the next look.

        Raises:
            LedgerError: not confirmed; what is due now is made by the next look.
        """
        now = await self._ledger.reading.now()
        for handler, schedule in self._recurring:
            due = schedule.latest_due(now)
            if self._done.get(handler.name) != due:
                await self._tick(handler, schedule, due, now)
                self._done[handler.name] = due
        return min(_LONGEST, *(schedule.next_due(now) - now for _, schedule in self._recurring))

    async def _tick(self, handler: Handler, schedule: Schedule, due: datetime, now: datetime) -> None:
        told = _told(handler, schedule, now)
        last = await self._ledger.ticks.last(told.name)
        if last is not None and last < due:
            await self._ledger.events.accept([tick(handler.entry, schedule.text, due=due, now=now)])
        await self._ledger.ticks.note(told, due)


def _told(handler: Handler, schedule: Schedule, now: datetime) -> Recurrence:
    due = [schedule.next_due(now)]
    while len(due) < _TOLD:
        due.append(schedule.next_due(due[-1]))
    return Recurrence(
        handler=handler.name,
        type=handler.type,
        schedule=schedule.text,
        due=tuple(unix_milliseconds(one) for one in due),
    )
