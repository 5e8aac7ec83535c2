"""Recurring handlers: each worker that has them makes their jobs; each time gives one job, for all workers name it alike."""

import asyncio
import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from handlers.declaration import Handler
from handlers.schedules import Schedule
from infra.bounds import short_id
from infra.clock import rfc3339
from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, LedgerError
from infra.ledger.records import Arrival
from infra.routes import DEFAULT_QUEUE, ordering_key_of

log = logging.getLogger(__name__)

_PAUSE: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(minutes=1)  # clocks are set now and then


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
            due, name = schedule.latest_due(now), f"{handler.name} {schedule.text}"
            if self._done.get(name) != due:
                await self._tick(handler, schedule, name, due, now)
                self._done[name] = due
        return min(_LONGEST, *(schedule.next_due(now) - now for _, schedule in self._recurring))

    async def _tick(
        self, handler: Handler, schedule: Schedule, name: str, due: datetime, now: datetime
    ) -> None:
        last = await self._ledger.ticks.last(name)
        if last is not None and last < due:
            await self._ledger.events.accept([_arrival(handler, schedule, due, now)])
        await self._ledger.ticks.note(name, due)


def _arrival(handler: Handler, schedule: Schedule, due: datetime, now: datetime) -> Arrival:
    suffix = new_suffix()
    body = json.dumps({"due": rfc3339(due), "schedule": schedule.text}).encode()
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=handler.source,
        type=handler.type,
        received_at=now,
        body=body,
        provider_event_id=short_id(f"{handler.name}@{rfc3339(due)}"),
        queue=handler.queue or DEFAULT_QUEUE,
        timeout=handler.timeout,
        ordering_key=ordering_key_of(handler.entry, Document(headers={}, body=body)),
    )
