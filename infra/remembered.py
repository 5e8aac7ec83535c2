"""What was made of something, kept as long as that is the same: who polls mostly finds what was there before."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """The last results of a function, by a key, each beside what it was made of.

    Args:
        most: so many are kept, those that were wanted last.
        fits: whether something is small enough to be kept, as what it was made of and as a result.

    >>> remembered = Remembered(most=2, fits=lambda words, count: len(words) < 9)
    >>> [remembered.of("a", words, lambda: print("made") or len(words)) for words in ("one", "one", "three")]
    made
    made
    [3, 3, 5]
    """

    def __init__(self, *, most: int, fits: Callable[[Any, _T], bool]) -> None:
        self._known: OrderedDict[Hashable, tuple[Any, _T]] = OrderedDict()
        self._most = most
        self._fits = fits

    def of(self, key: Hashable, made_of: Any, make: Callable[[], _T]) -> _T:
        """What was made of an equal thing, or is made of it now."""
        known = self._known.get(key)
        if known is not None and known[0] == made_of:
            self._known.move_to_end(key)
            return known[1]
        made = make()
        self._known.pop(key, None)
        if self._fits(made_of, made):
            self._known[key] = made_of, made
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return made
