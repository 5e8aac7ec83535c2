"""Videos: the filter graph, what is rejected and in which words, and one real video."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from handlers import videos
from handlers.media import ffmpeg
from handlers.media.picture import size_of
from handlers.media.probe import probe, read
from handlers.testing import Attempt, run
from handlers.videos import slideshow
from handlers.videos.slideshow import Slideshow, Transition
from infra.ledger.records import Failed
from tests.conftest import missing


def made(tmp_path: Path, name: str, *arguments: str) -> bytes:
    """A file of ffmpeg's own test sources."""
    program = shutil.which("ffmpeg")
    if program is None:
        missing("no ffmpeg: apt-get install ffmpeg")
    path = tmp_path / name
    subprocess.run([program, "-loglevel", "error", "-y", *arguments, str(path)], check=True)
    return path.read_bytes()


def picture(tmp_path: Path, name: str = "a.png", *, size: str = "64x48", color: str = "red") -> bytes:
    return made(tmp_path, name, "-f", "lavfi", "-i", f"color={color}:size={size}", "-frames:v", "1")


def tone(tmp_path: Path, name: str = "a.wav", *, seconds: float = 1) -> bytes:
    return made(tmp_path, name, "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}")


@pytest.mark.parametrize(
    ("pictures", "seconds", "transition", "frames", "overlap"),
    [
        (1, 3, "fade", 90, 15),
        (3, 2, "none", 180, 0),
        (100, 0.5, "slide", 1500, 7),
        (2, 1.25, "fade", 76, 15),
    ],
)
def test_a_show_is_as_long_as_its_slots(
    pictures: int, seconds: float, transition: Transition, frames: int, overlap: int
) -> None:
    show = Slideshow(pictures=pictures, seconds=seconds, transition=transition, width=64, height=48)
    assert (show.frames, show.overlap) == (frames, overlap)


def graph(show: Slideshow, audio: Path | None = None) -> str:
    slides = [Path(f"/s/{index}.png") for index in range(show.pictures)]
    words = slideshow.arguments(show, slides, audio, Path("/s/video.mp4"))
    return words[words.index("-filter_complex") + 1]


def test_every_picture_passes_into_the_next_when_its_slot_is_over() -> None:
    made = graph(Slideshow(pictures=3, seconds=2, transition="slide", width=64, height=48))
    assert "[p0][p1]xfade=transition=slideleft:duration=0.500000:offset=2.000000[x1]" in made
    assert "[x1][p2]xfade=transition=slideleft:duration=0.500000:offset=4.000000[video]" in made
    assert "[0:v]format=yuv420p,loop=loop=74:" in made
    assert "[2:v]format=yuv420p,loop=loop=59:" in made


def test_without_transitions_pictures_are_put_one_behind_the_other() -> None:
    made = graph(Slideshow(pictures=2, seconds=1, transition="none", width=64, height=48))
    assert made.endswith("[p0][p1]concat=n=2:v=1:a=0[video]")
    assert "[video]" in graph(Slideshow(pictures=1, seconds=1, transition="fade", width=64, height=48))


def test_what_was_sent_is_opened_with_a_list_of_formats_that_refer_to_nothing() -> None:
    words = slideshow.arguments(
        Slideshow(pictures=1, seconds=1, transition="none", width=64, height=48),
        [Path("/s/1.png")],
        Path("/s/input-1"),
        Path("/s/video.mp4"),
    )
    place = words.index("file:/s/input-1")
    assert words[place - 5 : place - 3] == ["-protocol_whitelist", "file,pipe"]
    formats = words[place - 2].split(",")
    assert not {"hls", "concat", "dash", "image2", "svg_pipe", "lavfi", "sdp", "rtsp"} & set(formats)


@pytest.mark.parametrize(
    ("resolution", "fault"), [("641x360", "even"), ("8000x8000", "16x16"), ("3840x3840", "16x16")]
)
def test_a_resolution_that_cant_be_is_named(resolution: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        size_of(resolution)


def test_what_ffmpeg_says_is_understood() -> None:
    song = read(
        "Input #0, mp3, from 'file:/a':\n  Duration: 00:03:04.05, start: 0.0\n"
        "  Stream #0:0: Audio: mp3, 44100 Hz\n  Stream #0:1: Video: mjpeg, 500x500, 90k tbr (attached pic)\n"
    )
    assert song is not None
    assert (song.seconds, song.size, song.has_sound) == (184.05, None, True)
    phone = read(
        "Input #0, mov, from 'file:/a':\n  Duration: N/A\n"
        "  Stream #0:0[0x1](eng): Video: h264 (avc1 / 0x31637661), yuv420p(tv), 1920x1080, 240 fps\n"
        "      displaymatrix: rotation of -90.00 degrees\n"
    )
    assert phone is not None
    assert (phone.seconds, phone.size, phone.rate, phone.has_sound) == (None, (1080, 1920), 30, False)
    assert read("file:/a: Invalid data found when processing input") is None


def generate(files: dict[str, bytes], **payload: Any) -> Attempt:
    return run(videos.generate, {"resolution": "128x96", **payload}, files=files)


def test_a_video_has_the_pictures_and_the_sound(tmp_path: Path) -> None:
    files = {
        "red": picture(tmp_path),
        "blue": picture(tmp_path, "b.jpg", size="301x99", color="blue"),
        "tone": tone(tmp_path),
    }
    attempt = generate(files, images=["red", "blue"], audio="tone", seconds=1.5, fit="cover")
    result = attempt.result
    film = tmp_path / "film.mp4"
    film.write_bytes(attempt.artifacts["video.mp4"])
    found = probe(film, ffmpeg.RECORDINGS)
    assert found is not None
    assert (found.size, found.rate, found.has_sound) == ((128, 96), 30, True)
    assert found.seconds == pytest.approx(3.0, abs=0.05)
    assert (result["duration"], result["frames"], result["bytes"]) == (3.0, 90, film.stat().st_size)
    assert result["video"]["content_type"] == "video/mp4"
    assert attempt.artifacts["thumbnail.jpg"].startswith(b"\xff\xd8")
    stages = [report.stage for report in attempt.progress]
    assert [stage for index, stage in enumerate(stages) if stage not in stages[:index]] == [
        "queued", "processing", "encoding", "completed",
    ]  # fmt: skip
    assert attempt.progress[-1].current == 90


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/passwd"/></svg>'


@pytest.mark.parametrize(
    "hostile", [PLAYLIST, CONCAT, SVG, b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"just text"]
)
def test_what_is_no_picture_or_no_sound_is_named(tmp_path: Path, hostile: bytes) -> None:
    files = {"red": picture(tmp_path), "bad": hostile}
    for payload, item in (
        ({"images": ["red", "bad"]}, "image 2 (bad): "),
        ({"images": ["red"], "audio": "bad"}, "audio (bad): "),
    ):
        attempt = generate(files, **payload)
        assert isinstance(attempt.outcome, Failed), attempt.outcome
        assert attempt.outcome.error.type == "Reject"
        assert attempt.outcome.error.message.startswith(item)
        assert attempt.artifacts == {}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"images": ["gone"]}, "image 1 (gone): there is no such file"),
        ({"images": []}, "$.images"),
        ({"images": ["red"] * 100, "seconds": 60}, "600 seconds"),
        ({"images": ["red"], "resolution": "99x99"}, "even"),
        ({"images": ["red"], "resolution": "99999x1"}, "$.resolution"),
        ({"images": ["red"], "transition": "explode"}, "$.transition"),
        ({"images": ["red"], "audio": "silent"}, "audio (silent): there is no sound in it"),
        ({"images": ["wide"]}, "image 1 (wide): 9000x9000 is too large"),
    ],
)
def test_what_cant_be_made_is_rejected_in_words(tmp_path: Path, payload: dict[str, Any], words: str) -> None:
    files = {"red": picture(tmp_path)}
    if "wide" in words:
        files["wide"] = picture(tmp_path, "wide.png", size="9000x9000")
    if "silent" in words:
        files["silent"] = made(tmp_path, "s.mp4", "-f", "lavfi", "-i", "testsrc=duration=1:size=64x48")
    outcome = generate(files, **payload).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "Reject"
    assert words in outcome.error.message
