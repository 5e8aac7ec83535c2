"""`hookline demo`: each system, whole, in an empty directory and with nothing set."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from infra.cli.demo import SYSTEMS
from tests.acceptance import media
from tests.conftest import Spawned
from tests.pdfs import assert_report_of_newtown

Made = Mapping[str, Path]


def open_nothing(made: Made, _: Path) -> None:
    assert not made, "a playlist's result is all that it has"


def open_videos(made: Made, _: Path) -> None:
    assert sorted(made) == ["thumbnail.jpg", "video.mp4"]
    found = media.streams(made["video.mp4"])
    assert (found["video"]["codec_name"], found["video"]["width"], found["video"]["height"]) == (
        "h264",
        640,
        360,
    )
    assert int(found["video"]["nb_read_frames"]) == 3 * 2 * 30
    for stream in found.values():
        assert float(stream["duration"]) == pytest.approx(6, abs=1 / 30)
    assert media.streams(made["thumbnail.jpg"])["video"]["codec_name"] == "mjpeg"


def open_chunks(made: Made, _: Path) -> None:
    (path,) = made.values()
    chunks = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert all(chunk["text"] and chunk["vector"] for chunk in chunks)


def open_reports(made: Made, _: Path) -> None:
    assert sorted(made) == ["agency-report-newtown-nsw.pdf", "agents-report-newtown-nsw.pdf"]
    for path in made.values():
        assert_report_of_newtown(path)


def open_montage(made: Made, tmp_path: Path) -> None:
    assert sorted(made) == ["edited.mp4", "montage.mp4", "preview.mp4"]
    beats = [0.3 + 0.5 * beat for beat in range(24)]
    for name in ("preview.mp4", "montage.mp4"):
        found = media.streams(made[name])
        assert int(found["video"]["nb_read_frames"]) == 12 * 30
        assert float(found["audio"]["duration"]) == pytest.approx(12, abs=1 / 30)
        cuts = media.seen_cuts(made[name])
        assert len(cuts) in range(10, 13), "on every second beat"
        assert all(min(abs(cut - beat) for beat in beats) <= 0.05 for cut in cuts)
    edited = media.streams(made["edited.mp4"])
    assert int(edited["video"]["nb_read_frames"]) == pytest.approx(30, abs=1)
    assert float(edited["audio"]["duration"]) == pytest.approx(1, abs=0.05)
    heard = {
        tone: media.loudness(made["edited.mp4"], tmp_path / "heard.wav", tone)
        for tone in (400, 800, 1600, 3200)
    }
    assert max(heard[800], heard[1600]) < 0.1 * min(heard[400], heard[3200]), heard


OPENED: Mapping[str, Callable[[Made, Path], None]] = {
    "playlists": open_nothing,
    "videos": open_videos,
    "meetings": open_chunks,
    "reports": open_reports,
    "montage": open_montage,
}


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
    made = {(path := directory / name).name: path for name in re.findall(r"✓ artifact (\S+)", output)}
    OPENED[system](made, tmp_path)
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
