"""As much as a page shows at first of what somebody sent or a handler gave: pages stay small, whatever they are about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import escape

FIRST: Final = 8_000  # bytes, as the page writes them
WHOLE: Final = 100_000  # characters, for whoever asks for the whole
_ROW: Final = 300  # bytes around a line, about


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text.

    Args:
        cut: there is more of it.
        more: as much more that a page may show it, where it is asked for the whole.
    """

    text: str
    cut: bool = False
    more: bool = False


def excerpt(text: str, *, whole: bool) -> Excerpt:
    """Its beginning; or, where the whole is asked for, as much as any page holds.

    >>> excerpt("short", whole=False)
    Excerpt(text='short', cut=False, more=False)
    >>> first = excerpt('"' * 9_000, whole=False)  # each is written as five
    >>> len(first.text), first.cut, first.more
    (1600, True, True)
    """
    shown = text[:WHOLE] if whole else _within(text)
    return Excerpt(shown, cut=len(shown) < len(text), more=not whole and len(shown) < len(text))


def result_excerpt(result: Any, *, whole: bool) -> Excerpt | None:
    """That of what a job came to, laid out; None where that is nothing."""
    return None if result is None else excerpt(json.dumps(result, indent=2, ensure_ascii=False), whole=whole)


def latest(lines: Sequence[Mapping[str, Any]], *, whole: bool) -> Sequence[Mapping[str, Any]]:
    """The newest lines of a log: as many as a page shows at first, and never none.

    >>> lines = [{"message": "x" * 1_500} for _ in range(9)]
    >>> len(latest(lines, whole=False)), len(latest(lines, whole=True)), len(latest([{"message": "x" * 9_000}], whole=False))
    (4, 9, 1)
    """
    left = FIRST
    for count, line in enumerate(() if whole else reversed(lines)):
        left -= _ROW + _written(str(line.get("message", "")))
        if left < 0 and count:
            return lines[len(lines) - count :]
    return lines


def _written(text: str) -> int:
    """The bytes that a page writes it as."""
    return len(str(escape(text)).encode("utf-8", "replace"))


def _within(text: str) -> str:
    """As much as takes so many bytes once it is escaped."""
    left = FIRST
    for place, character in enumerate(text[:FIRST]):
        left -= _written(character)
        if left < 0:
            return text[:place]
    return text[:FIRST]
