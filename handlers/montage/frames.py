"""Frames as bytes, out of one ffmpeg and into another, so that every cut is at the frame that was meant.

A frame is yuv420p: width times height bytes of brightness, then twice a quarter of that of colour.
"""

import wave
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from handlers.media.ffmpeg import RECORDINGS, guarded, running
from handlers.media.picture import fitted

if TYPE_CHECKING:
    from numpy import int16
    from numpy.typing import NDArray

SOUND_RATE: Final = 48_000


def read(
    path: Path, *, width: int, height: int, rate: Fraction, start: int = 0, most: int | None = None
) -> Iterator[bytes]:
    """The frames of a film that a stranger sent, at a steady rate, filling the picture.

    Args:
        start: the first one, counted at that rate.
        most: how many; fewer come where the film ends. None: all.

    Raises:
        MediaError: it can't be read.
    """
    filters = f"fps={rate},{fitted(width, height, 'cover')},format=yuv420p"
    bound = () if most is None else ("-frames:v", str(most))
    seek = ("-ss", f"{float(start / rate):.6f}")
    with running(
        *seek, *guarded(path, RECORDINGS), "-map", "0:V:0", "-vf", filters, *bound, "-f", "rawvideo", "pipe:1"
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        while len(frame := process.stdout.read(size_of_frame(width, height))) == size_of_frame(width, height):
            yield frame


def write(
    film: Path, frames: Iterable[bytes], sound: Path, *, width: int, height: int, rate: Fraction, fast: bool
) -> None:
    """Encode frames and a WAV of our own: H.264 and AAC in an MP4 that can be played while it loads.

    Args:
        fast: for a preview, at the cost of its looks.
    """
    quality = ("ultrafast", "28") if fast else ("veryfast", "20")
    with running(
        *(
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-video_size",
            f"{width}x{height}",
            "-framerate",
            str(rate),
        ),
        *("-i", "pipe:0", "-f", "wav", "-i", f"file:{sound}", "-map", "0:v", "-map", "1:a"),
        *("-c:v", "libx264", "-preset", quality[0], "-crf", quality[1], "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "mp4", f"file:{film}"),
        writes=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe
        for frame in frames:
            process.stdin.write(frame)


def size_of_frame(width: int, height: int) -> int:
    """In bytes; both even."""
    return width * height * 3 // 2


def blended(first: bytes, second: bytes, share: float) -> bytes:
    """A frame between two.

    Args:
        share: of the second, 0 to 1.
    """
    import numpy as np

    one, other = (np.frombuffer(frame, np.uint8).astype(np.float32) for frame in (first, second))
    return np.rint(one + (other - one) * np.float32(share)).astype(np.uint8).tobytes()


def listen(path: Path, *, rate: int, seconds: float, channels: int) -> "NDArray[int16]":
    """The samples of a sound that a stranger sent, from the beginning: an array of samples by channels.

    Raises:
        MediaError: it can't be read.
    """
    import numpy as np

    with running(
        *("-t", f"{seconds:.6f}", *guarded(path, RECORDINGS), "-map", "0:a:0"),
        *("-af", "aresample=async=1:first_pts=0", "-ac", str(channels), "-ar", str(rate)),
        *("-f", "s16le", "pipe:1"),
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        content = process.stdout.read()
    return np.frombuffer(content, np.int16).reshape(-1, channels)


def keep_sound(path: Path, samples: "NDArray[int16]") -> None:
    """Write samples of `SOUND_RATE` as a WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(samples.itemsize)
        file.setframerate(SOUND_RATE)
        file.writeframes(samples.tobytes())
