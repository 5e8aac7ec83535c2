"""Which of several servers has what: each shard is a whole ledger on a server of its own (ADR 0021).

Pure functions. A shard goes by its number: its place in ``HOOKLINE_SHARDS``.
"""

from hashlib import blake2s
from typing import Final

from infra.ids import ALPHABET

MOST_SHARDS: Final = len(ALPHABET)  # what one letter of an id tells apart

_TIME: Final = 10  # letters of an id's suffix that are time; the next is the shard's
_MASK: Final = (1 << 64) - 1


def shard_of(words: str, shards: int) -> int:
    """Where what these words name belongs, the same in every process and for ever.

    One more shard at the end takes an even share from each of the others, and nothing else moves: Lamping and Veach's jump
    consistent hash, https://arxiv.org/abs/1406.2294.

    Args:
        shards: how many there are, at least 1.

    >>> [shard_of(f"acme {number}", 3) for number in range(8)]
    [0, 0, 0, 1, 0, 1, 2, 0]
    """
    key = int.from_bytes(blake2s(words.encode("utf-8", "backslashreplace"), digest_size=8).digest())
    found, following = 0, 0
    while following < shards:
        found = following
        key = (key * 2862933555777941757 + 1) & _MASK
        following = int((found + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return found


def in_shard(id_: str, shard: int) -> str:
    """An id that tells its shard, in place of five bits of its chance.

    >>> in_shard("evt_01k00000000000000000000000", 3)
    'evt_01k00000003000000000000000'
    """
    place = id_.index("_") + 1 + _TIME
    return id_[:place] + ALPHABET[shard] + id_[place + 1 :]


def shard_in(id_: str) -> int:
    """The shard that an id tells of, if it was made to tell: in any other id it is chance.

    >>> shard_in("job_01k00000003000000000000000")
    3
    """
    return ALPHABET.index(id_[id_.index("_") + 1 + _TIME])
