"""The family that proves nothing: for senders that sign nothing, where the operator asks for it by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers, Draft, Scheme, Signed


@dataclass(frozen=True, kw_only=True)
class Unsigned(Scheme):
    """Everybody is believed. It covers ``nothing``, and no secret is needed.

    >>> Unsigned().covers
    'nothing'
    """

    @property
    def covers(self) -> Covers:
        return "nothing"

    @property
    def summary(self) -> str:
        return "no signature: whoever knows the address is believed"

    @property
    def needs_secret(self) -> bool:
        return False

    def key(self, secret: str) -> bytes:
        return secret.encode("utf-8", "surrogateescape")

    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        pass

    def signed_content(self, request: SignedRequest) -> None:  # noqa: ARG002 - nothing is signed
        return None

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:  # noqa: ARG002 - nobody signs
        return Signed(headers={}, body=draft.body, url=draft.url)
