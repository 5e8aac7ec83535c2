"""The console put together from what the web process has anyway; where nobody may come in, there is none."""

from collections.abc import Sequence
from typing import Final

from starlette.routing import Route

from infra.ledger.bulk import lane_of
from ingest.console import callbacks, events, failures, jobs, sources
from ingest.console.audit import Audit
from ingest.console.console import Console
from ingest.console.door import Door, SignIn, SignOut
from ingest.console.overview import Overview
from ingest.console.people import People
from ingest.console.search import Search
from ingest.console.sessions import Sessions
from ingest.console.visit import Frame, Section
from ingest.parts import Parts

SECTIONS: Final = (
    Section("/console/", "Overview"),
    Section("/console/events", "Events"),
    Section("/console/jobs", "Jobs"),
    Section("/console/failures", "Failures"),
    Section("/console/callbacks", "Callbacks"),
    Section("/console/sources", "Sources"),
    Section("/console/audit", "Audit"),
)


def console_routes(parts: Parts) -> list[Route]:
    """Where the console is; nowhere, if the settings name nobody."""
    settings, ledger, clock = parts.settings, parts.ledger, parts.clock
    people = People(settings)
    if not people:
        return []
    sessions = Sessions(
        settings.secret_keys or (), people, ledger.desk, lifetime=settings.console_session, clock=clock
    )
    door = Door(
        parts.pages,
        people,
        sessions,
        ledger.admissions,
        header=settings.client_header,
        public_url=settings.public_url,
    )
    frame = Frame(parts.pages, ledger.desk, clock, SECTIONS)
    console = Console(
        [Route("/console/logout", SignOut(door, sessions, frame)), *_pages(frame, parts)],
        door=door,
        sign_in=SignIn(door, sessions, frame),
        frame=frame,
        pages=parts.pages,
        public_url=settings.public_url,
    )
    return [Route("/console", console), Route("/console/{path:path}", console)]


def _pages(frame: Frame, parts: Parts) -> Sequence[Route]:
    """Every page, and what its buttons do."""
    ledger, clock, rerun = parts.ledger, parts.clock, parts.rerun
    event, job = "/console/events/{id}", "/console/jobs/{id}"
    callback, receiver = "/console/callbacks/{id}", "/console/receivers/{id}"
    lane, public_url = lane_of(parts.settings.queues), parts.settings.public_url
    return [
        Route("/console", Overview(frame, ledger)),
        Route("/console/", Overview(frame, ledger)),
        Route("/console/events", events.EventList(frame, ledger.lists, clock)),
        Route(event, events.EventPage(frame, ledger.histories, parts.sources, clock)),
        Route(f"{event}/body", events.EventBytes(frame, ledger.histories)),
        Route(f"{event}/replay", events.ReplayEvent(frame, rerun)),
        Route(f"{event}/edit", events.EditEvent(frame, rerun, max_body=parts.settings.max_body)),
        Route("/console/jobs", jobs.JobList(frame, ledger.lists, clock)),
        Route(job, jobs.JobPage(frame, ledger.reading, parts.routes)),
        Route(f"{job}/retry", jobs.RetryJob(frame, ledger.reading, ledger.steering)),
        Route(f"{job}/cancel", jobs.CancelJob(frame, ledger.reading, ledger.jobs)),
        Route("/console/failures", failures.FailureList(frame, ledger.troubles, ledger.replays)),
        Route(
            "/console/failures/{id}/retry",
            failures.RetryGroup(frame, ledger.troubles, ledger.lists, ledger.replays, queue=lane),
        ),
        Route("/console/replays/{id}", failures.ReplayPage(frame, ledger.replays)),
        Route("/console/replays/{id}/stop", failures.StopReplay(frame, ledger.replays)),
        Route("/console/callbacks", callbacks.CallbackList(frame, ledger.lists, clock)),
        Route(callback, callbacks.CallbackPage(frame, ledger.reading)),
        Route(f"{callback}/redeliver", callbacks.Redeliver(frame, ledger.reading, ledger.callbacks)),
        Route("/console/receivers", callbacks.ReceiverList(frame, ledger.receivers)),
        Route(receiver, callbacks.ReceiverList(frame, ledger.receivers)),
        Route(f"{receiver}/pause", callbacks.Pause(frame, ledger.receivers, ledger.pausing)),
        Route(f"{receiver}/resume", callbacks.Resume(frame, ledger.receivers, ledger.pausing)),
        Route(
            "/console/sources",
            sources.SourceList(frame, ledger.lists, parts.sources, public_url=public_url),
        ),
        Route("/console/sources/{name}", sources.SourcePage(frame, parts.refused, parts.sources)),
        Route("/console/search", Search(frame, ledger.lists, ledger.reading, parts.sources)),
        Route("/console/audit", Audit(frame, ledger.desk)),
    ]
