"""What can be read off a transcript by rules alone: sentences, chunks of a size that suits a model, words that matter. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from handlers.fireflies_api import Sentence

CHUNK_SIZE: Final = 1_200  # characters

_SAID: Final = re.compile(r"(?P<speaker>[^\W\d_][\w .'\u2019-]{0,60}):\s+(?P<text>\S.*)")
_END: Final = re.compile(r"(?<=[.!?…])\s+")
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_COMMON: Final = frozenset(
    _WORD.findall(
        """
        about after again also because been before being cannot could does doing done each even ever every from gets give goes
        going good have here into just know last like made make many maybe mean more morning most much must need next only
        other over really right said same shall should since some still such sure take than thank thanks that their them then
        there these they thing things think this those today under until very want week well were what when where which while
        will with would yeah year your
        """
    )
)


class Chunk(Struct, frozen=True, kw_only=True):
    """Some sentences in a row, whole.

    Args:
        start, end: seconds from the meeting's start, where they are known.
    """

    text: str
    speakers: list[str]
    start: float | None
    end: float | None


def sentences_of(text: str) -> list[Sentence]:
    """A transcript that came as text: a line is ``Name: what was said``, or goes on with whom the line before names.

    >>> [(said.speaker_name, said.text) for said in sentences_of("Ana: We decided. I'll write it.\\nBen: Fine.")]
    [('Ana', 'We decided.'), ('Ana', "I'll write it."), ('Ben', 'Fine.')]
    """
    said, speaker = [], None
    for line in filter(None, map(str.strip, text.splitlines())):
        named = _SAID.fullmatch(line)
        if named is not None:
            speaker = named["speaker"]
        words = line if named is None else named["text"]
        said += [Sentence(speaker_name=speaker, text=part) for part in _END.split(words)]
    return said


def chunks(sentences: Iterable[Sentence], size: int = CHUNK_SIZE) -> list[Chunk]:
    """The transcript in pieces of at most `size` characters; a sentence that is longer is one of its own.

    >>> [chunk.text for chunk in chunks(sentences_of("Ana: One. Two.\\nBen: Three."), 20)]
    ['Ana: One. Two.', 'Ben: Three.']
    """
    made: list[Chunk] = []
    held: list[Sentence] = []
    for sentence in sentences:
        if held and len(_spoken([*held, sentence])) > size:
            made.append(_chunk(held))
            held = []
        held.append(sentence)
    if held:
        made.append(_chunk(held))
    return made


def keywords(texts: Iterable[str], most: int = 8) -> list[str]:
    """The words that come up more than once, the most frequent first.

    >>> keywords(["The launch moves.", "Partners want the launch in May, the partners say. Launch!"])
    ['launch', 'partners']
    """
    counted = Counter(word for text in texts for word in _words(text))
    return [word for word, times in counted.most_common(most) if times > 1]


def telling(texts: Sequence[str], most: int = 3) -> list[str]:
    """The sentences that say most of what the others speak of too, in the order in which they were said."""
    weight = Counter(word for text in texts for word in set(_words(text)))

    def worth(index: int) -> float:
        words = set(_words(texts[index]))
        return sum(weight[word] - 1 for word in words) / (len(words) + 3)

    best = sorted(range(len(texts)), key=lambda index: (-worth(index), index))[:most]
    return [texts[index] for index in sorted(best)]


def _words(text: str) -> Iterator[str]:
    return (word for word in _WORD.findall(text.lower()) if word not in _COMMON)


def _chunk(sentences: Sequence[Sentence]) -> Chunk:
    return Chunk(
        text=_spoken(sentences),
        speakers=list(dict.fromkeys(one.speaker_name for one in sentences if one.speaker_name)),
        start=sentences[0].start_time,
        end=sentences[-1].end_time,
    )


def _spoken(sentences: Iterable[Sentence]) -> str:
    """As people write it down: a line for whoever speaks, with a name where it is known."""
    lines: list[str] = []
    speaker: str | None = None
    for number, one in enumerate(sentences):
        text = (one.text or "").strip()
        if number and one.speaker_name == speaker:
            lines[-1] += f" {text}"
        else:
            lines.append(f"{one.speaker_name}: {text}" if one.speaker_name else text)
        speaker = one.speaker_name
    return "\n".join(lines)
