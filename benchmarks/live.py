"""How soon an update reaches those who watch.

From just before a worker's report of progress goes to Redis, to the arrival of its event at a watcher: through the script, the
live stream, the one reader of the web process, and its Server-Sent Events. One update at a time; every watcher's arrival counts.
The web process has one core to itself, the watchers share the other with Redis, and read them one after the other as well.
"""

import asyncio
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import uvloop

from benchmarks.contenders import HOOKLINE
from benchmarks.latency import Delay
from benchmarks.workshop import (
    LOAD_CORE,
    SERVER_CORE,
    WorkshopError,
    free_port,
    pin,
    unpin,
    until_listening,
    workshop,
)
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.jobs import Report
from infra.ledger.records import Arrival, Claim, Progress
from infra.redis_client import connect
from infra.settings import Settings

_KEY = "a-benchmark's-key"
_PACE_SECONDS = 0.05
_WARM_UP = 5
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reach:
    """How soon updates reached watchers, each and the last of them, and the memory that one costs the web process."""

    each: Delay
    last: Delay
    bytes: int

    def __str__(self) -> str:
        return f"{self.each}; the last: {self.last}; {self.bytes / 1024:.0f} KiB a watcher"


class _Crowd:
    """Watchers of one job, and when an update has come to each."""

    def __init__(self) -> None:
        self.watching = 0
        self.arrivals: list[float] = []
        self.changed = asyncio.Event()

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.arrivals) < count:
                self.changed.clear()
                await self.changed.wait()


class _Watcher(asyncio.Protocol):
    def __init__(self, crowd: _Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if b"event: progress" in data:
            self._crowd.arrivals.append(time.monotonic())
            self._crowd.changed.set()
        elif b'"snapshot"' in data:
            self._crowd.watching += 1
            self._crowd.changed.set()


def reached(watchers: int, updates: int) -> Reach:
    """So many watchers of one job, and so many updates.

    Raises:
        WorkshopError: an update did not reach everybody.
    """
    files = (2 * watchers + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, files)  # the server has it from us
    with workshop() as place:
        port = free_port()
        env = place.environment(HOST="127.0.0.1", PORT=port, HOOKLINE_API_KEYS=f"bench:{_KEY}:read")
        web = [str(HOOKLINE.bin() / "python"), "-m", "infra.cli", "web"]
        with place.running(web, env=env, core=SERVER_CORE) as server:
            until_listening(port, server)
            pin(LOAD_CORE)
            try:
                before = server.resident()
                each, last = uvloop.run(_updates(place.url, env, watchers, updates))
            except TimeoutError:
                raise WorkshopError(f"an update did not reach everybody: {server.last_words()}") from None
            finally:
                unpin()
            grown = server.resident() - before
    return Reach(Delay.of(each), Delay.of(last), max(0, grown) // watchers)


async def _updates(
    url: str, env: Mapping[str, str], watchers: int, updates: int
) -> tuple[list[float], list[float]]:
    each: list[float] = []
    last: list[float] = []
    crowd = _Crowd()
    async with connect(url) as client:
        ledger = Ledger.of(client, Settings.load(env))
        claim = await _started(ledger)
        request = (
            f"GET /jobs/{claim.job_id}/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {_KEY}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        for _ in range(watchers):
            await loop.create_connection(
                lambda: _Watcher(crowd, request.encode()), env["HOST"], int(env["PORT"])
            )
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while crowd.watching < watchers:
                crowd.changed.clear()
                await crowd.changed.wait()
        for number in range(updates + _WARM_UP):
            crowd.arrivals.clear()
            begun = time.monotonic()
            await ledger.jobs.report(
                [Report(claim, Progress(current=number, total=updates, message="at work"))]
            )
            await crowd.reach(watchers)
            if number >= _WARM_UP:
                each += [at - begun for at in crowd.arrivals]
                last.append(crowd.arrivals[-1] - begun)
            await asyncio.sleep(_PACE_SECONDS)
    return each, last


async def _started(ledger: Ledger) -> Claim:
    """A job, and the worker's claim on it; the lease is longer than the benchmark."""
    suffix = new_suffix()
    arrival = Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source="api",
        type="watched",
        received_at=datetime.now(UTC),
        body=b"{}",
    )
    await ledger.events.accept([arrival])
    (claim,) = await ledger.jobs.claim(
        "bench", sequence=1, slots=1, queues=["default"], lease=timedelta(hours=1)
    )
    return claim
