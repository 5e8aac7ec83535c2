"""What a payload refers to, loaded and looked at. What can't be used is a `Reject` that names the item."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from handlers import Context, Reject
from handlers.media import ffmpeg
from handlers.media.probe import Media, probe
from infra.egress import Blocked
from infra.files import FileMissing, FileTooLarge

MOST_PIXELS: Final = 50_000_000  # of a picture or a frame
Reference = Annotated[str, Meta(min_length=1, max_length=2_000)]


def loaded(context: Context, name: str, reference: str) -> Path:
    """The file that an id of ``POST /files`` or an https URL stands for.

    Args:
        name: of the item, for the `Reject`.
    """
    try:
        path: Path = context.download(reference)
    except (FileMissing, FileTooLarge, Blocked) as error:
        raise Reject(f"{name}: {error}") from error
    return path


def recording(context: Context, name: str, reference: str) -> tuple[Path, Media]:
    """A sound or a film."""
    path = loaded(context, name, reference)
    found = probe(path, ffmpeg.RECORDINGS)
    if found is None:
        raise Reject(f"{name}: no recording; MP4, MKV, MP3, WAV, M4A, FLAC, Ogg and the like are known")
    return path, found


def with_sound(context: Context, name: str, reference: str) -> tuple[Path, Media]:
    """A recording in which there is something to hear."""
    path, found = recording(context, name, reference)
    if not found.has_sound:
        raise Reject(f"{name}: there is no sound in it")
    return path, found


def with_pictures(context: Context, name: str, reference: str) -> tuple[Path, Media]:
    """A recording in which there is something to see, and that says how long it is."""
    path, found = recording(context, name, reference)
    if found.size is None or not found.seconds:
        raise Reject(f"{name}: there is no film in it")
    check_size(name, found.size)
    return path, found


def check_size(name: str, size: tuple[int, int]) -> None:
    """Whether it can be unpacked without harm.

    Raises:
        Reject: it is too large.
    """
    width, height = size
    if width * height > MOST_PIXELS:
        raise Reject(f"{name}: {width}x{height} is too large, {MOST_PIXELS:,} pixels at the most")
