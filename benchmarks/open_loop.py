"""Sends requests at random moments at a given rate, whether or not earlier ones were answered, and times each from the
moment at which it should have been sent: ``python -m benchmarks.open_loop PORT RATE SECONDS FILE LENGTH``. One line of JSON.

`select` takes its timeout in microseconds where epoll takes milliseconds, so the loop stands on it.
"""

import asyncio
import json
import random
import selectors
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

_CONNECTIONS = 64
_PATIENCE_SECONDS = 10.0


class _Connection(asyncio.Protocol):
    """One request at a time; goes back to the idle ones when it is answered."""

    def __init__(self, load: "OpenLoop") -> None:
        self._load = load
        self._received = b""
        self._due = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(body) >= length:
            self._received = b""
            self._load.answered(self, self._due, ok=head[9:10] == b"2")


class OpenLoop:
    """The load, and what became of it."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._loop = asyncio.get_running_loop()
        self.delays: list[float] = []
        self.failed = 0

    def answered(self, connection: _Connection, due: float, *, ok: bool) -> None:
        """One answer came."""
        self.delays.append(self._loop.time() - due)
        self.failed += not ok
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    async def run(self, port: int, rate: float, seconds: float) -> None:
        """Send for so long, and wait for the last answers."""
        for _ in range(_CONNECTIONS):
            _, connection = await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._idle.append(connection)
        due = begun = self._loop.time()
        sent = 0
        while due < begun + seconds:
            due += random.expovariate(rate)
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            elif sent % 8 == 0:
                await asyncio.sleep(0)
            self._send(next(self._requests), due)
            sent += 1
        limit = self._loop.time() + _PATIENCE_SECONDS
        while len(self.delays) < sent and self._loop.time() < limit:
            await asyncio.sleep(0.01)
        self.failed += sent - len(self.delays)

    def _send(self, request: bytes, due: float) -> None:
        if self._idle:
            self._idle.pop().send(request, due)
        else:
            self._waiting.append((request, due))


def _requests(path: Path, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while request := file.read(length):
            yield request


async def _main(port: int, rate: float, seconds: float, path: Path, length: int) -> None:
    load = OpenLoop(_requests(path, length))
    await load.run(port, rate, seconds)
    cut = quantiles(load.delays, n=100, method="inclusive")
    told = {"requests": len(load.delays), "failed": load.failed, "p50": cut[49] * 1000, "p99": cut[98] * 1000}
    print(json.dumps(told))


if __name__ == "__main__":
    port, rate, seconds, path, length = sys.argv[1:]
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_main(int(port), float(rate), float(seconds), Path(path), int(length)))
