"""The family "HMAC over a template": most providers, and any that `sources.toml` spells out."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import new as new_hash

from infra.keyed_hmac import keyed_hmac
from infra.signatures.keys import KEY_ENCODINGS, read_shared_key
from infra.signatures.parameters import one_of, texts
from infra.signatures.template_scheme import TemplateScheme

ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")


@dataclass(frozen=True, kw_only=True)
class HmacTemplate(TemplateScheme):
    """An HMAC over a template; the arguments of `TemplateScheme`, and these.

    Args:
        algorithm: ``sha256``, ``sha512``, ``sha384`` or ``sha1``.
        key_prefix: what stands before the key in a secret, and may be missing.
        key_encoding: of the key in a secret: ``text``, ``base64`` (padding may be missing) or ``hex``.

    Raises:
        SchemeError: parameters that don't fit each other.

    >>> from datetime import datetime
    >>> scheme = HmacTemplate(header="X-Hub-Signature-256", prefix="sha256=")
    >>> key = scheme.key("It's a Secret to Everybody")
    >>> scheme.sign(b"Hello, World!", [key], now=datetime(2026, 11, 21))
    {'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'}
    """

    key_prefix: str = ""
    key_encoding: str = "text"

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, ALGORITHMS)
        one_of("key_encoding", self.key_encoding, KEY_ENCODINGS)
        super().__post_init__()

    @cached_property
    def _size(self) -> int:
        return new_hash(self.algorithm).digest_size

    @property
    def summary(self) -> str:
        return (
            f"HMAC-{self.algorithm.upper()} of {' or '.join(texts(self.signed))} in {texts(self.header)[0]}"
        )

    def key(self, secret: str) -> bytes:
        return read_shared_key(secret, prefix=self.key_prefix, encoding=self.key_encoding)

    def _holds(self, key: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:
        expected = keyed_hmac(key, self.algorithm).digest(content)
        for signature in signatures:  # noqa: SIM110 - `any` over a generator costs as much as a short HMAC
            if hmac.compare_digest(expected, signature):
                return True
        return False

    def _make(self, key: bytes, content: bytes) -> bytes:
        return hmac.digest(key, content, self.algorithm)
