"""What the web process is made of: each part once, for whoever needs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from redis.asyncio import Redis

from infra.clock import Clock, SystemClock
from infra.durability import Fsync
from infra.egress import EgressPolicy, guarded_client
from infra.ledger import Ledger
from infra.links import Links
from infra.metrics import Metrics, Publisher
from infra.routes import Routes
from infra.settings import Settings
from infra.signatures import Fetcher, HTTPFetcher, PublishedKeys
from infra.tracing import UNTRACED, Traces
from ingest.api.batches import KeptBatches
from ingest.console.people import People
from ingest.console.provider import Provider
from ingest.estimates import Estimates
from ingest.glances import LANES as GLANCES
from ingest.glances import Glances
from ingest.keys import Keys
from ingest.live.hub import Hub
from ingest.live.watch import Watch
from ingest.pages.renderer import Assets, Pages
from ingest.receipts import Receipts
from ingest.receiver_checks import CheckReceiver, ReceiverChecks
from ingest.recorder import BATCH, LANES, SLOW_BATCH, SLOW_LANES, Recorder, Recording
from ingest.refusals import RefusedRequests
from ingest.rerun import Rerun
from ingest.secrets_seen import SecretsSeen
from ingest.sources import Sources

if TYPE_CHECKING:
    from infra.files.store import FileStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What new events go through; where there are several shards, all of them share one (`ingest.shards`)."""

    recorder: Recording
    routes: Routes
    receipts: Receipts
    batches: KeptBatches


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that several addresses share, or that have a beginning and an end."""

    settings: Settings
    sources: Sources
    files: "FileStore | None"
    in_memory: bool
    clock: Clock
    fetcher: Fetcher
    policy: EgressPolicy
    links: Links
    keys: Keys
    ledger: Ledger
    recorder: Recorder
    intake: Intake
    routes: Routes
    hub: Hub
    watch: Watch
    glances: Glances
    estimates: Estimates
    receipts: Receipts
    rerun: Rerun
    refused: RefusedRequests
    published_keys: PublishedKeys
    provider: Provider | None
    secrets_seen: SecretsSeen
    receiver_checks: ReceiverChecks
    metrics: Metrics
    traces: Traces
    publisher: Publisher
    assets: Assets
    pages: Pages


def assemble(
    settings: Settings,
    sources: Sources,
    *,
    connect: Callable[[], Redis],
    connect_waiting: Callable[[], Redis],
    files: "FileStore | None" = None,
    in_memory: bool = False,
    fsync: Fsync = Fsync.NOTHING,
    traces: Traces = UNTRACED,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
    connect_provider: Callable[[], httpx.AsyncClient] | None = None,
    check_receiver: CheckReceiver | None = None,
) -> Parts:
    """Make the parts. Nothing connects yet.

    Args:
        connect: makes the client for the ledger.
        connect_waiting: makes a client whose answers may take as long as they like.
        files: where uploads and artifacts are kept; None: nowhere.
        in_memory: Redis lives in this process.
        fsync: what 2xx waits for.
        traces: what is told of what arrives.
        clock: the machine's when left out.
        fetcher: gets the keys that senders publish, and calls where they want to be called once; over the guarded
            transport when left out.
        connect_provider: makes a client that calls the identity provider; over the guarded transport when left out.
        check_receiver: what the console's operators have receivers checked by; None: nothing.

    Raises:
        ValueError: there is no secret key.
        SettingsError: something that the identity provider needs is missing.
    """
    clock = SystemClock() if clock is None else clock
    if fetcher is None:
        fetcher = HTTPFetcher(lambda: guarded_client(EgressPolicy(allow=settings.callback_allow)))
    links = Links(
        settings.secret_keys or (), public_url=settings.public_url, ttl=settings.link_ttl, clock=clock
    )
    ledger = Ledger.of(connect(), settings)
    recorder = _recorder(ledger, fsync)
    routes = Routes(ledger.workers)
    hub = Hub(ledger.live, connect_waiting())
    watch = Watch(ledger.reading, hub)
    receipts = Receipts(watch, routes, links)
    metrics = Metrics()
    assets = Assets()
    return Parts(
        settings=settings,
        sources=sources,
        files=files,
        in_memory=in_memory,
        clock=clock,
        fetcher=fetcher,
        policy=EgressPolicy.of(settings),
        links=links,
        keys=Keys(settings.api_keys, links),
        ledger=ledger,
        recorder=recorder,
        intake=Intake(recorder=recorder, routes=routes, receipts=receipts, batches=ledger.batches),
        routes=routes,
        hub=hub,
        watch=watch,
        glances=Glances([ledger.reading.dedicated() for _ in range(GLANCES)]),
        estimates=Estimates(ledger.durations),
        receipts=receipts,
        rerun=Rerun(ledger.steering, recorder=recorder, routes=routes, clock=clock),
        refused=RefusedRequests(ledger.refusals, sources, settings, clock),
        published_keys=PublishedKeys(fetcher, clock),
        provider=Provider.of(settings, clock=clock, connect=connect_provider),
        secrets_seen=SecretsSeen(ledger.secret_ages, sources, wanted=bool(People(settings))),
        receiver_checks=ReceiverChecks(ledger.grades, check_receiver),
        metrics=metrics,
        traces=traces,
        publisher=Publisher(metrics, ledger.measures),
        assets=assets,
        pages=Pages(assets, public_url=settings.public_url),
    )


def _recorder(ledger: Ledger, fsync: Fsync) -> Recorder:
    """Lanes that wait a second each carry more, and are more."""
    lanes, batch = (SLOW_LANES, SLOW_BATCH) if fsync is Fsync.NEXT_SECOND else (LANES, BATCH)
    fsynced = fsync in (Fsync.WAITAOF, Fsync.NEXT_SECOND)
    return Recorder([ledger.events.dedicated(fsynced=fsynced) for _ in range(lanes)], batch=batch)
