"""What all tests stand on: servers and processes of their own, and nothing beyond loopback.

Every fixture here gives a builder or a running thing; none of them depends on a service found running. A missing
Redis or Valkey skips a test on a laptop, and fails it where ``CI`` is set.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import fakeredis
import hypothesis
import pytest
import redis
import redis.asyncio

from infra.embedded import EmbeddedServer, EmbeddedServerError, find_server
from infra.ledger import keys
from infra.redis_client import Memory, connect, connect_sync, memory

BESIDE_RECORDS = (
    keys.REFUSED,
    keys.METRICS,
    keys.MEASURED,
    keys.PULSE,
    keys.SECRETS,
)  # what requests leave beside events and jobs
IN_CI = bool(os.environ.get("CI"))

# In CI the same examples every time, so that a red run means a change; elsewhere new ones, so that bugs are found.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("laptop", deadline=None)
hypothesis.settings.load_profile("ci" if IN_CI else "laptop")


def _stay_on_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a connection from this process to anywhere but this machine; children are beyond its sight."""
    if event != "socket.connect" or not isinstance(address := arguments[1], tuple):
        return
    with suppress(ValueError):
        if ip_address(str(address[0]).partition("%")[0]).is_loopback:
            return
    if address[0] != "localhost":
        raise PermissionError(f"a test reached for {address[0]}; tests stay on loopback")


sys.addaudithook(_stay_on_loopback)


@dataclass(frozen=True)
class Store:
    """A Redis to test the ledger on: `connect` and `connect_sync` make clients that share its data.

    A client belongs to one loop: make it inside ``asyncio.run``, and close it (``async with store.connect() as client``).

    Args:
        name: ``fake``, ``valkey`` or ``redis``.
        url: for another process; None for the fake.
    """

    name: str
    url: str | None
    connect: Callable[[], redis.asyncio.Redis]
    connect_sync: Callable[[], redis.Redis]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not where a developer may have `hookline dev` running: commands would find it."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A Valkey of the session's own, the one that ``hookline dev`` embeds."""
    try:
        binary = find_server()
    except EmbeddedServerError as error:
        missing(str(error))
    with EmbeddedServer.start(tmp_path_factory.mktemp("valkey"), binary=binary) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A Redis of the session's own, from the ``redis-server`` on the PATH."""
    binary = shutil.which("redis-server")
    if binary is None:
        missing("no redis-server on the PATH: apt-get install redis-server")
    with EmbeddedServer.start(tmp_path_factory.mktemp("redis"), binary=Path(binary)) as server:
        yield server


@pytest.fixture
def fake() -> Memory:
    """An empty Redis inside this process: its two clients, for a loop and for a thread."""
    return memory()


@pytest.fixture(
    params=[
        "fake",
        pytest.param("valkey", marks=pytest.mark.needs_server),
        pytest.param("redis", marks=pytest.mark.needs_server),
    ]
)
def ledger_store(request: pytest.FixtureRequest) -> Store:
    """The same test over fakeredis, Valkey and Redis, each time without any data."""
    if request.param == "fake":
        return _fake_store()
    return _emptied(
        request.param, request.getfixturevalue({"valkey": "valkey", "redis": "redis_server"}[request.param])
    )


@pytest.fixture
def fake_store() -> Store:
    """A `Store` over fakeredis alone, for what needs no server."""
    return _fake_store()


@pytest.fixture
def valkey_store(valkey: EmbeddedServer) -> Store:
    """A `Store` over Valkey alone, for what fakeredis lacks."""
    return _emptied("valkey", valkey)


def _fake_store() -> Store:
    server = fakeredis.FakeServer()
    return Store("fake", None, lambda: memory(server).asynchronous, lambda: memory(server).synchronous)


def _emptied(name: str, server: EmbeddedServer) -> Store:
    """FLUSHALL is safe here, and only here: this session started the server."""
    with connect_sync(server.url) as client:
        client.flushall()
    return Store(name, server.url, lambda: connect(server.url), lambda: connect_sync(server.url))


def missing(reason: str) -> NoReturn:
    """What a test needs isn't there: it is skipped on a laptop, and fails in CI."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """``wait_until(condition, timeout=10)``: the first true answer of `condition`; fails when there is none in time."""
    return _wait_until


def _wait_until(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    limit = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"waited {timeout:g} s in vain")
        time.sleep(0.01)
    return answer


@dataclass(frozen=True)
class Spawned:
    """A real process; what it wrote to stdout and stderr is in `log`."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, timeout: float = 20.0) -> str:
        """Everything written so far, once `text` is in it."""
        _wait_until(lambda: text in self.output() or self.process.poll() is not None, timeout)
        assert text in self.output(), (
            f"ended with {self.process.poll()} and never said {text!r}:\n{self.output()}"
        )
        return self.output()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., Spawned]]:
    """``spawn("hookline", "web", env={…}, cwd=…)``: a process in a group of its own, gone when the test is."""
    with spawning(tmp_path) as start:
        yield start


@contextmanager
def spawning(directory: Path) -> Iterator[Callable[..., Spawned]]:
    """What starts processes and keeps their logs in a directory; all of them are gone at the end.

    Their environment is PATH, an empty HOME and what the test gives, so that a developer's settings don't leak in.
    Words that name a program of this virtual environment (``hookline``, ``python``) mean that one.
    """
    home = directory / "home"
    home.mkdir()
    started: list[Spawned] = []

    def start(*command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Spawned:
        scripts = Path(sys.executable).parent
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        log = directory / f"process-{len(started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [shutil.which(command[0], path=path) or command[0], *command[1:]],
                env={"PATH": path, "HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})},
                cwd=cwd or directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(Spawned(process, log))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.process.wait()
