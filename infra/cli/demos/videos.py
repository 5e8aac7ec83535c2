"""Three pictures and a tone become a video; what ffmpeg reads back from it is compared with what was asked for."""

from handlers.media.probe import probe
from infra.cli.demos.material import sent, source
from infra.cli.demos.stage import DemoError, Demonstration, Stage

_SOURCES = ("testsrc=size=640x480", "mandelbrot=size=640x480", "smptebars=size=640x480")


def _play(stage: Stage) -> None:
    images = [
        sent(stage, f"picture{number}.png", *source(one), "-frames:v", "1")
        for number, one in enumerate(_SOURCES, 1)
    ]
    audio = sent(stage, "tone.wav", *source("sine=frequency=440:duration=6"))
    wanted = {"images": images, "audio": audio, "seconds": 2, "transition": "fade", "resolution": "640x360"}
    result = stage.run("videos.generate", wanted, tag="demo").result
    stage.say(f"  {result['frames']} frames, {result['duration']} s, {result['width']}x{result['height']}")
    stage.keep(result["thumbnail"])
    found = probe(stage.keep(result["video"]), ["mov", "mp4"])
    if found is None or found.size != (640, 360) or not found.has_sound:
        raise DemoError("the video is not what was asked for")


DEMO = Demonstration(extra="video", play=_play)
