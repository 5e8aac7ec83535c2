"""Addresses in pages."""

from collections.abc import Mapping
from urllib.parse import urlencode


def query(words: Mapping[str, str], **changes: str | None) -> str:
    """What stands behind an address: the words with some changed, or, where they are None, gone.

    >>> query({"status": "failed", "cursor": "x"}, source="a&b", cursor=None), query({"status": "failed"}, status=None)
    ('?status=failed&source=a%26b', '')
    """
    told = {name: value for name, value in {**words, **changes}.items() if value is not None}
    return f"?{urlencode(told)}" if told else ""
