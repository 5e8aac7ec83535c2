"""The family "keyed hash": a plain hash over a template that has the secret in it.

Weaker than an HMAC: with the secret in front, whoever sees one signature can make another for a longer body
(length extension). It is here for providers that offer nothing else.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hmac import compare_digest

from infra.signatures.errors import SchemeError
from infra.signatures.keys import read_shared_key
from infra.signatures.parameters import one_of, texts
from infra.signatures.template_scheme import TemplateScheme

_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")


@dataclass(frozen=True, kw_only=True)
class KeyedHash(TemplateScheme):
    """A hash over a template with ``{secret}``; the arguments of `TemplateScheme`, and this.

    Args:
        algorithm: ``sha256``, ``sha512``, ``sha384``, ``sha1`` or ``md5``.

    Raises:
        SchemeError: parameters that don't fit each other.

    >>> from datetime import datetime
    >>> scheme = KeyedHash(header="X-HubSpot-Signature", signed="{secret}{body}")
    >>> scheme.sign(b"{}", [scheme.key("s3cret")], now=datetime(2026, 11, 21))["X-HubSpot-Signature"][:16]
    '30f655aafab9c613'
    """

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, _ALGORITHMS)
        if not all("{secret}" in template for template in texts(self.signed)):
            raise SchemeError("signed", "needs {secret}: without it anybody can make the hash")
        super().__post_init__()

    @cached_property
    def _size(self) -> int:
        return len(self._hash(b""))

    @property
    def summary(self) -> str:
        return f"{self.algorithm.upper()} of {' or '.join(texts(self.signed))} in {texts(self.header)[0]}"

    def key(self, secret: str) -> bytes:
        return read_shared_key(secret)

    def _holds(self, key: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:  # noqa: ARG002 - it stands in the content
        expected = self._hash(content)
        return any(compare_digest(expected, signature) for signature in signatures)

    def _make(self, key: bytes, content: bytes) -> bytes:  # noqa: ARG002
        return self._hash(content)

    def _hash(self, content: bytes) -> bytes:
        return hashlib.new(self.algorithm, content).digest()
