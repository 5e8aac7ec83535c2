"""What an attempt works on: clips and sounds, each loaded once. What can't be used is a `Reject` that names the item."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handlers import Context, Reject
from handlers.media.ffmpeg import MediaError
from handlers.media.inputs import with_pictures, with_sound
from handlers.media.probe import Media
from handlers.montage import frames

if TYPE_CHECKING:
    from numpy import int16
    from numpy.typing import NDArray


class Material:
    """Of one attempt."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._films: dict[str, tuple[Path, Media]] = {}
        self._sounds: dict[str, tuple[Path, Media]] = {}

    def clips(self, references: Sequence[str]) -> list[tuple[Path, Media]]:
        """The films, in their order."""
        return [
            self.film(f"clip {number} ({reference})", reference)
            for number, reference in enumerate(references, 1)
        ]

    def film(self, name: str, reference: str) -> tuple[Path, Media]:
        """A film that says how long it is."""
        if reference not in self._films:
            self._films[reference] = with_pictures(self._context, name, reference)
        return self._films[reference]

    def music(self, reference: str, *, rate: int, seconds: float, mixed: bool = False) -> "NDArray[int16]":
        """The samples of the music, so many seconds at the most; `mixed` into one channel, or in one or two as they come."""
        name = f"music ({reference})"
        if reference not in self._sounds:
            self._sounds[reference] = with_sound(self._context, name, reference)
        path, media = self._sounds[reference]
        return heard(name, path, rate=rate, seconds=seconds, channels=1 if mixed else media.channels)


def heard(name: str, path: Path, *, rate: int, seconds: float, channels: int) -> "NDArray[int16]":
    """The samples of a file."""
    try:
        return frames.listen(path, rate=rate, seconds=seconds, channels=channels)
    except MediaError as error:
        raise Reject(f"{name}: can't be read: {error}") from error
