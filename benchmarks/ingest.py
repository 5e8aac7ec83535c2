"""Webhooks a second: one web process on a core of its own; the load and the server's Redis on the other.

Closed loop: wrk keeps 64 connections busy with signed requests from a file, every event a new one. Open loop: requests
come at random moments at a given rate, and are timed from when they should have been sent.
"""

import json
import shutil
import sys
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
    with _serving(endpoint, place) as (shop, port):
        requests, length = _requests((seconds + _WARM_UP_SECONDS) * _FASTEST_RATE)
        wrk = [
            _wrk(),
            "-t1",
            f"-c{CONNECTIONS}",
            "--timeout",
            "30s",
            "-s",
            str(Path(__file__).with_name("replay.lua")),
        ]
        target = [f"http://127.0.0.1:{port}", "--", str(requests), str(length)]
        warm = _told(shop, endpoint, [*wrk, f"-d{_WARM_UP_SECONDS}s", *target, "0"])
        told = _told(shop, endpoint, [*wrk, f"-d{seconds}s", *target, str(warm["requests"] + CONNECTIONS)])
        return Load(rate=told["requests"] / told["seconds"], p50=told["p50"], p99=told["p99"])


def open_loop(endpoint: Endpoint, rate: int, seconds: int) -> Load:
    """Requests at random moments, so many a second.

    Raises:
        WorkshopError: a request was refused, not answered, or is missing in Redis.
    """
    with _serving(endpoint, None) as (shop, port):
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
def _serving(endpoint: Endpoint, place: Workshop | None) -> Iterator[tuple[Workshop, int]]:
    """The endpoint on its core, everything else on the other."""
    pin(LOAD_CORE)
    with ExitStack() as stack:
        stack.callback(unpin)
        shop = stack.enter_context(workshop()) if place is None else place
        port = free_port()
        env = shop.environment(HOST="127.0.0.1", PORT=port, **endpoint.variables)
        server = stack.enter_context(shop.running(endpoint.words(port), env=env, core=SERVER_CORE))
        until_listening(port, server)
        yield shop, port


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


def _wrk() -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise WorkshopError("wrk is missing (Debian, Ubuntu: apt install wrk)")
    return wrk
