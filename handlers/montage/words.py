"""What is left of a recording when words are taken out of it. Pure."""

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class Word(Struct, frozen=True):
    """A word that was said, in seconds from the beginning."""

    text: str
    start: Seconds
    end: Seconds


class Kept(Struct, frozen=True):
    """Frames that stay, the end excluded."""

    start: int
    end: int


def kept(words: Sequence[Word], removed: Collection[int], *, rate: Fraction, frames: int) -> list[Kept]:
    """What stays. Words that follow each other go together with the pause between them.

    Args:
        words: in the order in which they were said.
        removed: the places of those that go.
        rate: frames a second.
        frames: of the whole.

    >>> said = [Word("so", 0, 0.4), Word("um", 0.5, 0.9), Word("er", 1, 1.4), Word("yes", 1.5, 2)]
    >>> kept(said, {1, 2}, rate=Fraction(10), frames=25)
    [Kept(start=0, end=5), Kept(start=14, end=25)]
    """
    spans, at = [], 0
    for goes, run in groupby(range(len(words)), key=lambda place: place in removed):
        places = list(run)
        if goes:
            spans.append((at, _frame(words[places[0]].start, rate)))
            at = max(at, _frame(max(words[place].end for place in places), rate))
    spans.append((at, frames))
    return [Kept(start, min(end, frames)) for start, end in spans if min(end, frames) > start]


def moved(
    words: Sequence[Word], removed: Collection[int], spans: Iterable[Kept], *, rate: Fraction
) -> list[Word]:
    """The words that stay, with the times at which they are heard now."""
    places = []
    before = 0
    for span in spans:
        places.append((float(span.start / rate), float(span.end / rate), float(before / rate)))
        before += span.end - span.start

    def heard(moment: float) -> float:
        now = 0.0
        for start, end, at in places:
            if moment >= start:
                now = at + min(moment, end) - start
        return round(now, 3)

    return [
        Word(word.text, heard(word.start), heard(word.end))
        for place, word in enumerate(words)
        if place not in removed
    ]


def _frame(seconds: float, rate: Fraction) -> int:
    return round(Fraction(seconds) * rate)
