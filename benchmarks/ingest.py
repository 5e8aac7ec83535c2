"""Webhooks a second: one web process on a core of its own; the load and the server's Redis on the other.

Closed loop: wrk keeps 64 connections busy with signed requests from a file, every event a new one. Open loop: requests
come at random moments at a given rate, and are timed from when they should have been sent. Crowded: a closed loop beside
connections that say nothing, or stop in the middle of a request.
"""

import json
import resource
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rq import Queue

from benchmarks import signed
from benchmarks.contenders import HOME, environment
from benchmarks.workshop import (
    LOAD_CORE,
    SERVER_CORE,
    Process,
    Workshop,
    WorkshopError,
    free_port,
    pin,
    unpin,
    until_listening,
    workshop,
)

CONNECTIONS = 64
_WARM_UP_SECONDS = 1
_SETTLE_SECONDS = 1
_FASTEST_RATE = 45_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One way to take webhooks.

    Args:
        command: the words that start it on ``{port}``; the first is a program of its environment.
        stores: whether every accepted request must be a job in Redis.
    """

    name: str
    command: str
    stores: bool
    requirements: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def words(self, port: int) -> list[str]:
        """The command."""
        program, *words = self.command.format(port=port).split()
        folder = (
            environment("fastapi", self.requirements) if self.requirements else Path(sys.executable).parent
        )
        return [str(folder / program), *words]


_UVICORN = (
    "python -m uvicorn --host 127.0.0.1 --port {port} --no-access-log --log-level warning --no-server-header"
)

HOOKLINE = Endpoint(
    name="Hookline",
    command="python -m infra.cli web",
    stores=True,
    variables=signed.source_variables(),
)
ENDPOINTS = (
    HOOKLINE,
    Endpoint(
        name="Starlette, stores nothing",
        command=f"{_UVICORN} --factory benchmarks.peers.starlette:plain",
        stores=False,
    ),
    Endpoint(
        name="Starlette, stores nothing, lean",
        command=f"{_UVICORN} --factory benchmarks.peers.starlette:lean",
        stores=False,
    ),
    Endpoint(
        name="FastAPI and RQ",
        command=f"{_UVICORN} benchmarks.peers.fastapi:app",
        stores=True,
        requirements=("fastapi==0.165.0", "uvicorn[standard]==0.54.0", "rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run gave: requests a second, and the delays of the answers in milliseconds."""

    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} requests/s, p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms"


def closed_loop(endpoint: Endpoint, seconds: int, *, place: Workshop | None = None) -> Load:
    """As many as it takes, from 64 connections.

    Args:
        place: where there is something in Redis already; a fresh server when left out.

    Raises:
        WorkshopError: a request was refused, or is missing in Redis.
    """
    with _serving(endpoint, place) as (shop, port, _):
        loop = _ClosedLoop(shop, endpoint, port, seconds + _WARM_UP_SECONDS)
        loop.run(_WARM_UP_SECONDS)
        return loop.run(seconds)


class _ClosedLoop:
    """wrk, run after run; no server sees a request twice.

    Args:
        seconds: of all runs together.
    """

    def __init__(self, shop: Workshop, endpoint: Endpoint, port: int, seconds: int) -> None:
        self._shop = shop
        self._endpoint = endpoint
        script = str(Path(__file__).with_name("replay.lua"))
        self._wrk = [wrk(), "-t1", f"-c{CONNECTIONS}", "--timeout", "30s", "-s", script]
        requests, length = _requests(shop.requests_sent + seconds * _FASTEST_RATE)
        self._target = [f"http://127.0.0.1:{port}", "--", str(requests), str(length)]

    def run(self, seconds: int) -> Load:
        """As many as it takes in so many seconds."""
        command = [*self._wrk, f"-d{seconds}s", *self._target, str(self._shop.requests_sent)]
        told = _told(self._shop, self._endpoint, command)
        self._shop.requests_sent += told["requests"] + CONNECTIONS  # each connection has read one more
        return Load(rate=told["requests"] / told["seconds"], p50=told["p50"], p99=told["p99"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What connections that do nothing cost: bytes of memory, and the others their speed."""

    bytes: int
    alone: Load
    beside: Load

    def __str__(self) -> str:
        return f"{self.bytes / 1e6:,.1f} MB; {self.alone.rate:,.0f} requests/s alone, {self.beside.rate:,.0f} beside them"


def crowded(endpoint: Endpoint, connections: int, seconds: int) -> Crowd:
    """A closed loop before and while so many other connections are open: silent, or in the middle of headers or a body.

    Raises:
        WorkshopError: as `closed_loop`.
    """
    files = (2 * connections + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, files)  # the server has it from us
    request = signed.request_of(next(signed.events(1)))
    head = request.index(b"\r\n\r\n")
    beginnings = (b"", b"", request[: head // 2], request[: head + signed.BODY_BYTES // 2])
    with _serving(endpoint, None) as (shop, port, server), ExitStack() as stack:
        loop = _ClosedLoop(shop, endpoint, port, 2 * seconds + _WARM_UP_SECONDS)
        loop.run(_WARM_UP_SECONDS)
        alone, before = loop.run(seconds), server.resident()
        for number in range(connections):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            idle.sendall(beginnings[number % len(beginnings)])
        time.sleep(_SETTLE_SECONDS)
        grown = server.resident() - before
        return Crowd(bytes=grown, alone=alone, beside=loop.run(seconds))


def open_loop(endpoint: Endpoint, rate: int, seconds: int) -> Load:
    """Requests at random moments, so many a second.

    Raises:
        WorkshopError: a request was refused, not answered, or is missing in Redis.
    """
    with _serving(endpoint, None) as (shop, port, _):
        requests, length = _requests(round(rate * seconds * 1.5) + 1000)
        command = [
            sys.executable,
            "-m",
            "benchmarks.open_loop",
            *map(str, (port, rate, seconds, requests, length)),
        ]
        told = _told(shop, endpoint, command)
        return Load(rate=told["requests"] / seconds, p50=told["p50"], p99=told["p99"])


@contextmanager
def _serving(endpoint: Endpoint, place: Workshop | None) -> Iterator[tuple[Workshop, int, Process]]:
    """The endpoint on its core, everything else on the other."""
    pin(LOAD_CORE)
    with ExitStack() as stack:
        stack.callback(unpin)
        shop = stack.enter_context(workshop()) if place is None else place
        port = free_port()
        env = shop.environment(HOST="127.0.0.1", PORT=port, **endpoint.variables)
        server = stack.enter_context(shop.running(endpoint.words(port), env=env, core=SERVER_CORE))
        until_listening(port, server)
        yield shop, port, server


def _told(shop: Workshop, endpoint: Endpoint, command: list[str]) -> dict[str, Any]:
    """What the load says at its end, once it is certain that nothing was lost."""
    queue = Queue(connection=shop.redis)
    before = queue.count
    told: dict[str, Any] = json.loads(shop.run(command, env=shop.environment(), seconds=120).splitlines()[-1])
    if told["failed"]:
        raise WorkshopError(f"{endpoint.name}: {told['failed']} requests failed")
    if endpoint.stores and queue.count - before < told["requests"]:
        raise WorkshopError(
            f"{endpoint.name}: {told['requests']} were acknowledged, {queue.count - before} stored"
        )
    return told


def _requests(count: int) -> tuple[Path, int]:
    """A file of at least so many requests, kept for the next time, and the length of each."""
    HOME.mkdir(parents=True, exist_ok=True)
    path = HOME / "requests.bin"
    length = len(signed.request_of(next(signed.events(1))))
    if not path.exists() or path.stat().st_size < count * length:
        signed.write_requests(path, count)
    return path, length


def wrk() -> str:
    """Where it is.

    Raises:
        WorkshopError: nowhere.
    """
    found = shutil.which("wrk")
    if found is None:
        raise WorkshopError("wrk is missing (Debian, Ubuntu: apt install wrk)")
    return found
