"""Fixtures of the acceptance tests: what a module shares, and what a test has for itself."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import Server, System, serving, system
from tests.acceptance.inbox import Inbox
from tests.acceptance.skew import WallClock
from tests.conftest import missing

collect_ignore = ["project"]  # its handlers are for worker processes


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Receivers of callbacks, one for every address that a test makes up; no two modules share any."""
    with Inbox() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker process that the tests of a module share; they make their own events, and break nothing."""
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url) as running:
        running.worker()
        running.web()
        yield running


@pytest.fixture
def server(valkey: EmbeddedServer) -> Iterator[Server]:
    """A Redis of the test's own, to be broken."""
    with serving() as running:
        yield running


@pytest.fixture
def build(tmp_path: Path, server: Server) -> Iterator[Callable[..., System]]:
    """``build(HOOKLINE_LEASE="500ms")``: a system of the test's own over `server`, without processes yet."""
    with ExitStack() as stack:

        def made(redis_url: str | None = None, **settings: str) -> System:
            return stack.enter_context(system(tmp_path, redis_url or server.url, **settings))

        yield made


@pytest.fixture(scope="session")
def npm_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which ``node`` finds the libraries of ``tests/acceptance/node``."""
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        missing("no node and npm on the PATH: apt-get install nodejs npm")
    directory = tmp_path_factory.mktemp("node")
    shutil.copytree(Path(__file__).with_name("node"), directory, dirs_exist_ok=True)
    installed = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if installed.returncode:
        missing(f"npm can't install the libraries: {installed.stderr[-500:]}")
    return directory


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """A clock for the processes that are started with its ``environ``."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("no C compiler: apt-get install gcc libc6-dev")
    return WallClock(tmp_path, compiler=compiler)
