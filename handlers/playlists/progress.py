"""How far a playlist is, and how far several of them are together."""

from collections.abc import Sequence

from handlers.services import JobState
from infra.ledger.records import Progress
from infra.words import counted


def of_songs(titles: Sequence[str], states: Sequence[JobState], *, known: int) -> Progress:
    """How many songs are done, and which one is being worked on.

    Args:
        titles: of the songs that have jobs, in the order of their states.
        known: how many more there are, which an earlier job has done.
    """
    total = known + len(titles)
    done = known + sum(not state.open for state in states)
    return Progress(
        current=done,
        total=total,
        message=f"song {min(done + 1, total)} of {total}",
        stage="songs",
        item=next((title for title, state in zip(titles, states, strict=True) if _begun(state)), None),
    )


def of_playlists(names: Sequence[str], counts: Sequence[int | None], states: Sequence[JobState]) -> Progress:
    """The songs of all playlists together. A playlist that has ended counts whole, so the percent never falls.

    Args:
        counts: how many songs each has; None: they are in a file, and the playlist's job will tell. Until all have told, the total
            is not known.
    """
    sizes = [_size(count, state) for count, state in zip(counts, states, strict=True)]
    known = [size for size in sizes if size is not None]
    done = sum(_done(size, state) for size, state in zip(sizes, states, strict=True))
    total = sum(known) if len(known) == len(sizes) else None
    return Progress(
        current=done,
        total=total,
        message=counted(done, "song") if total is None else f"{done} of {total} songs",
        stage="playlists",
        item=next((name for name, state in zip(names, states, strict=True) if _begun(state)), None),
    )


def _size(count: int | None, state: JobState) -> int | None:
    if count is not None:
        return count
    if state.progress is not None and state.progress.total is not None:
        return int(state.progress.total)
    return None if state.open else 0


def _done(size: int | None, state: JobState) -> int:
    if not state.open:
        return size or 0
    return 0 if state.progress is None else int(state.progress.current)


def _begun(state: JobState) -> bool:
    """Whether it is at work; a playlist that waits for its songs is ``scheduled``."""
    return state.status == "started" or (state.status == "scheduled" and state.progress is not None)
