"""A transcript becomes minutes: who spoke how much, what was decided, who does what. Pure.

Action items are Fireflies' own where its summary has them. It has no field for decisions, and no action items when
the summary was skipped or failed: then the sentences are searched for the phrases that people use in meetings.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from handlers.fireflies_api import Sentence, Transcript
from infra.clock import from_unix_milliseconds, rfc3339

UNKNOWN_SPEAKER = "Unknown"
LONGEST_MEETING = 100 * 3600
_OWNER = re.compile(r"\*\*(?P<owner>.+?)\*\*:?\s*(?P<rest>.*)")
_BULLET = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_TIME = re.compile(r"\s*[(\[](?P<time>(?:\d{1,2}:)?\d{1,2}:\d{2})[)\]]\s*$")
_DECISION = re.compile(
    r"\b(?:decision is|decided|agreed (?:to|on|that)|let['\u2019]s go with|we(?:['\u2019]ll| will) go with|we(?:['\u2019]re| are) going with)\b",
    re.IGNORECASE,
)
_COMMITMENT = re.compile(
    r"\b(?:action item|I['\u2019]ll|I will|(?:can|could) you|(?:please|will you) (?:send|check|write|prepare|update|share))\b",
    re.IGNORECASE,
)


def minutes_of(transcript: Transcript) -> dict[str, Any]:
    """The handler's result.

    >>> minutes_of(Transcript(id="m1", title="Stand-up"))["speakers"]
    []
    """
    sentences = [sentence for sentence in transcript.sentences or () if (sentence.text or "").strip()]
    summary = transcript.summary
    items = action_items(summary.action_items) if summary else []
    return {
        "meeting": {
            "id": transcript.id,
            "title": transcript.title,
            "date": _date(transcript.date),
            "minutes": transcript.duration,
            "organizer": transcript.organizer_email,
            "url": transcript.transcript_url,
        },
        "summary": (summary.overview or summary.short_summary) if summary else None,
        "keywords": _lines(summary.keywords, separator=",") if summary else [],
        "action_items": items or commitments(sentences),
        "decisions": decisions(sentences),
        "speakers": speaker_shares(sentences),
    }


def action_items(written: str | list[str] | None) -> list[dict[str, Any]]:
    """Fireflies' action items: lines under an owner's name in bold, each with the moment it was said, if known.

    >>> action_items("**Ana**\\nSend the offer (02:10)\\n**Ben**\\n- Book a room")
    [{'text': 'Send the offer', 'owner': 'Ana', 'at': '02:10'}, {'text': 'Book a room', 'owner': 'Ben', 'at': None}]
    """
    items: list[dict[str, Any]] = []
    owner: str | None = None
    for line in _lines(written, separator="\n"):
        text = line
        if heading := _OWNER.fullmatch(text):
            owner, text = heading["owner"].strip(" :"), heading["rest"]
        time = _TIME.search(text)
        text = _BULLET.sub("", _TIME.sub("", text)).strip()
        if text:
            items.append({"text": text, "owner": owner, "at": time["time"] if time else None})
    return items


def commitments(sentences: Iterable[Sentence]) -> list[dict[str, Any]]:
    """What people said they would do, where no summary says it.

    >>> commitments([Sentence(speaker_name="Ana", text="I'll send the offer.", start_time=130)])
    [{'text': "I'll send the offer.", 'owner': 'Ana', 'at': '02:10'}]
    """
    return [
        {"text": _text(sentence), "owner": _speaker(sentence), "at": _clock_time(sentence.start_time)}
        for sentence in sentences
        if _COMMITMENT.search(_text(sentence))
    ]


def decisions(sentences: Iterable[Sentence]) -> list[dict[str, Any]]:
    """Sentences that settle something; a question whether it is settled does not.

    >>> decisions([Sentence(text="Have we decided on the date?"), Sentence(speaker_name="Ana", text="We decided on May.")])
    [{'text': 'We decided on May.', 'by': 'Ana', 'at': None}]
    """
    return [
        {"text": _text(sentence), "by": _speaker(sentence), "at": _clock_time(sentence.start_time)}
        for sentence in sentences
        if _DECISION.search(_text(sentence)) and not _text(sentence).endswith("?")
    ]


def speaker_shares(sentences: Iterable[Sentence]) -> list[dict[str, Any]]:
    """Who spoke how much, the most talkative first: by time, or by words if not every sentence has its times.

    >>> [(who["name"], who["share"]) for who in speaker_shares([Sentence(speaker_name="Ana", text="one two"), Sentence(text="three")])]
    [('Ana', 0.6667), ('Unknown', 0.3333)]
    """
    words: defaultdict[str, int] = defaultdict(int)
    seconds: defaultdict[str, float] = defaultdict(float)
    all_timed = True
    for sentence in sentences:
        words[_speaker(sentence)] += len(_text(sentence).split())
        length = _seconds(sentence)
        all_timed = all_timed and length is not None
        seconds[_speaker(sentence)] += length or 0
    by_time = all_timed and any(seconds.values())
    amounts = seconds if by_time else words
    total = sum(amounts.values()) or 1
    return [
        {
            "name": speaker,
            "seconds": round(seconds[speaker], 1) if by_time else None,
            "words": words[speaker],
            "share": round(amounts[speaker] / total, 4),
        }
        for speaker in sorted(words, key=lambda name: -amounts[name])
    ]


def _lines(written: str | list[str] | None, *, separator: str) -> list[str]:
    parts = (
        written.split(separator)
        if isinstance(written, str)
        else [line for entry in written or () for line in entry.split("\n")]
    )
    return [part.strip() for part in parts if part.strip()]


def _text(sentence: Sentence) -> str:
    return (sentence.text or "").strip()


def _speaker(sentence: Sentence) -> str:
    return (sentence.speaker_name or "").strip() or UNKNOWN_SPEAKER


def _seconds(sentence: Sentence) -> float | None:
    """How long it took, if its times make sense."""
    start, end = sentence.start_time, sentence.end_time
    if start is None or end is None or not 0 <= start <= end <= LONGEST_MEETING:
        return None
    return end - start


def _clock_time(seconds: float | None) -> str | None:
    """As the action items have it: ``02:10``, or ``1:02:10`` past the hour."""
    if seconds is None or not 0 <= seconds <= LONGEST_MEETING:
        return None
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def _date(milliseconds: float | None) -> str | None:
    try:
        return None if milliseconds is None else rfc3339(from_unix_milliseconds(int(milliseconds)))
    except (ValueError, OverflowError, OSError):
        return None
