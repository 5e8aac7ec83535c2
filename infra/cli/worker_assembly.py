"""How a worker is put together."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from handlers.attempt import Runner
from handlers.http_clients import HTTPClients, fetching_client
from handlers.registry import Registry, load
from infra.cli.connections import Connections
from infra.cli.start import secrets_of, traces_of
from infra.cli.stores import archive_of, file_store
from infra.clock import Clock, SystemClock
from infra.egress import EgressPolicy, GuardedTransport, guarded_client
from infra.files import ArtifactLinks
from infra.ledger import Ledger
from infra.links import Links
from infra.metrics import Metrics, Publisher
from infra.settings import Settings
from infra.signatures import callback_keys_of, callback_secrets_of
from infra.tracing import Traces
from ingest.sources import Sources
from worker.alerts import Alert, Alerts, nobody
from worker.archivist import Archivist
from worker.callbacks.deliver import Sender
from worker.callbacks.outbox import Outbox
from worker.callbacks.post import Post
from worker.callbacks.progress import ProgressCallbacks
from worker.callbacks.receivers import Receivers
from worker.children import Children
from worker.engine import Engine, worker_name
from worker.failures import FailureNotes
from worker.file_retention import FileRetention
from worker.files import JobFiles
from worker.frames import Setup
from worker.isolation import Isolation
from worker.lease import Lease
from worker.reports import Reports
from worker.services import LedgerServices
from worker.sweeper import Sweeper
from worker.wakeup import BlockingPeek, Polling, Wakeup

_LOOK_EVERY = timedelta(minutes=1)  # at what a worker is told of; a message that got lost costs no more
_PROBE_AT_MOST = timedelta(seconds=5)
_HEAD = 64 << 10  # of an answer, before the file in it


def handlers_of(settings: Settings) -> Registry:
    """The user's handlers, from where the command was called or from what is installed.

    Raises:
        HandlerError: one line about what is wrong with them.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    return load(settings.handlers)


@asynccontextmanager
async def assembled_worker(
    settings: Settings, sources: Sources, connections: Connections, registry: Registry
) -> AsyncIterator[Engine]:
    """A worker, not yet running. Whatever it counts is told to all for as long as the context lasts."""
    ledger, metrics = Ledger.of(connections.connect(), settings), Metrics()
    traces = traces_of(settings, "hookline-worker")
    publisher = Publisher(metrics, ledger.measures)
    publisher.start()
    try:
        yield _engine(settings, sources, connections, registry, ledger=ledger, metrics=metrics, traces=traces)
    finally:
        await publisher.stop()
        await asyncio.to_thread(traces.close)


def _engine(
    settings: Settings,
    sources: Sources,
    connections: Connections,
    registry: Registry,
    *,
    ledger: Ledger,
    metrics: Metrics,
    traces: Traces,
) -> Engine:
    name = worker_name()
    clock = SystemClock()
    post, receivers, status_url = (
        post_of(settings, sources),
        receivers_of(settings),
        status_urls(settings, clock),
    )
    progress = ProgressCallbacks(
        post, receivers, paused=ledger.receivers.paused, clock=clock, status_url=status_url
    )
    reports = Reports(clock, progress)
    store = file_store(settings)
    files = JobFiles(
        store,
        artifact_links(settings, clock),
        lambda: guarded_client(setup.policy, max_received=settings.max_file + _HEAD),
        limit=settings.max_file,
    )
    services = LedgerServices(
        ledger, policy=EgressPolicy.of(settings), files=files, clock=clock, traces=traces
    )
    setup = Setup(
        modules=settings.handlers,
        path=tuple(sys.path),
        log=settings.log,
        log_format=settings.log_format,
        secrets=tuple(secrets_of(settings, sources)),
        allow=tuple(map(str, settings.callback_allow)),
        ports=tuple(settings.callback_ports),
    )
    runner = Runner(
        registry,
        executor=ThreadPoolExecutor(settings.threads, thread_name_prefix="handler"),
        effects=reports,
        services=services,
        http=HTTPClients(guarded=lambda: fetching_client(setup.policy)),
        clock=clock,
        jitter=random.random,
    )
    children = Children(setup, slots=settings.process_slots, effects=reports, services=services)
    outbox = Outbox(
        ledger,
        Sender(
            post,
            clock=clock,
            schedule=settings.callback_schedule,
            jitter=random.random,
            status_url=status_url,
            traces=traces,
        ),
        receivers,
        metrics=metrics,
        sender=name,
        attempt_limit=settings.callback_timeout,
        look_every=_LOOK_EVERY,
    )
    wakeup: Wakeup = (
        Polling(connections.connect(), settings.queues)
        if connections.in_memory
        else BlockingPeek(connections.connect_waiting, settings.queues)
    )

    alerts = Alerts(
        ledger,
        worker=name,
        server=not connections.in_memory,
        retention=settings.retention,
        tell=nobody if settings.alert_url is None else Alert(post, url=settings.alert_url, clock=clock),
    )
    background = [alerts.run]
    if store is not None:
        tidying = FileRetention(
            store, ledger.troubles, worker=name, keep=settings.file_retention, clock=clock
        )
        background.append(tidying.run)
    archive = archive_of(settings, clock)
    if archive is not None:
        background.append(Archivist(ledger, archive, worker=name, every=settings.sweep, clock=clock).run)

    def make_lease(made: Engine) -> Lease:
        return Lease(
            _opening(settings, connections), worker=name, length=settings.lease, queues=settings.queues,
            manifest=registry.manifest(), record=made.record,
        )  # fmt: skip

    return Engine(
        ledger,
        Isolation(runner, children, threads=settings.threads),
        registry,
        name=name,
        queues=settings.queues,
        connection=connections.connect_sync(),
        wakeup=wakeup,
        listen_on=connections.connect_waiting,
        reports=reports,
        metrics=metrics,
        traces=traces,
        outbox=outbox,
        sweeper=Sweeper(
            ledger,
            queues=settings.queues,
            interval=settings.sweep,
            spread=random.random(),  # noqa: S311 - only keeps sweepers out of step
            retires=archive is None,
        ),
        failures=FailureNotes(ledger.troubles, root=Path.cwd()),
        background=background,
        make_lease=make_lease,
        lease_length=settings.lease,
        concurrency=settings.concurrency,
        grace=settings.shutdown_grace,
    )


def artifact_links(settings: Settings, clock: Clock) -> ArtifactLinks:
    """What links to artifacts are made and checked by."""
    return ArtifactLinks(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )


def post_of(settings: Settings, sources: Sources) -> Post:
    """What POSTs callbacks, signed."""
    return Post(
        GuardedTransport(EgressPolicy.of(settings)),
        secrets=callback_secrets_of(settings, sources.callback_secrets),
        timeout=settings.callback_timeout,
        private_keys=callback_keys_of(settings),
    )


def status_urls(settings: Settings, clock: Clock) -> Callable[[str], str | None]:
    """Where callbacks say that their jobs can be looked at."""
    links = Links(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )
    return lambda job_id: links.status_url(job_id) if settings.public_url else None


def receivers_of(settings: Settings) -> Receivers:
    """What keeps them apart: a receiver that fails is tried about as often as a single callback to it would be."""
    probe_every = (
        min(settings.callback_schedule[0], _PROBE_AT_MOST) * 0.8
    )  # a first wait may be so much shorter
    return Receivers(probe_every=probe_every.total_seconds(), rate=settings.callback_rate)


def _opening(
    settings: Settings, connections: Connections
) -> Callable[[], AbstractAsyncContextManager[Ledger]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Ledger]:
        async with connections.connect() as client:
            yield Ledger.of(client, settings)

    return opened
