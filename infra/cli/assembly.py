"""How the parts are put together, for every command that runs some of them."""

import gc
import logging
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
from starlette.applications import Starlette

from handlers.attempt import Runner
from handlers.http_clients import HTTPClients, fetching_client
from handlers.registry import Registry, load
from infra import logs
from infra.clock import Clock, SystemClock
from infra.durability import Fsync, ask_for_fsync
from infra.egress import EgressPolicy, GuardedTransport, guarded_client
from infra.files import ArtifactLinks, StoreUnavailable
from infra.ledger import Ledger
from infra.links import Links
from infra.metrics import Metrics, Publisher
from infra.redis_client import connect, connect_sync, memory
from infra.settings import Settings, SettingsError
from infra.signatures import callback_keys_of
from ingest.app import create_app
from ingest.parts import assemble
from ingest.sources import Sources, load_sources
from worker.alerts import Alert, Alerts, nobody
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

if TYPE_CHECKING:
    from infra.files.store import FileStore

log = logging.getLogger(__name__)

_LOOK_EVERY = timedelta(minutes=1)  # at what a worker is told of; a message that got lost costs no more
_PROBE_AT_MOST = timedelta(seconds=5)
_HEAD = 64 << 10  # of an answer, before the file in it


@dataclass(frozen=True, slots=True)
class Connections:
    """How to reach Redis.

    Args:
        connect: a client for the ledger.
        connect_waiting: a client whose answers may take as long as they like.
        connect_sync: a client for RQ.
        in_memory: it lives in this process, and nothing outlives it.
    """

    connect: Callable[[], redis.asyncio.Redis]
    connect_waiting: Callable[[], redis.asyncio.Redis]
    connect_sync: Callable[[], redis.Redis]
    in_memory: bool

    @classmethod
    def of(cls, settings: Settings) -> "Connections":
        """To the server that the settings name.

        Raises:
            SettingsError: they name none, or in a way that we can't use.
        """
        url = settings.redis_url
        if url is None:
            raise SettingsError(
                "REDIS_URL: needed; `hookline dev` brings a server of its own, `hookline serve` does without"
            )
        connect_sync(url).close()  # says at start what is wrong with the address
        return cls(
            lambda: connect(url),
            lambda: connect(url, blocking=True),
            lambda: connect_sync(url),
            in_memory=False,
        )

    @classmethod
    def in_this_process(cls) -> "Connections":
        """A Redis of our own, in memory."""
        from fakeredis import FakeServer

        server = FakeServer()
        return cls(
            lambda: memory(server).asynchronous,
            lambda: memory(server).asynchronous,
            lambda: memory(server).synchronous,
            in_memory=True,
        )


def start(environ: Mapping[str, str], *, settings: Settings) -> Sources:
    """What web, worker and serve do first: the table of sources, the log, and what must be set.

    Raises:
        SettingsError: one line about what is wrong.
    """
    sources = load_sources(settings, environ)
    logs.configure(level=settings.log, log_format=settings.log_format, secrets=secrets_of(settings, sources))
    if not settings.secret_keys:
        raise SettingsError("HOOKLINE_SECRET_KEY: needed; any long random text, the same for web and worker")
    calling = [
        source.name for source in sources if source.callback_url is not None and not source.callback_secrets
    ]
    if not settings.callback_secrets and (calling or settings.api_keys or settings.alert_url):
        raise SettingsError(
            "HOOKLINE_CALLBACK_SECRET: needed where callbacks are possible; whsec_ and 24 to 64 bytes in base64"
        )
    return sources


def tell_start(settings: Settings, sources: Sources, port: int) -> None:
    """What an operator should see in the first lines of the log."""
    log.info("listening on port %d", port, extra={"sources": sorted(sources.by_name)})
    for name in sources.without_secret:
        log.warning("source %s has no secret: everything that it sends is refused", name)
    for name in sources.open_to_secrets:
        log.warning(
            "source %s lets anybody bring a secret: take handshake = open out when it is set up", name
        )
    for name in sources.outlasting(settings.dedup_window):
        log.warning(
            "source %s takes a signature for longer than HOOKLINE_DEDUP_WINDOW: an old request is new again",
            name,
        )
    for variable in sources.ignored:
        log.warning("%s reads like a source's key, and there is no such source", variable)
    if settings.public_url is None:
        log.info("HOOKLINE_PUBLIC_URL is not set: links are paths, and callbacks carry none")


def secrets_of(settings: Settings, sources: Sources) -> list[str]:
    """Everything that must never appear in a log."""
    found = [
        *(settings.secret_keys or ()),
        *(settings.callback_secrets or ()),
        *settings.callback_private_keys,
        *(key.key for key in settings.api_keys),
        settings.console_password or "",
        *(user.password for user in settings.console_users),
    ]
    found += [secret for source in sources for secret in source.callback_secrets]
    found += [secret.decode("utf-8", "replace") for source in sources for secret in source.secrets]
    found += [
        token.decode("utf-8", "replace")
        for source in sources
        if source.handshakes is not None
        for token in source.handshakes.verify_tokens
    ]
    found += [settings.fireflies_api_key or "", _password(settings.redis_url), _password(settings.smtp_url)]
    found += [
        settings.dropbox_app_key or "",
        settings.dropbox_app_secret or "",
        settings.dropbox_refresh_token or "",
    ]
    return [secret for secret in found if secret]


def _password(url: str | None) -> str:
    return unquote(urlsplit(url).password or "") if url else ""


def quiet_collector() -> None:
    """Let the garbage collector leave alone what was loaded at start, and look less often at what comes and goes.

    Requests and jobs leave hardly any cycles; a collection in their midst costs them milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def web(settings: Settings, sources: Sources, connections: Connections) -> Starlette:
    """The web process's application."""
    parts = assemble(
        settings,
        sources,
        connect=connections.connect,
        connect_waiting=connections.connect_waiting,
        files=file_store(settings),
        in_memory=connections.in_memory,
        fsync=fsync_of(settings, connections),
    )
    return create_app(parts)


def fsync_of(settings: Settings, connections: Connections) -> Fsync:
    """What 2xx waits for.

    Raises:
        SettingsError: more than Redis can give.
    """
    if settings.durability == "everysec":
        return Fsync.NOTHING
    if connections.in_memory:
        raise SettingsError("HOOKLINE_DURABILITY: can't be kept in memory; set REDIS_URL")
    with connections.connect_sync() as client:
        return ask_for_fsync(client)


def handlers_of(settings: Settings) -> Registry:
    """The user's handlers, from where the command was called or from what is installed.

    Raises:
        HandlerError: one line about what is wrong with them.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    return load(settings.handlers)


@asynccontextmanager
async def worker(
    settings: Settings, sources: Sources, connections: Connections, registry: Registry
) -> AsyncIterator[Engine]:
    """A worker, not yet running. Whatever it counts is told to all for as long as the context lasts."""
    ledger, metrics = Ledger.of(connections.connect(), settings), Metrics()
    publisher = Publisher(metrics, ledger.measures)
    publisher.start()
    try:
        yield _engine(settings, sources, connections, registry, ledger=ledger, metrics=metrics)
    finally:
        await publisher.stop()


def _engine(
    settings: Settings,
    sources: Sources,
    connections: Connections,
    registry: Registry,
    *,
    ledger: Ledger,
    metrics: Metrics,
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
    services = LedgerServices(ledger, policy=EgressPolicy.of(settings), files=files, clock=clock)
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
        outbox=outbox,
        sweeper=Sweeper(ledger, queues=settings.queues, interval=settings.sweep, spread=random.random()),  # noqa: S311 - only keeps sweepers out of step
        failures=FailureNotes(ledger.troubles, root=Path.cwd()),
        background=background,
        make_lease=make_lease,
        lease_length=settings.lease,
        concurrency=settings.concurrency,
        grace=settings.shutdown_grace,
    )


def file_store(settings: Settings) -> "FileStore | None":
    """Where uploads and artifacts are kept, where that was said.

    Raises:
        SettingsError: it can't be opened.
    """
    if settings.files is None:
        return None
    from infra.files.store import FileStore

    try:
        return FileStore(settings.files)
    except StoreUnavailable as error:
        raise SettingsError(f"HOOKLINE_FILES: {error}") from None


def artifact_links(settings: Settings, clock: Clock) -> ArtifactLinks:
    """What links to artifacts are made and checked by."""
    return ArtifactLinks(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )


def post_of(settings: Settings, sources: Sources) -> Post:
    """What POSTs callbacks: signed with each source's own secrets, or the house's."""
    house = settings.callback_secrets or ()
    own = {source.name: source.callback_secrets for source in sources if source.callback_secrets}
    return Post(
        GuardedTransport(EgressPolicy.of(settings)),
        secrets_for=lambda source: own.get(source, house),
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


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, for a command that looks.

    Raises:
        SettingsError: there is no Redis or no secret key to look with.
    """
    if not settings.secret_keys:
        raise SettingsError("HOOKLINE_SECRET_KEY: needed, the same as web's and worker's")
    async with Connections.of(settings).connect() as client:
        yield Ledger.of(client, settings)
