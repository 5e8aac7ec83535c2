"""Clips cut on a beat that is known, as a preview and in full; and a talk of four tones for words, without two of them."""

from handlers.media.probe import probe
from infra.cli.demos.material import sent, source
from infra.cli.demos.stage import DemoError, Demonstration, Stage

_COLORS = ("red", "lime", "blue")
_FIRST, _BEAT = 0.3, 0.5  # seconds
_NEAR = 0.05
_CLICKS = f"aevalsrc=0.6*sin(2*PI*1000*t)*exp(-80*mod(t+{_BEAT - _FIRST:g}\\,{_BEAT})):sample_rate=16000:duration=12"

_TONES = (400, 800, 1600, 3200)  # one for each word, a half second long
_REMOVED = (1, 2)


def _play(stage: Stage) -> None:
    _montage(stage)
    _talk(stage)


def _montage(stage: Stage) -> None:
    clips = [
        sent(stage, f"{color}.mp4", *source(f"color={color}:size=320x240:rate=25:duration=5"))
        for color in _COLORS
    ]
    music = sent(stage, "clicks.wav", *source(_CLICKS))
    preview = stage.run("montage.run", {"clips": clips, "music": music, "resolution": "640x360"}, tag="demo")
    cuts = preview.result["cuts"]
    stage.say(f"  {preview.result['tempo']:.1f} beats a minute; {len(cuts)} cuts, the first at {cuts[:4]} s")
    stage.keep(preview.result["preview"])
    final = stage.run("montage.finalize", {"job": preview.id}, tag="demo")
    stage.keep(final.result["video"])
    farthest = max(abs((cut - _FIRST + _BEAT / 2) % _BEAT - _BEAT / 2) for cut in cuts)
    stage.say(f"  the cut that is farthest from a beat is {farthest * 1000:.0f} ms away")
    if farthest > _NEAR:
        raise DemoError("a cut is not on the beat")


def _talk(stage: Stage) -> None:
    tones = [word for tone in _TONES for word in source(f"sine=frequency={tone}:duration=0.5")]
    talk = sent(
        stage,
        "talk.mp4",
        *tones,
        *source("testsrc=size=320x240:rate=30:duration=2"),
        *(
            "-filter_complex",
            "[0:a][1:a][2:a][3:a]concat=n=4:v=0:a=1[sound]",
            "-map",
            "4:v",
            "-map",
            "[sound]",
        ),
    )
    words = [
        {"text": f"{tone} Hz", "start": place / 2, "end": place / 2 + 0.5}
        for place, tone in enumerate(_TONES)
    ]
    edits = {"video": talk, "words": words, "remove": list(_REMOVED)}
    result = stage.run("montage.transcript_render", edits, tag="demo").result
    said = [word["text"] for word in result["words"]]
    stage.say(f"  {result['removed_seconds']} s are gone; what is still said: {', '.join(said)}")
    found = probe(stage.keep(result["video"]), ["mov", "mp4"])
    seconds = 0.5 * len(said)
    if found is None or found.seconds is None or abs(found.seconds - seconds) > _NEAR:
        raise DemoError(f"the talk is not {seconds} s long")
    if said != [word["text"] for place, word in enumerate(words) if place not in _REMOVED]:
        raise DemoError("the wrong words are gone")


DEMO = Demonstration(extra="montage", play=_play)
