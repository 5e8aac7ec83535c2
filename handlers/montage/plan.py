"""A montage as a list of shots, each of a clip, cut where the music has its beats. Pure.

All is counted in frames of `RATE` a second, so that a preview and the final video have the same cuts.
"""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

Style = Literal["calm", "lively", "hectic"]

RATE: Final = 30
_SHORTEST: Final = 8  # frames of a shot; a beat that would leave less is passed over


class Preset(Struct, frozen=True):
    """What a style means.

    Args:
        beats: from cut to cut.
        dissolve: frames in which one shot passes into the next, half of them before the beat; 0: a hard cut.
    """

    beats: int
    dissolve: int


PRESETS: Final[dict[Style, Preset]] = {
    "calm": Preset(beats=4, dissolve=12),
    "lively": Preset(beats=2, dissolve=0),
    "hectic": Preset(beats=1, dissolve=0),
}


class Shot(Struct, frozen=True):
    """Some frames of a clip.

    Args:
        clip: its place in the list of clips.
        start: where in the clip, in frames.
        at: where in the montage.
        frames: how many, to the next cut.
    """

    clip: int
    start: int
    at: int
    frames: int


class Plan(Struct, frozen=True):
    """All that it takes to render the montage, at any size. Kept in the result of a preview."""

    clips: list[str]
    music: str
    style: Style
    width: int
    height: int
    shots: list[Shot]

    @property
    def frames(self) -> int:
        last = self.shots[-1]
        return last.at + last.frames

    @property
    def cuts(self) -> list[float]:
        """In seconds."""
        return [round(shot.at / RATE, 3) for shot in self.shots[1:]]


def cut_points(beats: Sequence[float], style: Style, frames: int) -> list[int]:
    """The frames at which a shot begins, 0 first.

    Args:
        beats: in seconds.
        frames: of the whole.

    >>> cut_points([0.5, 1.0, 1.5, 2.0, 2.5], "lively", 90)
    [0, 15, 45, 75]
    """
    points = [0]
    for beat in beats[:: PRESETS[style].beats]:
        frame = round(beat * RATE)
        if points[-1] + _SHORTEST <= frame <= frames - _SHORTEST:
            points.append(frame)
    return points


def shots(points: Sequence[int], lengths: Sequence[int], frames: int) -> list[Shot]:
    """The clips in turn; each goes on where it was left, and begins again when it is used up.

    Args:
        lengths: of the clips, in frames.

    >>> [(shot.clip, shot.start, shot.frames) for shot in shots([0, 10, 20, 30], [100, 15], 40)]
    [(0, 0, 10), (1, 0, 10), (0, 10, 10), (1, 0, 10)]
    """
    left_at = [0] * len(lengths)
    made = []
    for index, (at, end) in enumerate(zip(points, [*points[1:], frames], strict=True)):
        clip = index % len(lengths)
        start = left_at[clip] if left_at[clip] + end - at <= lengths[clip] else 0
        left_at[clip] = start + end - at
        made.append(Shot(clip, start, at, end - at))
    return made
