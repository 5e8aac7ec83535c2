"""Reading: one job, asked for again and again, beside a bare endpoint that answers the same; and a page out of many events.

One job: wrk, 64 connections, closed loop; the web process has a core to itself. A page: one request after another over one
connection, on an idle machine.
"""

import http.client
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
)

QUERIES = ("/events?limit=50", "/jobs?limit=50&status=finished")

_KEY = "a-key-that-reads"
_WARM_UP_SECONDS = 1
_PAGES = 200
_HOOKLINE = "infra.cli web"
_BARE = "uvicorn --host 127.0.0.1 --port {port} --no-access-log --log-level warning --no-server-header --factory benchmarks.peers.starlette:answering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long answers take, in milliseconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms"


def hookline(place: Workshop, seconds: int) -> float:
    """Answers to ``GET /jobs/{id}`` a second.

    Raises:
        WorkshopError: an answer was another.
    """
    with _serving(place, _HOOKLINE) as port:
        return _rate(place, port, f"/jobs/{_a_job(place)}", seconds)


def bare(place: Workshop, seconds: int) -> float:
    """The same of an endpoint that answers with such a job, and looks nowhere."""
    with _serving(place, _HOOKLINE) as port:
        (place.folder / "job.json").write_bytes(_get(port, f"/jobs/{_a_job(place)}"))
    with _serving(place, _BARE, BENCH_ANSWER=str(place.folder / "job.json")) as port:
        return _rate(place, port, "/", seconds)


def page(place: Workshop, query: str) -> Delay:
    """How long a page of 50 takes.

    Raises:
        WorkshopError: it was not full.
    """
    with _serving(place, _HOOKLINE) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        took = []
        for _ in range(_PAGES):
            begun = time.perf_counter()
            connection.request("GET", query, headers={"Authorization": f"Bearer {_KEY}"})
            answer = connection.getresponse().read()
            took.append((time.perf_counter() - begun) * 1000)
        if len(json.loads(answer).get("items", [])) != 50:
            raise WorkshopError(f"{query}: {answer[:200]!r}")
        return Delay(p50=median(took), p99=quantiles(took, n=100)[98])


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


def _rate(place: Workshop, port: int, path: str, seconds: int) -> float:
    command = [
        wrk(),
        "-t1",
        f"-c{CONNECTIONS}",
        "-H",
        f"Authorization: Bearer {_KEY}",
        f"http://127.0.0.1:{port}{path}",
    ]
    place.run([*command, f"-d{_WARM_UP_SECONDS}s"], env=place.environment())
    told = place.run([*command, f"-d{seconds}s"], env=place.environment())
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        raise WorkshopError(f"{path}: {told[-300:]}")
    return float(found[1])


def _a_job(place: Workshop) -> str:
    (newest,) = place.redis.zrange("hookline:jobs", 0, 0, desc=True)
    return str(newest.decode())


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Authorization": f"Bearer {_KEY}"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise WorkshopError(f"{path}: {answer.status} {content[:200]!r}")
    return content
