"""ffmpeg, run as a child process: the binary of ``imageio-ffmpeg``, arguments as a list, no shell.

HooklineError
└── MediaError   ffmpeg could not do it; the text is the last that it said

A file that a stranger sent is opened with `guarded` alone: it has to be one of a few formats that hold their own content, so no
playlist, no list of files, no drawing that refers elsewhere; and whatever it is, it reaches files and pipes, never a network.

The processes stay in the group of the handler's own: with ``isolation="process"`` a timeout, a cancel and the death of the worker
end them too.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Final

from infra.errors import HooklineError

PICTURES: Final = ("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "gif")
RECORDINGS: Final = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "mp3", "wav", "flac", "aac", "aiff",
)  # fmt: skip
_LAST_WORDS: Final = 500  # characters of what ffmpeg said that are shown


class MediaError(HooklineError):
    """ffmpeg ended with an error."""


@cache
def program() -> str:
    """The path of the binary."""
    from imageio_ffmpeg import get_ffmpeg_exe

    path: str = get_ffmpeg_exe()
    return path


def guarded(path: Path, formats: Sequence[str]) -> list[str]:
    """The arguments that open a file that may be hostile.

    >>> guarded(Path("/tmp/a"), ["wav", "mp3"])
    ['-protocol_whitelist', 'file,pipe', '-format_whitelist', 'wav,mp3', '-i', 'file:/tmp/a']
    """
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(formats)),
        *("-i", f"file:{path}"),
    ]


@contextmanager
def running(*arguments: str, writes: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
    """ffmpeg at work, its standard output a pipe; it is gone afterwards, whatever happens.

    Args:
        writes: whether its standard input is a pipe, too; it is closed at the end.

    Raises:
        MediaError: it ended with an error.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - no shell; paths are our own
            [
                program(),
                "-hide_banner",
                "-loglevel",
                "error",
                "-y",
                *([] if writes else ["-nostdin"]),
                *arguments,
            ],
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            yield process
            if process.stdin is not None:
                process.stdin.close()
            failed = process.wait() != 0
        except BrokenPipeError:
            failed = True
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)
        if failed:
            raise MediaError(_last_words(said))


def convert(*arguments: str, told: Callable[[int], None] | None = None) -> None:
    """Run ffmpeg to its end.

    Args:
        told: called with the number of frames that are done, a few times a second.

    Raises:
        MediaError: it ended with an error.
    """
    with running("-progress", "pipe:1", "-nostats", *arguments) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        for line in process.stdout:
            name, _, value = line.decode(errors="replace").strip().partition("=")
            if name == "frame" and told is not None and value.strip().isdigit():
                told(int(value))


def said_about(path: Path, formats: Sequence[str]) -> str:
    """What ffmpeg says when it opens a file: its streams, or why it can't."""
    asked = subprocess.run(  # noqa: S603 - as above
        [program(), "-hide_banner", "-nostdin", *guarded(path, formats)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return asked.stderr.decode(errors="replace")


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None and not pipe.closed:
        try:
            pipe.close()
        except BrokenPipeError:
            return


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode(errors="replace").strip()[-_LAST_WORDS:] or "ffmpeg was ended"
