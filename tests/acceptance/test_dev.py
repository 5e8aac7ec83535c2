"""`hookline dev` on a fresh machine: nothing set, an empty HOME, an empty directory."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.builders import descendants, free_port, is_alive
from tests.conftest import Spawned


@pytest.fixture
def directory(valkey: object, tmp_path: Path) -> Path:
    """Where the commands of a test are called."""
    made = tmp_path / "fresh"
    made.mkdir()
    return made


@pytest.fixture
def dev(spawn: Callable[..., Spawned], directory: Path) -> Callable[..., Spawned]:
    """Start ``hookline dev``."""

    def start(*words: str) -> Spawned:
        return spawn("hookline", "dev", *words, cwd=directory, env={"PORT": str(free_port())})

    return start


@pytest.fixture
def terminal(spawn: Callable[..., Spawned], directory: Path) -> Callable[..., str]:
    """Call ``hookline`` in a second terminal; what it printed."""

    def call(*words: str) -> str:
        process = spawn("hookline", *words, cwd=directory)
        assert process.process.wait(20) == 0, process.output()
        return process.output()

    return call


def test_the_demo_shows_a_verified_callback(dev: Callable[..., Spawned]) -> None:
    process = dev("--demo")

    output = process.wait_for_output("its signature holds", timeout=60)
    output = process.wait_for_output('"status": "finished"')

    assert "X-Hub-Signature".lower() in output
    assert "a stand-in that answers as Fireflies documents" in output
    assert re.search(r"console    http://\S+/console/     password \S{12,}", output)
    assert '"event_type": "meeting.summarized"' in output
    assert "Write the migration guide" in output
    assert "Traceback" not in output


def test_ctrl_c_stops_everything_in_order(
    dev: Callable[..., Spawned], wait_until: Callable[..., Any]
) -> None:
    process = dev("--demo")
    process.wait_for_output("its signature holds", timeout=60)
    family = descendants(process.pid)
    assert len(family) >= 4, "web, worker, the guardian and the server"

    assert process.stop(signal.SIGINT) == 0

    assert process.output().rstrip().endswith("stopped; the data stays in .hookline/")
    assert "0 jobs left to others" in process.output()
    assert [pid for pid in family if is_alive(pid)] == []


def test_sigkill_leaves_no_orphan_and_a_second_start_finds_the_data(
    dev: Callable[..., Spawned], terminal: Callable[..., str], wait_until: Callable[..., Any]
) -> None:
    first = dev("--demo")
    found = re.search(r"job_\w{26}", first.wait_for_output("its signature holds", timeout=60))
    assert found is not None
    family = descendants(first.pid)
    assert len(family) >= 4

    first.stop(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, family)), timeout=30)

    second = dev()
    second.wait_for_output("listening on port", timeout=30)
    job = json.loads(terminal("jobs", "show", found[0], "--json"))
    assert job["status"] == "finished"
    assert job["result"]["action_items"]
    assert second.stop(signal.SIGTERM) == 0
