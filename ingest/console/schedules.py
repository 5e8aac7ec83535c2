"""``/console/schedules``: when recurring handlers run, what became of the last time; and now, out of turn."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Ledger, LedgerError
from infra.ledger.lists import Filter
from infra.ledger.records import HandlerEntry, JobRecord
from infra.ledger.ticks import Recurrence
from infra.recurring import tick
from infra.routes import SCHEDULE_SOURCE
from ingest.api.query import query_of
from ingest.console.visit import Act, Frame, View, Visit, already
from ingest.problems import NOT_FOUND, NOT_RECORDED, Problem
from ingest.recorder import Recorder

_MOST: Final = 100


class ScheduleList(View):
    """Every recurring handler that a worker has, or had while any lived."""

    def __init__(self, frame: Frame, ledger: Ledger) -> None:
        super().__init__(frame)
        self._ledger = ledger

    async def show(self, visit: Visit, scope: Scope) -> Response:
        known = await self._ledger.pauses.handlers()
        recurring = [one for one in await self._ledger.ticks.recurring() if one.handler in known][:_MOST]
        values = {
            "schedules": await asyncio.gather(*map(self._shown, recurring)),
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "schedules.html", values)

    async def _shown(self, one: Recurrence) -> dict[str, Any]:
        now = self._frame.clock.now()
        return {
            "handler": one.handler,
            "type": one.type,
            "schedule": one.schedule,
            "next": [moment for moment in one.next if moment > now],
            "last": await self._ledger.ticks.last(one.name),
            "job": await last_job(self._ledger, one),
        }


class RunNow(Act):
    """One more time, at once. Two people who saw the same last job make one of it."""

    act = "run now"

    def __init__(self, frame: Frame, ledger: Ledger, recorder: Recorder) -> None:
        super().__init__(frame)
        self._ledger = ledger
        self._recorder = recorder

    async def do(self, visit: Visit, on: str, form: Mapping[str, str]) -> str:
        told = next((one for one in await self._ledger.ticks.recurring() if one.handler == on), None)
        entry = None if told is None else await self._entry(told)
        if told is None or entry is None:
            raise Problem(NOT_FOUND, "No worker has this handler.")
        now = self._frame.clock.now()
        arrival = tick(
            entry, told.schedule, due=now, now=now, once=f"after {form.get('after', '')[:64]}", accepted_by=visit.by
        )  # fmt: skip
        try:
            (receipt,) = await self._recorder.record([arrival])
        except LedgerError as error:
            raise Problem(NOT_RECORDED, "Do it again.") from error
        there = f"/console/jobs/{receipt.job_id}"
        return already(there) if receipt.duplicate else there

    async def _entry(self, told: Recurrence) -> HandlerEntry | None:
        entries = await self._ledger.pauses.entries()
        mine = (one for one in entries if (one.source, one.handler) == (SCHEDULE_SOURCE, told.handler))
        return next(mine, None)


async def last_job(ledger: Ledger, one: Recurrence) -> JobRecord | None:
    """The newest job of a recurring handler."""
    page = await ledger.lists.jobs(Filter(source=SCHEDULE_SOURCE, type=one.type), 1)
    return page.items[0] if page.items else None
