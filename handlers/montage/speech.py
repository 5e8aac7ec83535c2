"""A recording without the spans that go: its frames, and its sound, cross-faded at each cut."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from handlers.montage.frames import SOUND_RATE
from handlers.montage.words import Kept

if TYPE_CHECKING:
    from numpy import int16
    from numpy.typing import NDArray

_HALF_FADE: Final = SOUND_RATE // 100  # samples on each side of a cut: 10 ms


def pictures(found: Iterable[bytes], spans: Sequence[Kept]) -> Iterator[bytes]:
    """The frames that stay.

    >>> list(pictures([b"0", b"1", b"2", b"3"], [Kept(0, 1), Kept(3, 4)]))
    [b'0', b'3']
    """
    remaining = list(reversed(spans))
    for number, frame in enumerate(found):
        while remaining and number >= remaining[-1].end:
            remaining.pop()
        if not remaining:
            return
        if number >= remaining[-1].start:
            yield frame


def sound(samples: "NDArray[int16]", spans: Sequence[Kept], rate: Fraction) -> "NDArray[int16]":
    """The sound that stays, as long as the frames that do.

    At a cut the end of one span goes on for 10 ms into what was taken out, while the next comes in 10 ms early.

    Args:
        samples: by channels, `SOUND_RATE` a second; silence follows where they end.
    """
    import numpy as np

    edges = [(_sample(span.start, rate), _sample(span.end, rate)) for span in spans]
    missing = max(edges[-1][1] + _HALF_FADE - len(samples), 0)
    samples = np.pad(samples, ((0, missing), (0, 0)))
    pieces, skipped = [], 0
    for (start, end), (following, its_end) in pairwise(edges):
        half = min(_HALF_FADE, (end - start) // 2, (its_end - following) // 2)
        pieces.append(samples[start + skipped : end - half])
        pieces.append(_faded(samples[end - half : end + half], samples[following - half : following + half]))
        skipped = half
    start, end = edges[-1]
    return np.concatenate([*pieces, samples[start + skipped : end]])


def _faded(first: "NDArray[int16]", second: "NDArray[int16]") -> "NDArray[int16]":
    """One into the other at equal power."""
    import numpy as np

    turn = (np.arange(len(first))[:, np.newaxis] + 0.5) / max(len(first), 1) * np.pi / 2
    mixed = first * np.cos(turn) + second * np.sin(turn)
    faded: NDArray[int16] = np.rint(np.clip(mixed, -32_768, 32_767)).astype(np.int16)
    return faded


def _sample(frame: int, rate: Fraction) -> int:
    return round(frame * SOUND_RATE / rate)
