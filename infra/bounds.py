"""Bounds of what a sender, a caller or a handler chooses, so that records stay small and can be shown."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

LONGEST_NAME: Final = 128  # characters of a type, an id, a key, a tag
MOST_METADATA: Final = 16 * 1024


def fits(metadata: Mapping[str, Any]) -> bool:
    """Whether metadata is small enough to be kept and echoed: at most 16 KiB as JSON."""
    return len(json.dumps(metadata)) <= MOST_METADATA


def short_id(sent: str) -> str:
    """An id as it is kept: one that is long or can't be shown is as good as its digest.

    >>> short_id("pay_1"), len(short_id("x" * 1000))
    ('pay_1', 74)
    """
    if len(sent) <= LONGEST_NAME and sent.isprintable():
        return sent
    return f"id-sha256:{sha256(sent.encode('utf-8', 'surrogatepass')).hexdigest()}"
