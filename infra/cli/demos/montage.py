"""Clips cut on a beat that is known, as a preview and in full; the cuts are compared with the beat."""

from infra.cli.demos.material import sent, source
from infra.cli.demos.stage import DemoError, Demonstration, Stage

_COLORS = ("red", "lime", "blue")
_FIRST, _BEAT = 0.3, 0.5  # seconds
_NEAR = 0.05
_CLICKS = f"aevalsrc=0.6*sin(2*PI*1000*t)*exp(-80*mod(t+{_BEAT - _FIRST:g}\\,{_BEAT})):sample_rate=16000:duration=12"


def _play(stage: Stage) -> None:
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


DEMO = Demonstration(extra="montage", modules=("imageio_ffmpeg", "numpy"), play=_play)
