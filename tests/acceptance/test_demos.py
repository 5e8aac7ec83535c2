"""`hookline demo`: each system, whole, in an empty directory and with nothing set."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cli.demo import SYSTEMS
from tests.conftest import Spawned


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_shown_whole(
    valkey: object, spawn: Callable[..., Spawned], tmp_path: Path, system: str
) -> None:
    directory = tmp_path / "fresh"
    directory.mkdir()
    shown = spawn("hookline", "demo", system, cwd=directory, env={"REDIS_URL": "redis://localhost:1/"})
    assert shown.process.wait(180) == 0, shown.output()
    output = shown.output()
    assert re.search(r"submitted job_\w+", output)
    assert re.search(r"\d %  ", output)
    assert "job.finished, its signature holds" in output
    assert "Traceback" not in output
    for path in re.findall(r"✓ artifact (\S+)", output):
        assert (directory / path).stat().st_size > 0
    assert output.rstrip().endswith(f"{system}: everything came out as it should")
    assert [one.name for one in directory.iterdir() if one.name != ".hookline"] == []
