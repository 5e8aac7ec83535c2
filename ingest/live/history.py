"""The last changes, kept by the process that reads them, for watchers that come back."""

from typing import Final

from infra.ledger.live import Change, Page, Position

MOST_KEPT: Final = 10_000  # as the stream itself keeps, about


class History:
    """Every change behind `begin`, up to `end`; both move on.

    >>> from infra.ledger.records import JobStatus
    >>> first, second = (Change(Position(n, 0, 0), "job_1", JobStatus.QUEUED) for n in (1, 2))
    >>> history = History(Position(1, 0))
    >>> history.append(Page([second], Position(2, 0)))
    >>> history.prepend([first], Position(0, 0))
    >>> history.behind(Position(0, 0)) == [first, second], history.behind(Position(1, 0)) == [second]
    (True, True)
    >>> history.behind(Position(1, 7)) is None
    True
    """

    def __init__(self, end: Position, *, most: int = MOST_KEPT) -> None:
        self.begin = self.end = end
        self._changes: list[Change] = []
        self._most = most

    def append(self, page: Page) -> None:
        """What comes next; the oldest changes make room for it, a few at a time."""
        self._changes += page.changes
        self.end = page.end
        if len(self._changes) > self._most * 5 // 4:
            cut = len(self._changes) - self._most
            self.begin = self._changes[cut - 1].position
            del self._changes[:cut]

    def prepend(self, changes: list[Change], begin: Position) -> None:
        """What came before, from another beginning on."""
        self._changes[:0] = changes
        self.begin = begin

    def behind(self, position: Position) -> list[Change] | None:
        """The changes behind a place that was told of, here or elsewhere; None where it is not known here."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.position <= position:
                return found[::-1] if change.position[:2] == position[:2] else None
            found.append(change)
        return found[::-1] if position[:2] == self.begin[:2] else None
