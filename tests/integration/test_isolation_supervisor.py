"""The supervisor over real processes: what it restarts, when it gives up, and that nothing is left behind."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer
from tests.integration.processes import running

ROOT = str(Path(__file__).parents[2])

# Supervises small programs in place of workers; each notes its process id in the file `pids`, then does as it is told.
SUPERVISE = """
import asyncio, logging, sys
from datetime import timedelta
from worker.supervisor import Supervisor

logging.basicConfig(level="INFO", format="%(message)s")
child = "import os; open('pids', 'a').write(f'{os.getpid()}\\\\n'); " + sys.argv[1]

async def main() -> int:
    supervisor = Supervisor([sys.executable, "-c", child], count=2, patience=timedelta(seconds=float(sys.argv[2])), burst=len(sys.argv) > 3)
    return await supervisor.run()

sys.exit(asyncio.run(main()))
"""
WAIT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up', flush=True); sys.stdin.read()"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def pids(directory: Path) -> list[int]:
    file = directory / "pids"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def kill(found: Iterable[int]) -> None:
    """What a failed test may leave behind: the sessions of the supervised are their own."""
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def supervise(spawn: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``supervise(program, patience=5, burst=False)``"""

    def start(program: str, *, patience: float = 5, burst: bool = False) -> Any:
        words = [program, str(patience), *(["burst"] if burst else [])]
        return spawn("python", "-c", SUPERVISE, *words, env={"PYTHONPATH": ROOT})

    yield start
    kill(filter(running, pids(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_what_it_started_in_order(
    supervise: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any], number: signal.Signals
) -> None:
    supervisor = supervise(WAIT)
    wait_until(lambda: supervisor.output().count("up") == 2)

    assert supervisor.stop(number) == 0
    assert len(pids(tmp_path)) == 2
    assert not any(map(running, pids(tmp_path)))


def test_what_dies_is_started_again_at_once(
    supervise: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    supervisor = supervise(WAIT)
    wait_until(lambda: supervisor.output().count("up") == 2)
    first, second = pids(tmp_path)

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: supervisor.output().count("up") == 3)
    assert "ended with -9; it starts again in 0 s" in supervisor.output()
    assert [running(pid) for pid in pids(tmp_path)] == [False, True, True]
    assert second in pids(tmp_path)
    assert supervisor.stop() == 0


def test_what_can_not_be_kept_up_ends_all_with_a_failure(
    supervise: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    only_one_is_well = f"import os, sys; open('pids').read().startswith(str(os.getpid())) or sys.exit('no such handlers'); {WAIT}"
    supervisor = supervise(only_one_is_well)

    assert supervisor.process.wait(30) == 1
    said = supervisor.output()
    assert said.count("no such handlers") == 5
    assert "ended 5 times in a row within 5 seconds of its start, now with 1: giving up" in said
    assert not any(map(running, pids(tmp_path)))


def test_a_burst_ends_when_all_are_done(supervise: Callable[..., Any], tmp_path: Path) -> None:
    supervisor = supervise("pass", burst=True)

    assert supervisor.process.wait(30) == 0
    assert len(pids(tmp_path)) == 2


def test_one_that_does_not_stop_in_time_is_killed(
    supervise: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    supervisor = supervise(DEAF, patience=0.2)
    wait_until(lambda: supervisor.output().count("up") == 2)

    assert supervisor.stop() == 1
    assert "did not stop in time and is killed" in supervisor.output()
    assert not any(map(running, pids(tmp_path)))


def test_nothing_outlives_a_supervisor_that_is_killed(
    supervise: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    supervisor = supervise(WAIT)
    wait_until(lambda: supervisor.output().count("up") == 2)

    supervisor.stop(signal.SIGKILL)

    wait_until(lambda: not any(map(running, pids(tmp_path))))


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def workers(
    spawn: Callable[..., Any], valkey: EmbeddedServer, tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """``workers(HOOKLINE_HANDLERS=…)``: ``hookline worker --processes 2``."""
    (tmp_path / "no_handlers.py").touch()
    settings = {
        "REDIS_URL": valkey.url,
        "HOOKLINE_SECRET_KEY": "key",
        "HOOKLINE_HANDLERS": "no_handlers",
        "PYTHONPATH": ROOT,
    }

    started: list[Any] = []

    def start(**more: str) -> Any:
        words = ["worker", "--processes", "2", "--queues", "a,b"]
        started.append(spawn("python", "-m", "infra.cli", *words, env=settings | more))
        return started[-1]

    yield start
    kill(pid for supervisor in started for pid in serving(supervisor) if running(pid))


def serving(process: Any) -> list[int]:
    """The process ids of the workers that have said that they serve."""
    return [int(pid) for pid in re.findall(r"worker [\w-]+\.(\d+)\.\w+ serves a, b", process.output())]


def test_two_workers_are_kept_up_and_stopped(
    workers: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    supervisor = workers()
    wait_until(lambda: len(serving(supervisor)) == 2, 30)
    os.kill(serving(supervisor)[0], signal.SIGKILL)
    wait_until(lambda: len(serving(supervisor)) == 3, 30)

    assert supervisor.stop() == 0
    assert not any(map(running, serving(supervisor)))
    assert supervisor.output().count("stopped, 0 jobs left to others") == 2


def test_workers_end_in_order_when_their_supervisor_is_killed(
    workers: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    supervisor = workers()
    wait_until(lambda: len(serving(supervisor)) == 2, 30)

    supervisor.stop(signal.SIGKILL)

    wait_until(lambda: not any(map(running, serving(supervisor))), 30)
    assert supervisor.output().count("stopped, 0 jobs left to others") == 2


def test_a_wrong_setting_is_said_once_and_at_once(workers: Callable[..., Any]) -> None:
    began = time.monotonic()
    supervisor = workers(HOOKLINE_LEASE="soon")

    assert supervisor.process.wait(30) == 1
    assert supervisor.output().count("HOOKLINE_LEASE") == 1
    assert time.monotonic() - began < 10
