"""Reading: single jobs, asked for again and again, beside a bare endpoint that answers the same; and pages of 50 out of many events.

Single jobs: wrk, 64 connections, closed loop; the web process has a core to itself. A page: one request after another over one
connection, on an idle machine.
"""

import http.client
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.ingest import CONNECTIONS, wrk
from benchmarks.workshop import (
    LOAD_CORE,
    SERVER_CORE,
    Workshop,
    WorkshopError,
    free_port,
    pin,
    unpin,
    until_listening,
    workshop,
)
from infra.clock import from_unix_milliseconds, rfc3339

QUERIES = (
    "/events",
    "/events?source=shop-5&type=order.3",
    "/events?status=failed",
    "/jobs",
    "/jobs?status=finished",
    "/jobs?status=failed&source=shop-5",
    "/jobs?status=queued",
    "/callbacks?status=pending",
)

_KEY = "a-key-that-reads"
_JOBS = 100
_SCRIPT = Path(__file__).parent / "asking.lua"
_WARM_UP_SECONDS = 1
_PAGES = 100
_HOOKLINE = "infra.cli web"
_BARE = "uvicorn --host 127.0.0.1 --port {port} --no-access-log --log-level warning --no-server-header --factory benchmarks.peers.starlette:answering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long answers take, in milliseconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms"


class Delays(dict[str, Delay]):
    """By what was asked for."""

    def __str__(self) -> str:
        slowest = max(self, key=lambda query: self[query].p50)
        return f"the slowest is {slowest}: {self[slowest]}"


def hookline(place: Workshop, seconds: int) -> float:
    """Answers to ``GET /jobs/{id}`` a second.

    Raises:
        WorkshopError: an answer was another.
    """
    with _serving(place, _HOOKLINE) as port:
        return _rate(place, port, _jobs(place), seconds)


def bare(place: Workshop, seconds: int) -> float:
    """The same of an endpoint that answers with such a job, and looks nowhere."""
    with _serving(place, _HOOKLINE) as port:
        (place.folder / "job.json").write_bytes(_get(port, _jobs(place)[0]))
    with _serving(place, _BARE, BENCH_ANSWER=str(place.folder / "job.json")) as port:
        return _rate(place, port, ["/"], seconds)


@contextmanager
def stocked(events: int) -> Iterator[Workshop]:
    """A server with so many events of many sources and types (`benchmarks.stock`)."""
    with workshop() as place:
        place.redis.config_set("auto-aof-rewrite-percentage", 0)  # all of it again, each time it has doubled
        words = [sys.executable, "-m", "benchmarks.stock", str(events)]
        place.run(words, env=place.environment(HOOKLINE_QUEUES="high,default,low"))
        yield place


def pages(place: Workshop) -> Delays:
    """How long a page of each of `QUERIES` takes: the newest, and one that is far back.

    Raises:
        WorkshopError: one was not full.
    """
    with _serving(place, _HOOKLINE) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        queries = (*QUERIES, f"/events?until={_middle(place)}")
        return Delays({query: _page(connection, query) for query in queries})


def _page(connection: http.client.HTTPConnection, query: str) -> Delay:
    took = []
    for _ in range(_PAGES):
        begun = time.perf_counter()
        connection.request("GET", query, headers={"Authorization": f"Bearer {_KEY}"})
        answer = connection.getresponse().read()
        took.append((time.perf_counter() - begun) * 1000)
    if len(json.loads(answer).get("items", [])) != 50:
        raise WorkshopError(f"{query}: {answer[:200]!r}")
    return Delay(p50=median(took), p99=quantiles(took, n=100)[98])


def _middle(place: Workshop) -> str:
    """The moment at which half of all was there."""
    count = int(place.redis.zcard("hookline:jobs"))
    ((_, milliseconds),) = place.redis.zrange("hookline:jobs", count // 2, count // 2, withscores=True)
    return rfc3339(from_unix_milliseconds(int(milliseconds)))


@contextmanager
def _serving(place: Workshop, command: str, **variables: str) -> Iterator[int]:
    """A web process on its core; its port."""
    pin(LOAD_CORE)
    with ExitStack() as stack:
        stack.callback(unpin)
        port = free_port()
        env = place.environment(
            HOST="127.0.0.1", PORT=port, HOOKLINE_API_KEYS=f"bench:{_KEY}:read", **variables
        )
        words = [sys.executable, "-m", *command.format(port=port).split()]
        until_listening(port, stack.enter_context(place.running(words, env=env, core=SERVER_CORE)))
        yield port


def _rate(place: Workshop, port: int, paths: Sequence[str], seconds: int) -> float:
    asked = place.folder / "paths"
    asked.write_text("\n".join(paths))
    command = [
        wrk(),
        "-t1",
        f"-c{CONNECTIONS}",
        "-H",
        f"Authorization: Bearer {_KEY}",
        f"--script={_SCRIPT}",
        f"http://127.0.0.1:{port}",
    ]
    place.run([*command, f"-d{_WARM_UP_SECONDS}s", "--", str(asked)], env=place.environment())
    told = place.run([*command, f"-d{seconds}s", "--", str(asked)], env=place.environment())
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        raise WorkshopError(f"{paths[0]}: {told[-300:]}")
    return float(found[1])


def _jobs(place: Workshop) -> list[str]:
    """Where the newest can be looked at."""
    return [f"/jobs/{job.decode()}" for job in place.redis.zrange("hookline:jobs", 0, _JOBS - 1, desc=True)]


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Authorization": f"Bearer {_KEY}"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise WorkshopError(f"{path}: {answer.status} {content[:200]!r}")
    return content
