"""Every address of the web process, and what answers there."""

from starlette.routing import Route, WebSocketRoute

from infra.exports import Exports
from infra.files import ArtifactLinks
from infra.ledger.bulk import lane_of
from infra.signatures import callback_keys_of, secrets_by_key
from ingest.api.batches import ReadBatch
from ingest.api.callbacks import ReadCallback, RedeliverCallback, RedeliverCallbacks
from ingest.api.endpoint import Methods
from ingest.api.events import ExportEvent, ReadEvent, ReadEventBody
from ingest.api.files import LoadArtifact, UploadFile
from ingest.api.health import Readyz, healthz
from ingest.api.jobs import ReadJob, SubmitJobs
from ingest.api.jwks import PublicKeys
from ingest.api.lists import ListCallbacks, ListEvents, ListJobs
from ingest.api.metrics import ReadMetrics
from ingest.api.openapi import ReadDescription, ReadDocs
from ingest.api.pauses import pause_routes
from ingest.api.queues import ReadQueues
from ingest.api.readiness import Readiness
from ingest.api.receivers import ListReceivers, PauseReceiver, ResumeReceiver
from ingest.api.replays import CancelReplay, ListReplays, ReadReplay, StartReplay
from ingest.api.sources import DiagnoseSource
from ingest.api.steering import CancelJob, CancelJobs, ReplayEvent, RetryJob
from ingest.api.streams import Events, Socket, Streams
from ingest.console.assembly import console_routes
from ingest.handshake_replies import Replies
from ingest.pages.renderer import Favicon
from ingest.parts import Parts
from ingest.receive import Receive
from ingest.throttle import Throttle


def addresses(parts: Parts) -> list[Route | WebSocketRoute]:
    """The table: the first address that fits a request has it.

    Raises:
        ValueError: there is no secret key.
    """
    settings, ledger = parts.settings, parts.ledger
    keys, clock, routes = parts.keys, parts.clock, parts.routes
    secret_keys, callback_keys = settings.secret_keys or (), callback_keys_of(settings)
    streams = Streams(keys=keys, hub=parts.hub, live=ledger.live, routes=routes)
    artifact_links = ArtifactLinks(
        secret_keys, public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )
    list_jobs = ListJobs(keys=keys, lists=ledger.lists, clock=clock)
    read_batch = ReadBatch(
        keys=keys, batches=parts.intake.batches, links=parts.links, pages=parts.pages, clock=clock
    )
    start_replay = StartReplay(keys=keys, replays=ledger.replays, clock=clock, queue=lane_of(settings.queues))
    replay_event = ReplayEvent(parts.rerun, keys=keys, receipts=parts.receipts, max_body=settings.max_body)
    export_event = ExportEvent(
        keys=keys,
        histories=ledger.histories,
        sources=parts.sources,
        exports=Exports(secret_keys, callback_keys),
        clock=clock,
    )
    redeliver_callback = RedeliverCallback(keys=keys, callbacks=ledger.callbacks, reading=ledger.reading)
    redeliver_callbacks = RedeliverCallbacks(
        keys=keys,
        callbacks=ledger.callbacks,
        lists=ledger.lists,
        desk=ledger.desk,
        header=settings.client_header,
        clock=clock,
    )
    cancel_jobs = CancelJobs(
        ledger.canceling, keys=keys, desk=ledger.desk, header=settings.client_header, clock=clock
    )
    receive = _receive(parts)
    return [
        Route("/hooks/{source}", receive),
        Route("/jobs", Methods(list_jobs, _submit_jobs(parts))),
        Route("/jobs/cancel", cancel_jobs),
        Route("/jobs/{id}", _read_job(parts)),
        Route("/jobs/{id}/cancel", CancelJob(ledger.jobs, keys=keys, reading=ledger.reading, routes=routes)),
        Route("/jobs/{id}/retry", RetryJob(ledger.steering, keys=keys, reading=ledger.reading, routes=routes)),
        Route("/jobs/{id}/stream", Events(streams.of_job)),
        WebSocketRoute("/jobs/{id}/ws", Socket(streams.of_job)),
        Route("/stream", Events(streams.of_all)),
        WebSocketRoute("/ws", Socket(streams.of_all)),
        Route("/batches/{id}", read_batch),
        Route("/events", ListEvents(keys=keys, lists=ledger.lists, clock=clock)),
        Route("/events/{id}", ReadEvent(keys=keys, histories=ledger.histories, sources=parts.sources)),
        Route("/events/{id}/body", ReadEventBody(keys=keys, histories=ledger.histories)),
        Route("/events/{id}/export", export_event),
        Route("/events/{id}/replay", replay_event),
        Route("/replays", Methods(ListReplays(keys=keys, replays=ledger.replays), start_replay)),
        Route("/replays/{id}", ReadReplay(keys=keys, replays=ledger.replays)),
        Route("/replays/{id}/cancel", CancelReplay(keys=keys, replays=ledger.replays)),
        Route("/callbacks", ListCallbacks(keys=keys, lists=ledger.lists, clock=clock)),
        Route("/callbacks/redeliver", redeliver_callbacks),
        Route("/callbacks/{id}", ReadCallback(keys=keys, reading=ledger.reading)),
        Route("/callbacks/{id}/redeliver", redeliver_callback),
        Route("/receivers", ListReceivers(keys=keys, receivers=ledger.receivers)),
        Route("/receivers/{id}/pause", PauseReceiver(keys, ledger.receivers, ledger.pausing)),
        Route("/receivers/{id}/resume", ResumeReceiver(keys, ledger.receivers, ledger.pausing)),
        Route("/queues", ReadQueues(keys=keys, measures=ledger.measures, overview=ledger.overview)),
        *pause_routes(keys, ledger.desk, ledger.pauses, header=settings.client_header),
        Route("/sources/{name}/diagnose", DiagnoseSource(keys=keys, refused=parts.refused, sources=parts.sources)),
        Route("/files", UploadFile(keys=keys, store=parts.files, settings=settings, clock=clock)),
        Route("/artifacts/{job}/{name}", LoadArtifact(store=parts.files, links=artifact_links)),
        *console_routes(parts, receive),
        Route("/assets/{digest}/{name}", parts.assets),
        Route("/favicon.ico", Favicon(parts.assets)),
        Route("/openapi.json", ReadDescription()),
        Route("/docs", ReadDocs(parts.pages)),
        Route("/.well-known/jwks.json", PublicKeys(callback_keys).answer),
        Route("/metrics", ReadMetrics(keys=keys, measures=ledger.measures, publisher=parts.publisher)),
        Route("/healthz", healthz),
        Route("/readyz", Readyz(Readiness(ledger, in_memory=parts.in_memory)).answer),
    ]  # fmt: skip


def _receive(parts: Parts) -> Receive:
    return Receive(
        parts.sources,
        recorder=parts.intake.recorder,
        routes=parts.intake.routes,
        receipts=parts.intake.receipts,
        policy=parts.policy,
        published_keys=parts.published_keys,
        replies=Replies(parts.fetcher, secret_keys=parts.settings.secret_keys or ()),
        refused=parts.refused,
        throttle=Throttle(parts.ledger.admissions),
        metrics=parts.metrics,
        traces=parts.traces,
        client_header=parts.settings.client_header,
        public_url=parts.settings.public_url,
        clock=parts.clock,
    )


def _submit_jobs(parts: Parts) -> SubmitJobs:
    return SubmitJobs(
        keys=parts.keys,
        recorder=parts.intake.recorder,
        batches=parts.intake.batches,
        routes=parts.intake.routes,
        receipts=parts.intake.receipts,
        policy=parts.policy,
        metrics=parts.metrics,
        traces=parts.traces,
        client_header=parts.settings.client_header,
        clock=parts.clock,
        max_body=parts.settings.max_body,
        with_secrets=frozenset(secrets_by_key(parts.settings)),
    )


def _read_job(parts: Parts) -> ReadJob:
    return ReadJob(
        keys=parts.keys,
        glances=parts.glances,
        reading=parts.ledger.reading,
        watch=parts.watch,
        routes=parts.routes,
        estimates=parts.estimates,
        pages=parts.pages,
        clock=parts.clock,
    )
