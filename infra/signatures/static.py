"""The family of static keys: a bearer token, an API key in a header of any name.

It covers the ``request``. The key travels inside TLS with everything else and is bound to no part of it, so there is no part
that it vouches for less than for another: whoever holds it made the whole request, as with any bearer token or API key. (An
HMAC over the body is narrower: a proxy may add a header to a request whose signature still holds.) What a static key does
not give is a signed content: two requests with the same key are two events, unless an id says that they are one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hmac import compare_digest
from typing import ClassVar

from infra.signatures.errors import (
    SchemeError,
    SecretMissing,
    SignatureMalformed,
    SignatureMismatch,
)
from infra.signatures.parameters import header_name
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers


@dataclass(frozen=True, kw_only=True)
class StaticKey:
    """A secret that is sent as it is.

    Args:
        header: the header that carries it.
        auth_scheme: the word before it, such as ``Bearer``, in any case (RFC 9110, section 11.1); empty for none.

    >>> from infra.signatures.request import Headers
    >>> scheme = StaticKey(header="X-Make-ApiKey")
    >>> request = SignedRequest(headers=Headers.of({"x-make-apikey": "open sesame"}), body=b"")
    >>> scheme.verify(request, [scheme.key("open sesame")], datetime.now())
    """

    header: str
    auth_scheme: str = ""

    covers: ClassVar[Covers] = "request"
    has_timestamp: ClassVar[bool] = False
    needs_url: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _ = self._header  # touched here, so that a fault shows at start

    @cached_property
    def _header(self) -> bytes:
        return header_name("header", self.header)

    @cached_property
    def _auth_scheme(self) -> bytes:
        return self.auth_scheme.encode("ascii").lower()

    def key(self, secret: str) -> bytes:
        key = secret.strip().encode("utf-8", "surrogateescape")
        if not key:
            raise SchemeError("secret", "is empty")
        return key

    def verify(self, request: SignedRequest, keys: Sequence[bytes], now: datetime) -> None:  # noqa: ARG002 - a key has no age
        if not keys:
            raise SecretMissing("the source has no secret")
        sent = request.headers.only(self._header)
        if self._auth_scheme:
            word, _, sent = sent.partition(b" ")
            if word.lower() != self._auth_scheme:
                raise SignatureMalformed(f"the header doesn't say {self.auth_scheme}", header=self.header)
        for key in keys:
            if compare_digest(key, sent):
                return
        raise SignatureMismatch("no secret of the source is the one that was sent", header=self.header)

    def signed_content(self, request: SignedRequest) -> None:  # noqa: ARG002 - a static key signs nothing
        return None

    def sign(
        self,
        body: bytes,  # noqa: ARG002 - a static key signs nothing
        keys: Sequence[bytes],
        *,
        now: datetime,  # noqa: ARG002
        message_id: str | None = None,  # noqa: ARG002
        method: str = "POST",  # noqa: ARG002
        url: str | None = None,  # noqa: ARG002
    ) -> dict[str, str]:
        if not keys:
            raise ValueError("needs a key")
        credential = keys[0].decode("utf-8", "surrogateescape")
        return {self.header: f"{self.auth_scheme} {credential}" if self.auth_scheme else credential}
