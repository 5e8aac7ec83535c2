"""The console put together from what the web process has anyway; where nobody may come in, there is none."""

from collections.abc import Sequence
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp

from infra.ledger.bulk import lane_of
from infra.ledger.pauses import Held
from infra.signatures import callback_secrets_of
from ingest.console import (
    callbacks,
    events,
    failures,
    jobs,
    oidc,
    pauses,
    queues,
    receivers,
    schedules,
    sources,
    workers,
)
from ingest.console.audit import Audit
from ingest.console.console import Console
from ingest.console.door import LOGIN, Door, SignIn, SignOut
from ingest.console.live import WatchChanges
from ingest.console.overview import Overview
from ingest.console.people import People
from ingest.console.questions import Questions
from ingest.console.roles import Roles
from ingest.console.search import Search
from ingest.console.sessions import Sessions
from ingest.console.trials import SendTest
from ingest.console.visit import Frame, Section
from ingest.parts import Parts

SECTIONS: Final = (
    Section("/console/", "Overview"),
    Section("/console/events", "Events"),
    Section("/console/jobs", "Jobs"),
    Section("/console/failures", "Failures"),
    Section("/console/queues", "Queues"),
    Section("/console/workers", "Workers"),
    Section("/console/schedules", "Schedules"),
    Section("/console/callbacks", "Callbacks"),
    Section("/console/sources", "Sources"),
    Section("/console/audit", "Audit"),
)


def console_routes(parts: Parts, receive: ASGIApp) -> list[Route]:
    """Where the console is; nowhere, if the settings name nobody.

    Args:
        receive: what answers at ``/hooks/{source}``.
    """
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
        provider=parts.provider,
        header=settings.client_header,
        public_url=settings.public_url,
    )
    frame = Frame(parts.pages, ledger.desk, clock, SECTIONS)
    console = Console(
        [Route("/console/logout", SignOut(door, sessions, frame)), *_pages(frame, parts, receive)],
        door=door,
        entrances={LOGIN: SignIn(door, sessions, frame), **_entrances(parts, people, door, sessions, frame)},
        frame=frame,
        pages=parts.pages,
        public_url=settings.public_url,
    )
    return [Route("/console", console), Route("/console/{path:path}", console)]


def _entrances(
    parts: Parts, people: People, door: Door, sessions: Sessions, frame: Frame
) -> dict[str, ASGIApp]:
    """The way in by an identity provider, where there is one."""
    if parts.provider is None:
        return {}
    settings = parts.settings
    questions = Questions(settings.secret_keys or (), parts.ledger.desk, parts.clock)
    roles = Roles(operators=settings.console_oidc_operators, viewers=settings.console_oidc_viewers)
    return {
        oidc.START: oidc.Start(door, parts.provider, questions),
        oidc.RETURN: oidc.Return(
            door, sessions, frame, provider=parts.provider, questions=questions, people=people, roles=roles
        ),
    }


def _pages(frame: Frame, parts: Parts, receive: ASGIApp) -> Sequence[Route]:
    """Every page, and what its buttons do."""
    ledger, clock, rerun = parts.ledger, parts.clock, parts.rerun
    event, job = "/console/events/{id}", "/console/jobs/{id}"
    callback = "/console/callbacks/{id}"
    lane = lane_of(parts.settings.queues)
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
        Route(
            "/console/failures", failures.FailureList(frame, ledger.troubles, ledger.replays, ledger.pauses)
        ),
        Route(
            "/console/failures/{id}/retry",
            failures.RetryGroup(frame, ledger.troubles, ledger.lists, ledger.replays, queue=lane),
        ),
        Route("/console/replays/{id}", failures.ReplayPage(frame, ledger.replays)),
        Route("/console/replays/{id}/stop", failures.StopReplay(frame, ledger.replays)),
        Route("/console/callbacks", callbacks.CallbackList(frame, ledger.lists, clock)),
        Route(callback, callbacks.CallbackPage(frame, ledger.reading)),
        Route(f"{callback}/redeliver", callbacks.Redeliver(frame, ledger.reading, ledger.callbacks)),
        *_receivers(frame, parts),
        *_sources(frame, parts, receive),
        Route("/console/search", Search(frame, ledger.lists, ledger.reading, parts.sources)),
        *_work(frame, parts),
        Route("/console/audit", Audit(frame, ledger.desk)),
    ]


def _work(frame: Frame, parts: Parts) -> Sequence[Route]:
    """Queues, handlers, workers and schedules; and what keeps all pages true."""
    ledger, waiting = parts.ledger, "/console/queues"
    queue, handler = "/console/queues/{name}", "/console/handlers/{name}"
    return [
        Route("/console/live", WatchChanges(parts.hub, ledger.live)),
        Route("/console/queues", queues.QueueList(frame, ledger)),
        Route(f"{queue}/pause", pauses.PauseWork(frame, ledger.pauses, waiting, Held.QUEUE)),
        Route(f"{queue}/resume", pauses.ResumeWork(frame, ledger.pauses, waiting, Held.QUEUE)),
        Route(f"{handler}/pause", pauses.PauseWork(frame, ledger.pauses, waiting, Held.HANDLER)),
        Route(f"{handler}/resume", pauses.ResumeWork(frame, ledger.pauses, waiting, Held.HANDLER)),
        Route("/console/workers", workers.WorkerList(frame, ledger.overview)),
        Route("/console/workers/{name}/drain", pauses.DrainWorker(frame, ledger.pauses, "/console/workers")),
        Route("/console/schedules", schedules.ScheduleList(frame, ledger)),
        Route("/console/schedules/{name}/run", schedules.RunNow(frame, ledger, parts.recorder)),
    ]


def _receivers(frame: Frame, parts: Parts) -> Sequence[Route]:
    """Who gets callbacks."""
    ledger, checks = parts.ledger, parts.receiver_checks
    one, known = "/console/receivers/{id}", ledger.receivers
    secrets = callback_secrets_of(parts.settings, parts.sources.callback_secrets)
    check = receivers.CheckReceiver(frame, known, checks, secrets=secrets)
    return [
        Route("/console/receivers", receivers.ReceiverList(frame, known, ledger.grades)),
        Route(one, receivers.ReceiverPage(frame, known, ledger.grades, checks)),
        Route(f"{one}/pause", receivers.Pause(frame, known, ledger.pausing)),
        Route(f"{one}/resume", receivers.Resume(frame, known, ledger.pausing)),
        Route(f"{one}/check", check),
    ]


def _sources(frame: Frame, parts: Parts, receive: ASGIApp) -> Sequence[Route]:
    """Who sends events."""
    ledger, known, seen = parts.ledger, parts.sources, parts.secrets_seen
    one, public_url = "/console/sources/{name}", parts.settings.public_url
    listed = sources.SourceList(frame, known, ledger.lists, seen, ledger.refusals, public_url=public_url)
    page = sources.SourcePage(frame, known, ledger.lists, seen, parts.refused, public_url=public_url)
    trial = SendTest(frame, known, ledger.lists, receive=receive, public_url=public_url, clock=parts.clock)
    return [Route("/console/sources", listed), Route(one, page), Route(f"{one}/test", trial)]
