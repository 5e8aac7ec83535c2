"""What stands for a secret where a request is kept: a mark, which only who has the same secret can turn back.

A sample of a refused request may hold a secret of ours: a static key under the wrong header's name, another source's key.
It is kept with a keyed digest in the secret's place. Whoever diagnoses it has the secrets anyway, and puts them back.
What looks like somebody else's credential is not kept at all.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2s
from typing import Final
from urllib.parse import quote_plus

SHORTEST: Final = 8  # bytes; a shorter secret stands in too many places that have nothing to do with it
WITHHELD: Final = b"***"

_MARK: Final = re.compile(rb"\{hookline:[0-9a-f]{32}\}")
_NEVER: Final = frozenset({b"cookie", b"set-cookie", b"proxy-authorization"})
_CREDENTIAL: Final = re.compile(
    rb"api-?key|secret|token|password|passwd|authorization|credential", re.IGNORECASE
)
_TOKEN: Final = re.compile(
    rb"(?:bearer +)?eyJ[\w-]*\.[\w-]*\.[\w-]*", re.IGNORECASE
)  # a JWT is a signature, and short-lived


class Masks:
    """Hides secrets in bytes, and puts them back.

    Args:
        secrets: every one of ours.
        secret_keys: of ``HOOKLINE_SECRET_KEY``, newest first: the newest makes marks, all are understood.

    >>> masks = Masks([b"open sesame"], ["a key"])
    >>> hidden = masks.hide(b"Bearer open sesame")
    >>> b"sesame" in hidden, masks.show(hidden)
    (False, b'Bearer open sesame')
    """

    def __init__(self, secrets: Iterable[bytes], secret_keys: Sequence[str]) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= SHORTEST}
        self._spellings = sorted({each for secret in long_enough for each in _spellings(secret)}, key=len)[
            ::-1
        ]
        self._keys = [blake2s(key.encode("utf-8"), person=b"hl.mask").digest() for key in secret_keys]

    def hide(self, text: bytes) -> bytes:
        """The text with a mark where a secret of ours stood, as it is, in base64, or as a form writes it."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, _mark(spelling, self._keys[0]))
        return text

    def header(self, name: bytes, value: bytes) -> bytes | None:
        """A header's value as it may be kept; None: not at all."""
        if name.lower() in _NEVER:
            return None
        hidden = self.hide(value)
        return WITHHELD if _CREDENTIAL.search(name) and not _may_stay(hidden) else hidden

    def query(self, query: bytes) -> bytes:
        """A URL's query as it may be kept."""
        parts = [part.partition(b"=") for part in self.hide(query).split(b"&")]
        return b"&".join(
            name + mark + (WITHHELD if _CREDENTIAL.search(name) and not _may_stay(value) else value)
            for name, mark, value in parts
        )

    def show(self, text: bytes) -> bytes:
        """The text with the secrets in their places; marks of secrets that are no longer ours stay."""
        return _MARK.sub(lambda found: self._secrets.get(found[0], found[0]), text)

    @cached_property
    def _secrets(self) -> dict[bytes, bytes]:
        return {_mark(spelling, key): spelling for spelling in self._spellings for key in self._keys}


def _mark(spelling: bytes, key: bytes) -> bytes:
    return b"{hookline:%s}" % blake2s(spelling, key=key, digest_size=16).hexdigest().encode()


def _spellings(secret: bytes) -> tuple[bytes, ...]:
    """As it is, as a secret of Standard Webhooks is written, and as basic authentication or a form would."""
    return secret, b64encode(secret).rstrip(b"="), secret.hex().encode(), quote_plus(secret).encode()


def _may_stay(hidden: bytes) -> bool:
    """Whether a credential has become a mark, or is a token that has to be checked."""
    return not hidden or _MARK.search(hidden) is not None or _TOKEN.fullmatch(hidden) is not None
