"""A slideshow as a filter graph of ffmpeg. Pure.

Every picture has a slot of the same number of frames. A transition takes the first frames of a slot: meanwhile the picture before
is still there, so that the whole is as long as its slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from handlers.media.ffmpeg import RECORDINGS, guarded

Transition = Literal["fade", "slide", "none"]

RATE: Final = 30
_TRANSITION_SECONDS: Final = 0.5
_XFADE: Final = {"fade": "fade", "slide": "slideleft"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slideshow:
    """What is shown.

    >>> Slideshow(pictures=3, seconds=2, transition="fade", width=640, height=360).frames
    180
    """

    pictures: int
    seconds: float
    transition: Transition
    width: int
    height: int

    @property
    def slot(self) -> int:
        """Frames for each picture."""
        return round(self.seconds * RATE)

    @property
    def overlap(self) -> int:
        """Frames of a transition."""
        return 0 if self.transition == "none" else min(round(_TRANSITION_SECONDS * RATE), self.slot // 2)

    @property
    def frames(self) -> int:
        return self.slot * self.pictures

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.frames / RATE


def arguments(show: Slideshow, slides: Sequence[Path], audio: Path | None, film: Path) -> list[str]:
    """What ffmpeg is told.

    Args:
        slides: PNGs of our own, each as large as the video.
        audio: as it was sent.
    """
    pictures = [word for slide in slides for word in ("-f", "png_pipe", "-i", f"file:{slide}")]
    sound = [] if audio is None else guarded(audio, RECORDINGS)
    graph = [*_video(show), *([] if audio is None else [_sound(show)])]
    return [
        *pictures,
        *sound,
        *("-filter_complex", ";".join(graph), "-map", "[video]"),
        *([] if audio is None else ["-map", "[sound]", "-c:a", "aac", "-b:a", "160k"]),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p", "-r", str(RATE)),
        *("-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4", f"file:{film}"),
    ]


def _video(show: Slideshow) -> list[str]:
    last = show.pictures - 1
    clips = [
        f"[{index}:v]format=yuv420p,loop=loop={_length(show, index) - 1}:size=1,settb=1/{RATE},setpts=N,fps={RATE}[p{index}]"
        for index in range(show.pictures)
    ]
    if last == 0:
        return [clips[0].replace("[p0]", "[video]")]
    if not show.overlap:
        return [
            *clips,
            f"{''.join(f'[p{index}]' for index in range(last + 1))}concat=n={last + 1}:v=1:a=0[video]",
        ]
    joined = [
        f"[{'p0' if index == 1 else f'x{index - 1}'}][p{index}]"
        f"xfade=transition={_XFADE[show.transition]}:duration={show.overlap / RATE:.6f}:offset={index * show.slot / RATE:.6f}"
        f"[{'video' if index == last else f'x{index}'}]"
        for index in range(1, last + 1)
    ]
    return [*clips, *joined]


def _length(show: Slideshow, index: int) -> int:
    """Frames for which a picture is there, those in which the next one comes included."""
    return show.slot if index == show.pictures - 1 else show.slot + show.overlap


def _sound(show: Slideshow) -> str:
    """Cut, or followed by silence; fading at the end."""
    fade = min(1.0, show.duration / 4)
    return (
        f"[{show.pictures}:a:0]aresample=48000,apad,atrim=end={show.duration:.6f},"
        f"afade=t=out:st={show.duration - fade:.6f}:d={fade:.6f}[sound]"
    )
