"""What a file is: how long, how large, what is in it. Read from what ffmpeg says when it opens it, as no ffprobe comes with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from handlers.media.ffmpeg import said_about

_DURATION: Final = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_VIDEO: Final = re.compile(r"^ +Stream #\d+:\d+.*?: Video: (.*)$", re.MULTILINE)
_AUDIO: Final = re.compile(r"^ +Stream #\d+:\d+.*?: Audio: (.*)$", re.MULTILINE)
_SIZE: Final = re.compile(r"\b(\d{1,6})x(\d{1,6})\b")
_RATE: Final = re.compile(r"([\d.]+) fps")
_TURNED: Final = re.compile(r"rotation of -?(?:90|270)\.\d+ degrees")
_NTSC: Final = {
    "23.98": Fraction(24_000, 1_001),
    "29.97": Fraction(30_000, 1_001),
    "59.94": Fraction(60_000, 1_001),
}
_USUAL_RATE: Final = Fraction(30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One file.

    Args:
        seconds: None where the file doesn't say, or has no length.
        size: of its picture, as it is to be seen; None where it has none. A cover inside a song is none.
        rate: frames a second; 30 where the file doesn't say, or says what no screen shows.
        channels: of its sound: 0 where it has none, 1, or 2 for any that are more.
    """

    seconds: float | None
    size: tuple[int, int] | None
    rate: Fraction
    channels: int

    @property
    def has_sound(self) -> bool:
        return self.channels > 0


def probe(path: Path, formats: Sequence[str]) -> Media | None:
    """What a file is; None if it is in none of these formats."""
    return read(said_about(path, formats))


def read(said: str) -> Media | None:
    """What ffmpeg said, understood.

    >>> read('''Input #0, mov,mp4, from 'file:/tmp/a':
    ...   Duration: 00:01:02.50, start: 0.000000, bitrate: 57 kb/s
    ...   Stream #0:0[0x1](und): Video: h264 (High), yuv420p, 640x360 [SAR 1:1], 55 kb/s, 29.97 fps, 15360 tbn
    ...   Stream #0:1: Audio: aac (LC), 44100 Hz, mono''')
    Media(seconds=62.5, size=(640, 360), rate=Fraction(30000, 1001), channels=1)
    """
    if "Input #0" not in said:
        return None
    length = _DURATION.search(said)
    video = next((line for line in _VIDEO.findall(said) if "(attached pic)" not in line), "")
    sound = _AUDIO.search(said)
    size = _SIZE.search(video)
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    return Media(
        seconds=int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None,
        size=None if size is None else (height, width) if _TURNED.search(said) else (width, height),
        rate=_rate(video),
        channels=0 if sound is None else 1 if re.search(r"\bmono\b", sound[1]) else 2,
    )


def _rate(video: str) -> Fraction:
    told = _RATE.search(video)
    if told is None:
        return _USUAL_RATE
    rate = _NTSC.get(told[1]) or Fraction(told[1])
    return rate if 1 <= rate <= 60 else _USUAL_RATE
