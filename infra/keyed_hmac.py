"""HMAC (RFC 2104) under a key that is used again and again.

``hmac.digest`` works the key's block into both hashes for every message, which takes as long as a short message itself. Here
that is done once; a message begins with copies.
"""

import hashlib
from functools import lru_cache
from hmac import trans_5C, trans_36
from typing import Final

_MOST: Final = 1024


class KeyedHMAC:
    """Makes digests under one key.

    Args:
        algorithm: a name that `hashlib` knows.

    >>> import hmac
    >>> KeyedHMAC(b"key", "sha256").digest(b"message") == hmac.digest(b"key", b"message", "sha256")
    True
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, algorithm: str) -> None:
        size = hashlib.new(algorithm).block_size
        short = key if len(key) <= size else hashlib.new(algorithm, key).digest()
        block = short.ljust(size, b"\0")
        self._inner = hashlib.new(algorithm, block.translate(trans_36))
        self._outer = hashlib.new(algorithm, block.translate(trans_5C))

    def digest(self, message: bytes) -> bytes:
        """The HMAC of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=_MOST)
def keyed_hmac(key: bytes, algorithm: str) -> KeyedHMAC:
    """The one for that key, kept."""
    return KeyedHMAC(key, algorithm)
