"""Montages, whole: cuts seen where the beats are heard, words that are gone from picture and sound, a worker that is killed."""

import array
import math
import wave
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import media
from tests.acceptance.builders import CALLBACK_SECRET, System
from tests.acceptance.inbox import Inbox
from tests.acceptance.media import AUTHORIZED, at_work, submitted
from tests.acceptance.watching import watching

pytestmark = pytest.mark.slow

BEATS = [0.3 + 0.5 * beat for beat in range(24)]  # of twelve seconds
COLORS = ("red", "lime", "blue")
TONES = (400, 800, 1600, 3200)  # one for each half second of what is said
WAV_RATE = media.WAV_RATE


@pytest.fixture
def house(build: Callable[..., System], tmp_path: Path) -> System:
    """A web that keeps files; no worker yet."""
    system = build(HOOKLINE_FILES=str(tmp_path / "files"), HOOKLINE_HANDLERS="handlers")
    system.web()
    return system


def music(house: System, tmp_path: Path) -> str:
    """Twelve seconds in which a click is heard on every beat."""
    samples = array.array("h", bytes(2 * 12 * WAV_RATE))
    for beat in BEATS:
        for at in range(400):
            stroke = 20_000 * math.exp(-at / 150) * math.sin(2 * math.pi * 1_000 * at / WAV_RATE)
            if (place := int(beat * WAV_RATE) + at) < len(samples):
                samples[place] = int(stroke)
    with wave.open(str(tmp_path / "music.wav"), "wb") as file:
        file.setparams((1, 2, WAV_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return media.sent(house, tmp_path / "music.wav")


def clips(house: System, tmp_path: Path, *, size: str = "320x240") -> list[str]:
    """One of each colour, so that every cut can be seen."""
    return [
        media.sent(
            house,
            media.made(
                tmp_path / f"{color}.mp4",
                "-f",
                "lavfi",
                "-i",
                f"color={color}:size={size}:rate=25:duration=5",
            ),
        )
        for color in COLORS
    ]


@pytest.mark.parametrize(("style", "every"), [("hectic", 1), ("lively", 2)])
def test_cuts_are_seen_on_the_beat_in_the_preview_and_in_the_final_video(
    house: System, tmp_path: Path, style: str, every: int
) -> None:
    house.worker()
    wanted = {
        "clips": clips(house, tmp_path), "music": music(house, tmp_path), "style": style, "resolution": "640x360",
    }  # fmt: skip
    preview_id = submitted(house, "montage.run", wanted)
    result = house.ended(preview_id, wait=60)["result"]
    assert result["tempo"] == pytest.approx(120, abs=1)
    final = house.ended(submitted(house, "montage.finalize", {"job": preview_id}), wait=60)["result"]

    for artifact, size in ((result["preview"], (320, 180)), (final["video"], (640, 360))):
        film = media.loaded(house, artifact, tmp_path / artifact["name"])
        found = media.streams(film)
        assert (found["video"]["width"], found["video"]["height"]) == size
        assert int(found["video"]["nb_read_frames"]) == result["frames"] == 360
        assert float(found["video"]["duration"]) == pytest.approx(12, abs=1 / 30)
        assert float(found["audio"]["duration"]) == pytest.approx(12, abs=1 / 30)
        cuts = media.seen_cuts(film)
        assert cuts == pytest.approx(result["cuts"], abs=0.001)
        assert len(cuts) in range(len(BEATS) // every - 2, len(BEATS) // every + 1)
        assert all(min(abs(cut - beat) for beat in BEATS) <= 0.05 for cut in cuts)

    listed = house.http.get("/jobs", params={"type": "montage.run"}, headers=AUTHORIZED).json()
    assert [job["id"] for job in listed["items"]] == [preview_id]


def test_statuses_and_stages_are_broadcast_and_the_newest_montage_is_listed_first(
    house: System, tmp_path: Path
) -> None:
    house.worker()
    shown = {"clips": clips(house, tmp_path)[:2], "music": music(house, tmp_path), "resolution": "160x120"}
    with watching(house, "/stream", type="montage.run") as told:
        ids = [submitted(house, "montage.run", {**shown, "style": style}) for style in ("calm", "hectic")]
        statuses, stages, left = defaultdict(list), defaultdict(list), set(ids)
        while left:
            event = next(told)
            job_id = event.data["job_id"]
            if event.event == "status":
                statuses[job_id].append(event.told)
                left -= {job_id} if event.told == "finished" else set()
            elif event.event == "progress":
                stages[job_id].append(event.data["progress"]["stage"])
    for job_id in ids:
        assert statuses[job_id] == ["queued", "started", "finished"]
        assert list(dict.fromkeys(stages[job_id])) == ["listening", "planning", "encoding"]
    listed = house.http.get("/jobs", params={"type": "montage.run"}, headers=AUTHORIZED).json()["items"]
    assert [job["id"] for job in listed] == ids[::-1]


def test_a_montage_past_its_retention_is_listed_no_more_and_stands_in_the_archive(
    house: System, inbox: Inbox, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    archive = {"HOOKLINE_ARCHIVE": str(tmp_path / "archive")}
    house.worker(**archive, HOOKLINE_RETENTION="1s")
    wanted = {"clips": clips(house, tmp_path)[:1], "music": music(house, tmp_path), "resolution": "160x120"}
    job_id = submitted(house, "montage.run", wanted, callback_url=inbox.url("archived"))
    told = inbox.once("archived", lambda: bool(inbox.posts("archived")), timeout=60).verified(CALLBACK_SECRET)
    assert told["data"]["status"] == "finished"

    def listed() -> list[Any]:
        found = house.http.get("/jobs", params={"type": "montage.run"}, headers=AUTHORIZED)
        return list(found.json()["items"])

    wait_until(lambda: not listed(), timeout=30)
    house.run("hookline", "archive", "read", said=job_id, **archive)


def test_removed_words_are_neither_seen_nor_heard(house: System, tmp_path: Path) -> None:
    house.worker()
    tones = [word for tone in TONES for word in ("-f", "lavfi", "-i", f"sine=frequency={tone}:duration=0.5")]
    talk = media.made(
        tmp_path / "talk.mp4", *tones, "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2",
        "-filter_complex", "[0:a][1:a][2:a][3:a]concat=n=4:v=0:a=1[sound]", "-map", "4:v", "-map", "[sound]",
    )  # fmt: skip
    words = [
        {"text": f"{tone} Hz", "start": place / 2, "end": place / 2 + 0.5} for place, tone in enumerate(TONES)
    ]
    payload = {"video": media.sent(house, talk), "words": words, "remove": [1]}
    result = house.ended(submitted(house, "montage.transcript_render", payload), wait=60)["result"]

    film = media.loaded(house, result["video"], tmp_path / "edited.mp4")
    found = media.streams(film)
    assert abs(int(found["video"]["nb_read_frames"]) - 1.5 * 25) <= 1
    assert float(found["video"]["duration"]) == pytest.approx(1.5, abs=1 / 25)
    assert float(found["audio"]["duration"]) == pytest.approx(1.5, abs=1 / 25)
    assert [word["text"] for word in result["words"]] == ["400 Hz", "1600 Hz", "3200 Hz"]
    assert result["words"][1]["start"] == pytest.approx(0.5, abs=1 / 25)
    for place, tone in enumerate(TONES):
        before, after = (media.loudness(one, tmp_path / "heard.wav", tone) for one in (talk, film))
        share = after / before
        assert share < 0.1 if place == 1 else share > 0.8, (tone, share)


def test_a_worker_is_killed_and_the_next_one_goes_on_with_the_same_plan(
    house: System, inbox: Inbox, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    worker = house.worker()
    wanted = {
        "clips": clips(house, tmp_path, size="1920x1080"), "music": music(house, tmp_path), "style": "calm",
    }  # fmt: skip
    job_id = submitted(house, "montage.run", wanted, callback_url=inbox.url("montage"))
    left = at_work(house, worker, job_id, wait_until)
    worker.process.kill()
    worker.process.wait()
    wait_until(lambda: not media.alive(left), timeout=10)
    second = house.worker()

    stages = set()

    def has_ended() -> bool:
        job = house.job(job_id)
        if job["status"] == "started" and second.process.poll() is None:
            stages.add((job["progress"] or {}).get("stage"))
        return job["status"] == "finished"

    wait_until(has_ended, timeout=120)
    assert not stages & {"listening", "planning"}, "the music was listened to once"
    film = media.loaded(house, house.job(job_id)["result"]["preview"], tmp_path / "preview.mp4")
    assert int(media.streams(film)["video"]["nb_read_frames"]) == 360
    post = inbox.once("montage", lambda: house.has_told(job_id))
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"


def test_cancel_leaves_no_ffmpeg(house: System, tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    worker = house.worker()
    wanted = {"clips": clips(house, tmp_path, size="1920x1080"), "music": music(house, tmp_path)}
    job_id = submitted(house, "montage.run", wanted)
    left = at_work(house, worker, job_id, wait_until)
    house.http.post(f"/jobs/{job_id}/cancel", headers=AUTHORIZED).raise_for_status()
    wait_until(lambda: not media.alive(left) and not media.encoders(worker.pid), timeout=20)
    assert house.job(job_id)["status"] == "canceled"
