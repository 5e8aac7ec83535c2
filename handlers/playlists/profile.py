"""What a whole playlist is like, and which of its songs are unlike the others. Pure functions of the songs' analyses."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median, pstdev
from typing import Any, Final

_THEMES: Final = 10
_FAR: Final = 2.0  # standard deviations from the mean
_ENOUGH: Final = 5  # songs, for one of them to stand out


def of(songs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The profile of some songs.

    >>> song = {"title": "a", "sentiment": {"score": 0.5}, "reading_level": 3.0, "language": "en", "themes": ["rain"], "explicit": [], "words": 9}
    >>> of([song, song])["sentiment"]
    {'mean': 0.5, 'median': 0.5, 'spread': 0.0}
    """
    if not songs:
        return {"songs": 0}
    moods = [song["sentiment"]["score"] for song in songs]
    levels = [song["reading_level"] for song in songs if song["reading_level"] is not None]
    return {
        "songs": len(songs),
        "words": sum(song["words"] for song in songs),
        "sentiment": _spread(moods),
        "reading_level": _spread(levels) if levels else None,
        "languages": dict(Counter(song["language"] for song in songs).most_common()),
        "themes": [
            theme for theme, _ in Counter(t for song in songs for t in song["themes"]).most_common(_THEMES)
        ],
        "explicit": [song["title"] for song in songs if song["explicit"]],
        "outliers": outliers(songs),
    }


def outliers(songs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The songs whose mood is far from that of the others, the farthest first."""
    moods = [song["sentiment"]["score"] for song in songs]
    spread = pstdev(moods)
    if len(songs) < _ENOUGH or spread == 0:
        return []
    mean = fmean(moods)
    found = [
        {"title": song["title"], "sentiment": mood, "distance": round((mood - mean) / spread, 2)}
        for song, mood in zip(songs, moods, strict=True)
        if abs(mood - mean) >= _FAR * spread
    ]
    return sorted(found, key=lambda one: -abs(one["distance"]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(fmean(values), 3),
        "median": round(median(values), 3),
        "spread": round(pstdev(values), 3),
    }
