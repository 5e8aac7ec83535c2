"""The commands of the deploy files, started as their platforms start them: they come up, and SIGTERM ends them in order."""

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import find_server
from infra.redis_client import connect_sync
from tests.acceptance.builders import System
from tests.conftest import Spawned
from tests.deployment import Started, compose, kubernetes, railway, started

pytestmark = pytest.mark.slow  # many processes, one after the other

# Each command once with a shell before it, and once without.
COMMANDS = list({(one.plain, one.in_a_shell): one for one in started()}.values())


@pytest.mark.parametrize("one", COMMANDS, ids=str)
def test_a_command_comes_up_and_ends_in_order_within_its_time(
    build: Callable[..., System], wait_until: Callable[..., Any], one: Started
) -> None:
    system = build()
    words = ("bash", "-c", one.words) if isinstance(one.words, str) else one.words

    process = system.run(*words, said="listening on port" if one.plain[1] == "web" else " serves ")
    if one.plain[1] == "web":
        wait_until(lambda: system.http.get("/healthz").status_code == 200)

    assert process.stop(signal.SIGTERM, timeout=one.patience or 30) == 0


def server_commands(directory: Path) -> dict[str, str]:
    """The lines for a shell that start a Valkey, by the file that has them."""
    (in_kubernetes,) = [one for one in kubernetes() if one["kind"] == "StatefulSet"]
    return {
        "railway": railway(directory)["valkey"]["start"],
        "compose": shlex.join(compose()["services"]["valkey"]["command"]),
        "kubernetes": shlex.join(in_kubernetes["spec"]["template"]["spec"]["containers"][0]["args"]),
    }


@pytest.mark.parametrize("name", ["railway", "compose", "kubernetes"])
def test_a_server_keeps_what_it_was_told_and_evicts_nothing(
    name: str, tmp_path: Path, spawn: Callable[..., Spawned]
) -> None:
    socket = tmp_path / "socket"
    line = server_commands(tmp_path)[name]
    own = f"{find_server()} --port 0 --unixsocket {socket}"
    process = spawn("bash", "-c", line.replace("valkey-server", own).replace("/data", str(tmp_path)), env={"VALKEY_PASSWORD": "hush"})  # fmt: skip
    process.wait_for_output("eady to accept connections")
    password = ":hush@" if name == "railway" else ""

    with connect_sync(f"unix://{password}{socket}") as client:
        told = client.config_get("appendonly", "appendfsync", "maxmemory-policy")

    assert told == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    assert process.stop(signal.SIGTERM) == 0


def test_a_burst_ends_by_itself_when_nothing_has_come_for_so_long(build: Callable[..., System]) -> None:
    system = build()
    system.web()
    first = system.send({"type": "echo"}).json()["job_id"]

    worker = system.worker("--burst", "--max-idle", "2s")
    system.ended(first)
    system.ended(system.send({"type": "echo"}).json()["job_id"])

    assert worker.process.wait(20) == 0


def test_many_bursting_processes_end_together(build: Callable[..., System]) -> None:
    system = build()
    assert system.worker("--processes", "2", "--burst").process.wait(30) == 0


def test_serve_ends_by_itself_once_it_has_nothing_to_do_and_finds_the_rest_when_it_is_started_again(
    build: Callable[..., System], server: Any
) -> None:
    """On a platform that starts it for the next request."""
    system = build()
    asleep = system.run("hookline", "serve", "--max-idle", "1s", said=" serves ")
    done = system.send({"type": "echo"}).json()["job_id"]
    system.ended(done)
    assert asleep.process.wait(20) == 0

    system.run("hookline", "serve", "--max-idle", "20s", said=" serves ")
    assert system.job(done)["status"] == "finished"


def test_serve_in_memory_does_not_go_to_sleep(spawn: Callable[..., Spawned]) -> None:
    """What waits for its time would be lost."""
    process = spawn("hookline", "serve", "--max-idle", "1s")
    assert process.process.wait(30) == 2
    assert "--max-idle needs REDIS_URL" in process.output()
