"""Ids: a prefix that says what it is, then a ULID (48 bits of time, 80 of chance).

An event and the first job made for it share the part behind the prefix: ``evt_01k…`` and ``job_01k…``,
and the callback of a job's first round is ``cb_01k…``. A replay is a new job, with a part of its own.
Letters and digits only, lower case: RQ refuses anything but ``[A-Za-z0-9_-]`` in a job's id.

Source: https://github.com/ulid/spec, in lower case.
"""

import os
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, reduce
from hashlib import blake2s

from infra.clock import from_unix_milliseconds, wall_milliseconds

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_LETTERS = bytes(ord(ALPHABET[byte % 32]) for byte in range(256))  # five bits of a byte are a letter
_SUFFIX = re.compile(r"[0-9a-hjkmnp-tv-z]{26}", re.ASCII)

EVENT, JOB, CALLBACK, RECEIVER, FILE = "evt_", "job_", "cb_", "rcv_", "file_"
REPLAY, BATCH = "rep_", "bat_"


def new_suffix(
    *,
    milliseconds: Callable[[], int] = wall_milliseconds,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> str:
    """A new ULID in lower case, 26 characters, in order of time.

    >>> new_suffix(milliseconds=lambda: 0, random_bytes=bytes)
    '00000000000000000000000000'
    """
    return _time_in_letters(milliseconds()) + random_bytes(16).translate(_LETTERS).decode()


def suffix_of(bits: bytes) -> str:
    """The ULID of 16 bytes, as the standard writes them: 6 of time, 10 of chance.

    >>> suffix_of(bytes(15) + bytes([33]))
    '00000000000000000000000011'
    """
    value = int.from_bytes(bits)
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def suffix_after(id_: str, *, seed: str) -> str:
    """The same suffix whenever asked for with the same words: of the time of an id, its chance drawn from a seed.

    >>> suffix_after("rep_01k00000000000000000000000", seed="evt_1")
    '01k0000000ckaba30q5km77v2j'
    """
    chance = blake2s(f"{id_} {seed}".encode(), digest_size=10).digest()
    return id_.partition("_")[2][:10] + suffix_of(bytes(6) + chance)[10:]


def is_id(text: str, prefix: str) -> bool:
    """Whether a text has the shape of an id of that kind; a path parameter that has not is a 404.

    >>> is_id("job_00000000000000000000000000", JOB), is_id("job_../x", JOB)
    (True, False)
    """
    return (
        text.startswith(prefix)
        and _SUFFIX.fullmatch(text[len(prefix) :].split("-", maxsplit=1)[0]) is not None
    )


def time_of(id_: str) -> datetime:
    """When an id was made, by the clock of the process that made it.

    >>> time_of("job_01k00000000000000000000000").isoformat()
    '2025-07-12T18:57:36.768000+00:00'
    """
    letters = id_.partition("_")[2][:10]
    return from_unix_milliseconds(
        reduce(lambda value, letter: value * 32 + ALPHABET.index(letter), letters, 0)
    )


def time_told(id_: str) -> datetime | None:
    """The same; None where the id, which somebody else may have made up, tells no time.

    >>> time_told("job_zzzzzzzzzzzzzzzzzzzzzzzzzz"), time_told("evt_u")
    (None, None)
    """
    try:
        return time_of(id_)
    except (ValueError, OverflowError, OSError):
        return None


def ids_in(content: bytes, prefix: str) -> tuple[str, ...]:
    """The ids of that kind that stand in something, each once.

    >>> ids_in(b'{"clip": "file_01k00000000000000000000000"}', FILE)
    ('file_01k00000000000000000000000',)
    """
    found = re.findall(prefix.encode() + _SUFFIX.pattern.encode(), content)
    return tuple(sorted({id_.decode() for id_ in found}))


@lru_cache(maxsize=16)  # requests that come together share it
def _time_in_letters(milliseconds: int) -> str:
    return suffix_of(milliseconds.to_bytes(6) + bytes(10))[:10]
