"""What one song is about: sentiment, themes and key phrases, reading level, language, explicit words. Well-kept libraries do the work."""

import re
import time
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_MOST: Final = 5  # themes, and key phrases
_SPELLED: Final = {
    "en": "en_US",
    "de": "de_DE",
    "fr": "fr",
    "es": "es",
    "it": "it_IT",
    "pt": "pt_PT",
    "nl": "nl_NL",
}


def analysed(lyrics: str) -> dict[str, Any]:
    """All of it, as JSON.

    Args:
        lyrics: a line a line; at least one word.
    """
    words = [word.lower() for word in _WORD.findall(lyrics)]
    language = _language(lyrics)
    return {
        "words": len(words),
        "language": language,
        "sentiment": _sentiment(lyrics),
        "themes": _telling(lyrics, language, words=1),
        "key_phrases": _telling(lyrics, language, words=2),
        "reading_level": _reading_level(lyrics, words, language),
        "explicit": sorted(explicit_words() & set(words)),
    }


def think(how_long: timedelta) -> None:
    """Take as long as a larger model would, where that is to be tried out (``PLAYLISTS_SONG_TIME``)."""
    time.sleep(how_long.total_seconds())


@cache
def explicit_words() -> frozenset[str]:
    """The words that a list for children should not have; ``explicit.txt`` beside this file, a word a line."""
    text = (files("handlers.playlists") / "explicit.txt").read_text("utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _sentiment(lyrics: str) -> dict[str, float]:
    """-1 to 1 for the whole, from VADER's scores of its lines; and how much of it is positive, neutral, negative."""
    lines = [line for line in lyrics.splitlines() if line.strip()]
    scores = [_vader().polarity_scores(line) for line in lines]
    return {
        name: round(sum(score[key] for score in scores) / len(scores), 3)
        for name, key in (("score", "compound"), ("positive", "pos"), ("neutral", "neu"), ("negative", "neg"))
    }


def _telling(lyrics: str, language: str, *, words: int) -> list[str]:
    """The words, or the phrases of up to so many words, that tell most, the most telling first (YAKE).

    A line is a sentence: no phrase goes on in the next one.
    """
    import yake

    sentences = ".\n".join(lyrics.splitlines())
    found = yake.KeywordExtractor(lan=language, n=words, dedupLim=0.7, top=_MOST).extract_keywords(sentences)
    return [str(phrase).lower() for phrase, _ in found]


def _reading_level(lyrics: str, words: list[str], language: str) -> float | None:
    """The Flesch-Kincaid grade, a line being a sentence; None where there are no hyphenation rules for the language.

    Source: Kincaid et al., 1975: 0.39 words a sentence + 11.8 syllables a word - 15.59.
    """
    spelling = _SPELLED.get(language)
    if spelling is None or not words:
        return None
    hyphens = _hyphenation(spelling)
    syllables = sum(len(hyphens.positions(word)) + 1 for word in words)
    lines = sum(bool(_WORD.search(line)) for line in lyrics.splitlines())
    return round(max(0.39 * len(words) / lines + 11.8 * syllables / len(words) - 15.59, 0.0), 1)


def _language(lyrics: str) -> str:
    import py3langid

    return str(py3langid.classify(lyrics)[0])


@cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@cache
def _hyphenation(spelling: str) -> Any:
    import pyphen

    return pyphen.Pyphen(lang=spelling)
