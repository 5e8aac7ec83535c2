"""Running an event again, by whoever may: a new job for it; or, with another payload, a new event that names the old one."""

from typing import Any, Final

from infra.clock import Clock
from infra.edited import edited_replay
from infra.ids import EVENT, JOB, is_id, new_suffix
from infra.ledger import LedgerError, Steering
from infra.ledger.records import EventRecord, HandlerEntry, JobStatus, Receipt
from infra.ledger.steering import Origin, Verdict
from infra.routes import Routes
from ingest.problems import INVALID, JOB_NOT_FAILED, NOT_FOUND, NOT_RECORDED, RUN_TOO_OFTEN, Kind, Problem
from ingest.recorder import Recorder

RUN_MEANWHILE: Final = Kind(409, "run_meanwhile", "It was run again meanwhile.")

REFUSALS: Final = {
    Verdict.NOT_FAILED: (JOB_NOT_FAILED, "Only a failed job can be retried; replay its event instead."),
    Verdict.OVERTAKEN: (RUN_MEANWHILE, "Look at what became of that first."),
    Verdict.SPENT: (RUN_TOO_OFTEN, "Send it as a new event."),
    Verdict.MISSING: (NOT_FOUND, None),
}

AS_IT_WAS: Final = object()
"""In place of a payload: the event's own."""


class Rerun:
    """Runs events again."""

    def __init__(self, steering: Steering, *, recorder: Recorder, routes: Routes, clock: Clock) -> None:
        self._steering = steering
        self._recorder = recorder
        self._routes = routes
        self._clock = clock

    async def event(
        self,
        event_id: str,
        *,
        by: str,
        queue: str | None = None,
        payload: Any = AS_IT_WAS,
        seen: int | None = None,
    ) -> Receipt:
        """Have it run again.

        Args:
            by: who wants it, for the timeline.
            queue: None: the handler's, else that of the event's first job.
            seen: how many jobs whoever wants it knows of; with another one, it was run again meanwhile. None: however many.

        Raises:
            Problem: there is no such event, nobody handles it, it was run meanwhile or too often, or Redis did not confirm.
            LedgerError: it can't be read.
        """
        event = await self._steering.event(event_id) if is_id(event_id, EVENT) else None
        origin = None if event is None else await self._steering.origin(event_id, event.jobs)
        if event is None or origin is None:
            raise Problem(NOT_FOUND)
        entry = await self._handled(event)
        if payload is AS_IT_WAS:
            return await self._replayed(origin, queue, entry, by, seen)
        return await self._edited(event, origin, payload, queue, entry, by)

    async def _handled(self, event: EventRecord) -> HandlerEntry | None:
        entry = await self._routes.find(event.source, event.type, sure=True)
        if entry is None and self._routes.any_worker:
            raise Problem(INVALID, f"No worker has a handler for ({event.source!r}, {event.type!r}).")
        return entry

    async def _replayed(
        self, origin: Origin, queue: str | None, entry: HandlerEntry | None, by: str, seen: int | None
    ) -> Receipt:
        job_id = JOB + new_suffix()
        verdict = await self._steering.replay(origin, job_id, by=by, queue=queue, entry=entry, seen=seen)
        if verdict in REFUSALS:
            raise Problem(*REFUSALS[verdict])
        return Receipt(event_id=origin.event_id, job_id=job_id, status=JobStatus.QUEUED)

    async def _edited(
        self,
        event: EventRecord,
        origin: Origin,
        payload: Any,
        queue: str | None,
        entry: HandlerEntry | None,
        by: str,
    ) -> Receipt:
        arrival = edited_replay(
            event, origin, payload, entry=entry, queue=queue, now=self._clock.now(), accepted_by=by
        )
        try:
            (receipt,) = await self._recorder.record([arrival])
        except LedgerError as error:
            raise Problem(NOT_RECORDED, "Send it again.") from error
        return receipt
