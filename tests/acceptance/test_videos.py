"""Videos, whole: from uploads to an MP4 that ffprobe counts, with workers that are killed and jobs that are canceled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import media
from tests.acceptance.builders import CALLBACK_SECRET, System
from tests.acceptance.inbox import Inbox
from tests.acceptance.media import AUTHORIZED, at_work

pytestmark = pytest.mark.slow

COLORS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def house(build: Callable[..., System], tmp_path: Path) -> System:
    """A web that keeps files, and handlers of the real kind; no worker yet."""
    files = {"HOOKLINE_FILES": str(tmp_path / "files"), "HOOKLINE_HANDLERS": "handlers,impatient"}
    system = build(**files, HOOKLINE_PROCESS_SLOTS="2")
    system.web()
    return system


def pictures(house: System, tmp_path: Path) -> list[str]:
    return [
        media.sent(
            house,
            media.made(
                tmp_path / f"{color}.png",
                "-f",
                "lavfi",
                "-i",
                f"color={color}:size=320x240",
                "-frames:v",
                "1",
            ),
        )
        for color in COLORS
    ]


def long_video(house: System, tmp_path: Path) -> dict[str, Any]:
    """What takes ffmpeg some time."""
    noise = media.made(
        tmp_path / "noise.png", "-f", "lavfi", "-i", "mandelbrot=size=1920x1080", "-frames:v", "1"
    )
    return {"images": [media.sent(house, noise)] * 10, "seconds": 3, "resolution": "1280x720"}


def submitted(house: System, payload: dict[str, Any], type: str = "videos.generate", **more: Any) -> str:
    return media.submitted(house, type, payload, **more)


def is_near(color: tuple[int, int, int], name: str) -> bool:
    return all(abs(one - other) < 30 for one, other in zip(color, COLORS[name], strict=True))


@pytest.mark.parametrize("transition", ["none", "fade", "slide"])
def test_a_video_has_every_frame_the_sound_and_the_pictures_in_turn(
    house: System, tmp_path: Path, transition: str
) -> None:
    house.worker()
    tone = media.made(tmp_path / "tone.mp3", "-f", "lavfi", "-i", "sine=frequency=440:duration=3")
    payload = {
        "images": pictures(house, tmp_path), "audio": media.sent(house, tone), "seconds": 2, "fit": "cover",
        "transition": transition, "resolution": "320x180",
    }  # fmt: skip
    result = house.ended(submitted(house, payload), wait=60)["result"]

    film = media.loaded(house, result["video"], tmp_path / "film.mp4")
    found = media.streams(film)
    video, audio = found["video"], found["audio"]
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 180)
    assert int(video["nb_read_frames"]) == result["frames"] == 180
    assert float(video["duration"]) == pytest.approx(result["duration"], abs=1 / 30)
    assert (audio["codec_name"], result["bytes"]) == ("aac", film.stat().st_size)
    assert float(audio["duration"]) == pytest.approx(6.0, abs=1 / 30)
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    shown = media.colors(film)
    for index, color in enumerate(COLORS):
        assert is_near(shown[60 * index + 59], color), (index, shown[60 * index + 59])
    passing = shown[67]
    assert is_near(passing, "lime") == (transition == "none")
    thumbnail = media.loaded(house, result["thumbnail"], tmp_path / "thumbnail.jpg")
    assert media.streams(thumbnail)["video"]["codec_name"] == "mjpeg"


def test_bad_input_fails_the_job_at_once_and_names_the_item(house: System, tmp_path: Path) -> None:
    house.worker()
    playlist = tmp_path / "hostile"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/x\n#EXT-X-ENDLIST\n")
    images = pictures(house, tmp_path)
    job = house.ended(
        submitted(house, {"images": images, "audio": media.sent(house, playlist)}), "failed", wait=30
    )
    assert (len(job["attempts"]), job["error"]["type"]) == (1, "Reject")
    assert job["error"]["message"].startswith("audio (file_")


def test_a_worker_is_killed_while_it_encodes_and_the_caller_hears_once(
    house: System, inbox: Inbox, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    worker = house.worker()
    payload = long_video(house, tmp_path)
    job_id = submitted(house, payload, callback_url=inbox.url("videos"))
    left = at_work(house, worker, job_id, wait_until)
    worker.process.kill()
    worker.process.wait()
    wait_until(lambda: not media.alive(left), timeout=10)
    house.worker()

    wait_until(lambda: house.job(job_id, wait=30)["status"] == "finished", timeout=180)
    film = media.loaded(house, house.job(job_id)["result"]["video"], tmp_path / "film.mp4")
    assert int(media.streams(film)["video"]["nb_read_frames"]) == 10 * 3 * 30
    post = inbox.once("videos", lambda: house.has_told(job_id))
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"


def test_cancel_leaves_no_ffmpeg(house: System, tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    worker = house.worker()
    job_id = submitted(house, long_video(house, tmp_path))
    left = at_work(house, worker, job_id, wait_until)
    house.http.post(f"/jobs/{job_id}/cancel", headers=AUTHORIZED).raise_for_status()
    wait_until(lambda: not media.alive(left) and not media.encoders(worker.pid), timeout=20)
    assert house.job(job_id)["status"] == "canceled"
    quick = {"images": pictures(house, tmp_path), "seconds": 1, "resolution": "160x120"}
    house.ended(submitted(house, quick), wait=60)


def test_a_timeout_leaves_no_ffmpeg(house: System, tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    worker = house.worker()
    job_id = submitted(house, long_video(house, tmp_path), type="videos.impatient")
    wait_until(lambda: media.encoders(worker.pid), timeout=30)
    job = house.ended(job_id, "failed", wait=30)
    assert job["error"]["type"] == "TimeoutError"
    wait_until(lambda: not media.encoders(worker.pid), timeout=10)


def test_a_worker_makes_two_at_once(house: System, tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    worker = house.worker()
    payload = {"images": pictures(house, tmp_path), "seconds": 4, "resolution": "1280x720"}
    ids = [submitted(house, payload) for _ in range(3)]
    seen = []

    def all_ended() -> bool:
        seen.append(len(media.encoders(worker.pid)))
        return all(house.job(one)["status"] == "finished" for one in ids)

    wait_until(all_ended, timeout=200)
    assert max(seen) == 2
