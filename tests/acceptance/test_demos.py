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


@pytest.mark.slow
def test_a_playlist_takes_less_time_with_more_workers(
    valkey: object, spawn: Callable[..., Spawned], tmp_path: Path
) -> None:
    words = ("--songs", "30", "--workers", "1,4", "--song-time", "200ms")
    measured = spawn("hookline", "demo", "playlists", *words, cwd=tmp_path)
    assert measured.process.wait(120) == 0, measured.output()
    rows = re.findall(r"^(\d+) +\d.* ([\d.]+)\s*$", measured.output(), re.MULTILINE)
    assert [workers for workers, _ in rows] == ["1", "4"]
    assert float(rows[1][1]) > 2.5, measured.output()
