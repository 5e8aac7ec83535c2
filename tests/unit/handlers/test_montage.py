"""Montages: beats that are found where they were put, cut lists, words that go, frames and sound that stay together."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import montage
from handlers.media import ffmpeg
from handlers.media.probe import probe
from handlers.montage import beats, frames, render, speech
from handlers.montage.plan import PRESETS, Plan, Style, cut_points, shots
from handlers.montage.words import Kept, Word, kept, moved
from handlers.services import JobState
from handlers.testing import Attempt, run
from infra.ledger.records import Failed
from tests.conftest import missing


def clicks(times: Any, *, seconds: float, frequency: float = 1000, decay: float = 0.01) -> Any:
    """Samples in which something is struck at these times."""
    samples = np.zeros(int(seconds * beats.RATE))
    stroke = np.arange(int(0.1 * beats.RATE)) / beats.RATE
    sound = 0.6 * np.exp(-stroke / decay) * np.sin(2 * np.pi * frequency * stroke)
    for time in times:
        start = int(time * beats.RATE)
        end = min(start + len(sound), len(samples))
        samples[start:end] += sound[: end - start]
    return samples


def as_heard(samples: Any) -> Any:
    return np.rint(np.clip(samples, -1, 1) * 32_767).astype(np.int16)


@pytest.mark.parametrize(
    ("tempo", "first", "frequency", "decay"),
    [(120, 0.3, 1000, 0.01), (97, 0.11, 330, 0.1), (75, 0.5, 330, 0.05), (140, 0, 2000, 0.01), (165, 0.2, 90, 0.03)],
)  # fmt: skip
def test_beats_are_found_where_they_were_put(
    tempo: float, first: float, frequency: float, decay: float
) -> None:
    times = np.arange(first, 19.5, 60 / tempo)
    found = beats.find(as_heard(clicks(times, seconds=20, frequency=frequency, decay=decay)))
    assert found is not None
    assert found.tempo == pytest.approx(tempo, rel=0.01)
    off = [float(np.abs(times - time).min()) for time in found.times]
    assert max(off) < 0.03
    assert all(np.abs(np.array(found.times) - time).min() < 0.03 for time in times[1:-1])


def test_beats_are_found_under_a_drone_and_some_noise() -> None:
    random = np.random.default_rng(1)
    times = np.arange(0.25, 19.5, 60 / 128)
    moments = np.arange(20 * beats.RATE) / beats.RATE
    drone = 0.1 * np.sin(2 * np.pi * 220 * moments) + 0.01 * random.standard_normal(len(moments))
    found = beats.find(as_heard(clicks(times, seconds=20) + drone))
    assert found is not None
    assert found.tempo == pytest.approx(128, rel=0.02)
    assert all(np.abs(np.array(found.times) - time).min() < 0.03 for time in times[2:-2])


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0),
        np.zeros(100),
        np.zeros(160_000),
        0.5 * np.sin(np.arange(160_000) * 0.1),
        clicks([1.0], seconds=10),
    ],
    ids=["nothing", "a blink", "silence", "a tone", "one stroke"],
)
def test_where_nothing_repeats_there_is_no_beat(samples: Any) -> None:
    assert beats.find(as_heard(samples)) is None


@pytest.mark.parametrize(
    ("style", "cuts"), [("hectic", [15, 30, 45, 60, 75]), ("lively", [15, 45, 75]), ("calm", [15, 75])]
)
def test_a_style_says_how_many_beats_a_shot_has(style: Style, cuts: list[int]) -> None:
    assert cut_points([0.5, 1, 1.5, 2, 2.5, 2.9], style, 90) == [0, *cuts]


@given(
    st.lists(st.floats(0, 60), max_size=100).map(sorted),
    st.sampled_from(list(PRESETS)),
    st.integers(30, 1800),
    st.lists(st.integers(1, 400), min_size=1, max_size=5),
)
def test_shots_cover_the_whole_without_gaps(
    times: list[float], style: Style, total: int, lengths: list[int]
) -> None:
    made = shots(cut_points(times, style, total), lengths, total)
    assert [shot.at for shot in made] == [0, *(shot.at + shot.frames for shot in made[:-1])]
    plan = Plan(["c"] * len(lengths), "m", style, 64, 48, made)
    assert plan.frames == total
    for index, shot in enumerate(made):
        assert shot.start == 0 or shot.start + shot.frames <= lengths[shot.clip]
        assert render.half(plan, index) + render.half(plan, index + 1) <= shot.frames


SAID = [Word(str(place), place, place + 0.8) for place in range(6)]


@pytest.mark.parametrize(
    ("removed", "spans"),
    [
        ({0}, [Kept(8, 60)]),
        ({5}, [Kept(0, 50), Kept(58, 60)]),
        ({2, 3}, [Kept(0, 20), Kept(38, 60)]),
        ({1, 3}, [Kept(0, 10), Kept(18, 30), Kept(38, 60)]),
        (set(range(6)), [Kept(58, 60)]),
    ],
)
def test_words_that_go_take_the_pauses_between_them_along(removed: set[int], spans: list[Kept]) -> None:
    assert kept(SAID, removed, rate=Fraction(10), frames=60) == spans


def test_the_words_that_stay_are_heard_earlier() -> None:
    spans = kept(SAID, {1, 3}, rate=Fraction(10), frames=60)
    assert [(word.text, word.start, word.end) for word in moved(SAID, {1, 3}, spans, rate=Fraction(10))] == [
        ("0", 0.0, 0.8), ("2", 1.2, 2.0), ("4", 2.4, 3.2), ("5", 3.4, 4.2),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=30).map(sorted),
    st.sets(st.integers(0, 29)),
    st.integers(1, 300),
)
def test_what_stays_is_in_order_and_within(
    said: list[tuple[float, float]], removed: set[int], total: int
) -> None:
    words = [Word("w", start, start + length) for start, length in said]
    spans = kept(words, removed & set(range(len(words))), rate=Fraction(30_000, 1_001), frames=total)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= total for edge in edges)
    assert all(span.start < span.end for span in spans)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1_001)])
def test_the_sound_is_as_long_as_the_pictures_and_passes_smoothly(rate: Fraction) -> None:
    spans = [Kept(0, 20), Kept(31, 32), Kept(40, 70)]
    moments = np.arange(3 * frames.SOUND_RATE)
    tone = np.stack([np.rint(10_000 * np.sin(moments * 0.03))] * 2, axis=1).astype(np.int16)
    made = speech.sound(tone, spans, rate)
    assert made.shape[1] == 2
    assert len(made) == pytest.approx(51 * frames.SOUND_RATE / rate, abs=3)
    assert np.abs(np.diff(made[:, 0].astype(int))).max() < 500
    longer = speech.sound(tone[:1000], spans, rate)
    assert len(longer) == len(made)


def test_a_dissolve_is_between_the_two() -> None:
    assert frames.blended(b"\x00\x64", b"\x64\x00", 0.25) == b"\x19\x4b"


# -- with ffmpeg ---------------------------------------------------------------------------------------------------


def made(path: Path, *arguments: str) -> bytes:
    program = shutil.which("ffmpeg")
    if program is None:
        missing("no ffmpeg: apt-get install ffmpeg")
    subprocess.run([program, "-loglevel", "error", "-y", *arguments, str(path)], check=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two clips, music with 120 beats a minute, a tone, and somebody who talks."""
    import wave

    directory = tmp_path_factory.mktemp("media")
    with wave.open(str(directory / "music.wav"), "wb") as file:
        file.setparams((1, 2, beats.RATE, 0, "NONE", ""))
        file.writeframes(as_heard(clicks(np.arange(0.25, 5.9, 0.5), seconds=6)).tobytes())
    clip = ("-f", "lavfi", "-i", "testsrc=size=160x120:rate=25:duration=2")
    other = ("-f", "lavfi", "-i", "color=blue:size=120x160:rate=30:duration=1")
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
    return {
        "music": (directory / "music.wav").read_bytes(),
        "one": made(directory / "one.mp4", *clip),
        "two": made(directory / "two.mp4", *other),
        "tone": made(directory / "tone.wav", *tone),
        "talk": made(directory / "talk.mp4", *clip, *tone),
    }


WANTED = {"clips": ["one", "two"], "music": "music", "resolution": "640x480"}


def length_of(content: bytes, path: Path) -> float:
    path.write_bytes(content)
    found = probe(path, ffmpeg.RECORDINGS)
    assert found is not None
    assert found.has_sound
    return found.seconds or 0


@pytest.mark.parametrize(
    "style", ["calm", *(pytest.param(style, marks=pytest.mark.slow) for style in ("lively", "hectic"))]
)
def test_a_preview_is_cut_on_the_beat_and_finalized_with_the_same_cuts(
    files: dict[str, bytes], tmp_path: Path, style: Style
) -> None:
    attempt = run(montage.run, {**WANTED, "style": style}, files=files)
    result = attempt.result
    beat = np.arange(0.25, 6, 0.5)
    assert result["cuts"]
    assert all(np.abs(beat - cut).min() < 0.05 for cut in result["cuts"])
    assert (result["frames"], result["duration"], result["tempo"]) == (180, 6.0, pytest.approx(120, rel=0.01))
    assert (result["preview"]["width"], result["preview"]["height"]) == (320, 240)
    assert length_of(attempt.artifacts["preview.mp4"], tmp_path / "preview.mp4") == pytest.approx(6, abs=0.05)

    before = JobState(id="job_p", status="finished", type="montage.run", result=result)
    final = run(montage.finalize, {"job": "job_p"}, files=files, earlier={"-": [before]})
    assert final.result["cuts"] == result["cuts"]
    assert (final.result["video"]["width"], final.result["video"]["height"]) == (640, 480)
    assert length_of(final.artifacts["montage.mp4"], tmp_path / "final.mp4") == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState(id="job_p", status="missing"), "no montage"),
        (JobState(id="job_p", status="finished", type="videos.generate", result={}), "no montage"),
        (JobState(id="job_p", status="started", type="montage.run"), "is started"),
    ],
)
def test_only_a_preview_that_is_there_is_finalized(state: JobState, words: str) -> None:
    outcome = run(montage.finalize, {"job": "job_p"}, earlier={"-": [state]}).outcome
    assert isinstance(outcome, Failed)
    assert words in outcome.error.message


TALK = [{"text": str(place), "start": place * 0.5, "end": place * 0.5 + 0.4} for place in range(4)]


def test_a_recording_is_shorter_by_the_words_that_went(files: dict[str, bytes], tmp_path: Path) -> None:
    attempt = run(montage.transcript_render, {"video": "talk", "words": TALK, "remove": [1, 2]}, files=files)
    result = attempt.result
    assert result["duration"] == pytest.approx(1.1, abs=0.04)
    assert result["duration"] + result["removed_seconds"] == pytest.approx(2.0, abs=0.001)
    assert [word["text"] for word in result["words"]] == ["0", "3"]
    assert length_of(attempt.artifacts["edited.mp4"], tmp_path / "a.mp4") == pytest.approx(
        result["duration"], abs=0.05
    )


def rejected(attempt: Attempt) -> str:
    assert isinstance(attempt.outcome, Failed), attempt.outcome
    assert attempt.outcome.error.type == "Reject"
    assert attempt.artifacts == {}
    return attempt.outcome.error.message


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"music": "tone"}, "music (tone): no beat"),
        ({"music": "text"}, "music (text): no recording"),
        ({"clips": ["one", "tone"]}, "clip 2 (tone): there is no film in it"),
        ({"clips": ["one", "text"]}, "clip 2 (text): no recording"),
        ({"clips": ["gone"]}, "clip 1 (gone): there is no such file"),
        ({"resolution": "641x480"}, "even"),
        ({"style": "wild"}, "$.style"),
    ],
)
def test_what_cant_become_a_montage_is_rejected_in_words(
    files: dict[str, bytes], payload: dict[str, Any], words: str
) -> None:
    attempt = run(
        montage.run, {**WANTED, **payload}, files={**files, "text": b"#EXTM3U\nfile:///etc/passwd\n"}
    )
    assert words in rejected(attempt)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"remove": [4]}, "there is no word 4"),
        ({"remove": [-1]}, "there is no word -1"),
        ({"words": TALK[::-1]}, "words: 1 ('2')"),
        ({"words": [{"text": "a", "start": 1, "end": 0}]}, "words: 0 ('a')"),
        ({"words": [{"text": "a", "start": 0, "end": 9}], "remove": [0]}, "nothing would be left"),
        ({"video": "one"}, "video (one): there is no sound"),
        ({"video": "tone"}, "video (tone): there is no film"),
    ],
)
def test_what_cant_be_edited_is_rejected_in_words(
    files: dict[str, bytes], payload: dict[str, Any], words: str
) -> None:
    edited = {"video": "talk", "words": TALK, "remove": [0], **payload}
    assert words in rejected(run(montage.transcript_render, edited, files=files))


def test_a_film_that_is_shorter_than_it_says_keeps_its_last_picture() -> None:
    assert list(render.steady(iter([b"a"]), 3, "clip 1")) == [b"a"] * 3
    with pytest.raises(Exception, match="clip 1: it ends before it should"):
        list(render.steady(iter([]), 3, "clip 1"))
