"""Media made on the spot by ffmpeg's own sources, sent up, and looked at by ffprobe."""

import array
import json
import math
import shutil
import subprocess
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.acceptance.builders import API_KEY, System, descendants, is_alive
from tests.conftest import Spawned, missing

WAV_RATE = 16_000
AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing(f"no {name}: apt-get install ffmpeg")
    return found


def made(path: Path, *arguments: str) -> Path:
    """A file that ffmpeg writes."""
    subprocess.run([program("ffmpeg"), "-loglevel", "error", "-y", *arguments, str(path)], check=True)
    return path


def sent(house: System, path: Path) -> str:
    """The id of a file that was sent up."""
    answer = house.http.post("/files", content=path.read_bytes(), headers=AUTHORIZED)
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["id"]
    return name


def loaded(house: System, artifact: dict[str, Any], path: Path) -> Path:
    """What is behind the link of an artifact."""
    answer = house.http.get(artifact["url"])
    assert answer.status_code == 200, answer.text
    path.write_bytes(answer.content)
    return path


def streams(path: Path) -> dict[str, dict[str, Any]]:
    """What ffprobe counts in each stream, by ``video`` and ``audio``."""
    told = subprocess.run(
        [program("ffprobe"), "-v", "error", "-count_frames", "-show_streams", "-of", "json", path],
        check=True,
        capture_output=True,
    )
    return {one["codec_type"]: one for one in json.loads(told.stdout)["streams"]}


def colors(path: Path) -> list[tuple[int, int, int]]:
    """The mean colour of every frame."""
    raw = subprocess.run(
        [program("ffmpeg"), "-loglevel", "error", "-i", path, "-vf", "scale=1:1:flags=area,format=rgb24",
         "-fps_mode", "passthrough", "-f", "rawvideo", "-"],
        check=True,
        capture_output=True,
    ).stdout  # fmt: skip
    return [(raw[at], raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3)]


def seen_cuts(film: Path) -> list[float]:
    """When the picture changes at once, in seconds."""
    shown = colors(film)
    return [
        number / 30
        for number, (before, after) in enumerate(pairwise(shown), 1)
        if max(abs(one - other) for one, other in zip(before, after, strict=True)) > 100
    ]


def loudness(film: Path, path: Path, frequency: float) -> float:
    """How much of a tone is in the sound, whenever it is heard: the sum of its power, by Goertzel, over pieces of 50 ms."""
    made(path, "-i", str(film), "-ac", "1", "-ar", str(WAV_RATE))
    with wave.open(str(path), "rb") as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    piece, total = WAV_RATE // 20, 0.0
    turn = 2 * math.cos(2 * math.pi * frequency / WAV_RATE)
    for start in range(0, len(samples) - piece, piece):
        one = other = 0.0
        for sample in samples[start : start + piece]:
            one, other = sample / 32_768 + turn * one - other, one
        total += (one * one + other * other - turn * one * other) / piece**2
    return total


def submitted(house: System, type_: str, payload: dict[str, Any], **more: Any) -> str:
    """The id of a job."""
    answer = house.submit({"type": type_, "payload": payload, **more})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def at_work(house: System, worker: Spawned, job_id: str, wait_until: Callable[..., Any]) -> list[int]:
    """The ffmpeg processes, once frames of the video are encoded."""

    def encoding() -> list[int]:
        progress = house.job(job_id)["progress"] or {}
        begun = progress.get("stage") == "encoding" and progress["current"]
        return encoders(worker.pid) if begun else []

    found: list[int] = wait_until(encoding, timeout=60)
    return found


def encoders(worker: int) -> list[int]:
    """The ffmpeg processes that a worker has started."""
    return [pid for pid in descendants(worker) if _name(pid).startswith("ffmpeg")]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if is_alive(pid)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
