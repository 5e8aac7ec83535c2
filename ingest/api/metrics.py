"""``GET /metrics``: what all processes have counted, and how things stand, as Prometheus reads it."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.ledger import LedgerError, Measures
from infra.ledger.archiving import ArchiveStanding
from infra.ledger.measures import Standing
from infra.metrics import FAMILIES, Family, Publisher, places_of
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.keys import Keys

_PREFIX: Final = "hookline_"
_MICROSECONDS: Final = 1_000_000
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ReadMetrics(Endpoint):
    """``GET /metrics``: for a key that may read, because sources and handlers are named in it.

    Args:
        publisher: of this process, whose own numbers are sent before all are read.
    """

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, measures: Measures, publisher: Publisher) -> None:
        self._keys = keys
        self._measures = measures
        self._publisher = publisher

    async def answer(self, scope: Scope, receive: Receive) -> Response:  # noqa: ARG002 - as all of them
        """The numbers; without Redis, that it does not answer, which is one of them."""
        headers = Headers(scope["headers"])
        self._keys.require(headers, "read")
        families = [_gauge("redis_up", "Whether Redis answers this web process.", 1)]
        try:
            await self._publisher.send()
            families += _counted(await self._measures.totals())
            families += _standing(await self._measures.standing())
        except LedgerError:
            families = [_gauge("redis_up", "Whether Redis answers this web process.", 0)]
        families.append(_info())
        encode, content_type = choose_encoder(headers.get("accept") or "")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Made(families))
        return Response(encode(registry), headers=_HEADERS | {"Content-Type": content_type})


class _Made(Collector):
    """What was made of the ledger's numbers, for a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _counted(totals: Mapping[str, int]) -> list[Metric]:
    """Counters and histograms. What an older or a newer version has counted in another way is left out."""
    numbers: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for field, number in totals.items():
        name, *rest = json.loads(field)
        numbers[name][tuple(rest)] = number
    return [_family(family, numbers.get(family.name, {})) for family in FAMILIES]


def _family(family: Family, numbers: Mapping[tuple[str, ...], int]) -> Metric:
    name, width = _PREFIX + family.name, len(family.labels)
    if not family.bounds:
        counter = CounterMetricFamily(name, family.meaning, labels=family.labels)
        for labels, number in sorted(numbers.items()):
            if len(labels) == width:
                counter.add_metric(labels, number)
        return counter
    histogram = HistogramMetricFamily(f"{name}_seconds", family.meaning, labels=family.labels)
    *places, total = places_of(family)
    for labels in sorted({labels[:width] for labels in numbers if len(labels) == width + 1}):
        counts = accumulate(numbers.get((*labels, place), 0) for place in places)
        bounds = [*map(str, family.bounds), "+Inf"]
        buckets = list(zip(bounds, counts, strict=True))
        histogram.add_metric(labels, buckets, numbers.get((*labels, total), 0) / _MICROSECONDS)
    return histogram


def _standing(standing: Standing) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        f"{_PREFIX}jobs", "Jobs that have not ended, and failed ones, by where they stand.", labels=("queue", "status")
    )  # fmt: skip
    oldest = GaugeMetricFamily(
        f"{_PREFIX}queue_oldest_seconds", "How long the job at a queue's head has waited.", labels=("queue",)
    )
    for queue in standing.queues:
        for status in ("queued", "scheduled", "started", "parked", "failed"):
            jobs.add_metric((queue.name, status), getattr(queue, status))
        oldest.add_metric((queue.name,), queue.oldest.total_seconds())
    callbacks = GaugeMetricFamily(
        f"{_PREFIX}callbacks", "Callbacks that wait to be sent, or for an operator.", labels=("status",)
    )
    for kind, number in standing.callbacks.items():
        callbacks.add_metric((kind,), number)
    yield from (jobs, oldest, callbacks)
    yield _gauge("callbacks_overdue_seconds", "How long the oldest callback that is due has been so.", standing.overdue.total_seconds())  # fmt: skip
    paused = GaugeMetricFamily(
        f"{_PREFIX}paused", "Queues and handlers that are paused.", labels=("kind", "name")
    )
    for pause in standing.pauses:
        paused.add_metric((pause.kind, pause.name), 1)
    yield paused
    yield _gauge("workers", "Worker processes that are alive.", standing.workers)
    yield CounterMetricFamily(
        f"{_PREFIX}quarantined", "Records that could not be used and were put aside.", standing.quarantined
    )
    if standing.archive is not None:
        yield from _archive(standing.archive)


def _archive(archive: ArchiveStanding) -> Iterator[Metric]:
    failing = archive.failing_since is not None
    yield _gauge("archive_failing", "1: what is past retention can't be archived, and waits.", int(failing))
    yield CounterMetricFamily(
        f"{_PREFIX}jobs_archived", "Jobs that were archived when they were past retention.", archive.archived
    )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, meaning, value)


def _info() -> Metric:
    info = GaugeMetricFamily(f"{_PREFIX}info", "The version of this web process.", labels=("version",))
    info.add_metric((version("hookline"),), 1)
    return info
