"""The frames of a montage, shot after shot, as its `Plan` says."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from handlers import Reject
from handlers.media.ffmpeg import MediaError
from handlers.montage import frames
from handlers.montage.plan import PRESETS, RATE, Plan, Shot


def montage(plan: Plan, clips: Sequence[Path], *, width: int, height: int) -> Iterator[bytes]:
    """Exactly as many frames as the plan has.

    Around a cut the shots are blended over as many frames as the style has: of the one before some more are taken than it is long,
    of the one that follows some that come before it.

    Raises:
        Reject: a clip has no frames where it should.
    """
    ending: list[bytes] = []
    for index, shot in enumerate(plan.shots):
        before, after = half(plan, index), half(plan, index + 1)
        passes_from = before + shot.frames - after
        begun, ending = ending, []
        for place, frame in enumerate(
            _material(plan, clips, shot, before, after, width=width, height=height)
        ):
            if place < len(begun):
                yield frames.blended(begun[place], frame, (place + 0.5) / len(begun))
            elif place < passes_from:
                yield frame
            else:
                ending.append(frame)


def half(plan: Plan, index: int) -> int:
    """Frames of a dissolve on each side of the cut at which a shot begins; never more than half a shot."""
    if not 0 < index < len(plan.shots):
        return 0
    shortest = min(plan.shots[index - 1].frames, plan.shots[index].frames)
    return min(PRESETS[plan.style].dissolve, shortest) // 2


def steady(found: Iterator[bytes], count: int, name: str) -> Iterator[bytes]:
    """So many frames: the last one stays where the film ends.

    Args:
        name: of the film, for the `Reject`.

    >>> list(steady(iter([b"a", b"b"]), 4, "clip 1"))
    [b'a', b'b', b'b', b'b']
    """
    last = None
    try:
        for _ in range(count):
            last = next(found, last)
            if last is None:
                raise Reject(f"{name}: it ends before it should")
            yield last
    except MediaError as error:
        raise Reject(f"{name}: can't be read: {error}") from error


def _material(
    plan: Plan, clips: Sequence[Path], shot: Shot, before: int, after: int, *, width: int, height: int
) -> Iterator[bytes]:
    count = before + shot.frames + after
    found = frames.read(
        clips[shot.clip],
        width=width,
        height=height,
        rate=Fraction(RATE),
        start=max(shot.start - before, 0),
        most=count,
    )
    return steady(found, count, f"clip {shot.clip + 1} ({plan.clips[shot.clip]})")
