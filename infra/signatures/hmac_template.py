"""The family "HMAC over a template": most providers, and any that `sources.toml` spells out.

The signer fills a template (`infra.signatures.content`) and sends its HMAC in a header:

- One header, once. Sent twice it is refused, whichever value is right and in whichever order.
- A prefix such as ``sha256=`` counts in exactly this case; hex digits in either; base64 with its padding.
- It covers the ``body`` if the template has ``{body}``, else ``nothing``.
"""

import hmac
from binascii import Error as DecodingError
from binascii import a2b_base64, b2a_base64, unhexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import new as new_hash

from infra.expressions import Document, Expression, ExpressionError, compile_expression
from infra.signatures.content import SignedContent
from infra.signatures.errors import SchemeError, SecretMissing, SignatureMalformed, SignatureMismatch
from infra.signatures.parameters import header_name, one_of
from infra.signatures.request import Headers, SignedRequest
from infra.signatures.scheme import Covers

_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")
_MOST_SIGNATURES = 16


def _decode_base64(text: bytes) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _encode_base64(digest: bytes) -> str:
    return b2a_base64(digest, newline=False).decode("ascii")


_DECODERS: dict[str, Callable[[bytes], bytes]] = {"hex": unhexlify, "base64": _decode_base64}
_ENCODERS: dict[str, Callable[[bytes], str]] = {"hex": bytes.hex, "base64": _encode_base64}


@dataclass(frozen=True, kw_only=True)
class HmacTemplate:
    """An HMAC over a template.

    Args:
        header: the header that carries the signature.
        signed, id_header, timestamp_header, timestamp_unit, tolerance, tolerance_future: as in `SignedContent`.
        algorithm: ``sha256``, ``sha512``, ``sha384`` or ``sha1``.
        encoding: of the digest: ``hex`` or ``base64``.
        prefix: the text before the digest.
        prefix_required: False takes the bare digest as well.
        bare_if: a location; the bare digest then counts only where the verified body has it.
        item_separator, version_separator, versions: for a header that carries a list, such as
            ``v1,aaa v1,bbb v2,ccc``: what parts its items, what parts version from digest, the versions that count.
        key_prefix: what stands before the key in a secret, and may be missing.
        key_encoding: of the key in a secret: ``text``, or ``base64`` (padding may be missing).

    Raises:
        SchemeError: parameters that don't fit each other.

    >>> scheme = HmacTemplate(header="X-Hub-Signature-256", prefix="sha256=")
    >>> key = scheme.key("It's a Secret to Everybody")
    >>> scheme.sign(b"Hello, World!", [key], now=datetime(2026, 11, 21))
    {'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'}
    """

    header: str
    signed: str = "{body}"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    prefix_required: bool = True
    bare_if: str | None = None
    item_separator: str = ""
    version_separator: str = ""
    versions: tuple[str, ...] = ()
    id_header: str | None = None
    timestamp_header: str | None = None
    timestamp_unit: str = "s"
    tolerance: timedelta = timedelta(minutes=5)
    tolerance_future: timedelta | None = None
    key_prefix: str = ""
    key_encoding: str = "text"

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, _ALGORITHMS)
        one_of("encoding", self.encoding, _DECODERS)
        one_of("key_encoding", self.key_encoding, ("text", "base64"))
        try:
            # Touched here, so that a fault shows at start.
            _ = self._header, self._content, self._bare_if
        except ExpressionError as error:
            raise SchemeError("bare_if", str(error)) from None

    # What follows is worked out once, for `verify` is on the path of every request.

    @cached_property
    def _header(self) -> bytes:
        return header_name("header", self.header)

    @cached_property
    def _content(self) -> SignedContent:
        return SignedContent(
            signed=self.signed,
            id_header=self.id_header,
            timestamp_header=self.timestamp_header,
            timestamp_unit=self.timestamp_unit,
            tolerance=self.tolerance,
            tolerance_future=self.tolerance_future,
        )

    @cached_property
    def _prefix(self) -> bytes:
        return self.prefix.encode("utf-8")

    @cached_property
    def _separators(self) -> tuple[bytes, bytes, frozenset[bytes]]:
        versions = frozenset(version.encode("ascii") for version in self.versions)
        return self.item_separator.encode("ascii"), self.version_separator.encode("ascii"), versions

    @cached_property
    def _digest_size(self) -> int:
        return new_hash(self.algorithm).digest_size

    @cached_property
    def _bare_if(self) -> Expression | None:
        return None if self.bare_if is None else compile_expression(self.bare_if)

    @property
    def covers(self) -> Covers:
        return "body" if "body" in self._content.fields else "nothing"

    @property
    def has_timestamp(self) -> bool:
        return "timestamp" in self._content.fields

    @property
    def needs_url(self) -> bool:
        return "url" in self._content.fields

    def key(self, secret: str) -> bytes:
        key = secret.strip().removeprefix(self.key_prefix).encode("utf-8", "surrogateescape")
        if self.key_encoding == "base64":
            digits = key.rstrip(b"=")
            try:
                key = _decode_base64(digits + b"=" * (-len(digits) % 4))
            except DecodingError:
                raise SchemeError(
                    "secret", f"needs base64 after {self.key_prefix}".removesuffix(" after ")
                ) from None
        if not key:
            raise SchemeError("secret", "is empty")
        return key

    def verify(self, request: SignedRequest, keys: Sequence[bytes], now: datetime) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        sent = request.headers.only(self._header)
        digests = self._listed_digests(sent) if self.versions else [self._digest(sent)]
        content = self._content.fill(request, now)
        for key in keys:
            expected = hmac.digest(key, content, self.algorithm)
            for digest in digests:
                if hmac.compare_digest(expected, digest):
                    self._check_prefix(sent, request)
                    return
        raise SignatureMismatch("no secret of the source makes this signature", header=self.header)

    def signed_content(self, request: SignedRequest) -> bytes | None:
        return self._content.fill(request, now=None) if self.covers == "body" else None

    def sign(
        self,
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        message_id: str | None = None,
        method: str = "POST",
        url: str | None = None,
    ) -> dict[str, str]:
        if not keys:
            raise ValueError("needs a key")
        if self.needs_url and url is None:
            raise ValueError("needs the url, for it is signed")
        headers = self._content.headers(now=now, message_id=message_id)
        request = SignedRequest(method=method, url=url, headers=Headers.of(headers), body=body)
        content = self._content.fill(request, now=None)
        digests = [_ENCODERS[self.encoding](hmac.digest(key, content, self.algorithm)) for key in keys]
        if self.versions:
            items = [f"{self.versions[0]}{self.version_separator}{digest}" for digest in digests]
            return headers | {self.header: self.item_separator.join(items)}
        return headers | {self.header: self.prefix + digests[0]}

    def _digest(self, sent: bytes) -> bytes:
        if sent.startswith(self._prefix):
            sent = sent[len(self._prefix) :]
        elif self.prefix_required:
            raise SignatureMalformed(f"the signature doesn't begin with {self.prefix}", header=self.header)
        try:
            digest = _DECODERS[self.encoding](sent)
        except DecodingError:
            raise SignatureMalformed(f"the signature isn't {self.encoding}", header=self.header) from None
        if len(digest) != self._digest_size:
            message = f"the signature isn't as long as one by {self.algorithm}"
            raise SignatureMalformed(message, header=self.header, bytes=len(digest))
        return digest

    def _listed_digests(self, sent: bytes) -> list[bytes]:
        """The digests of the versions that count; an item that is malformed doesn't spoil its neighbours."""
        item_separator, version_separator, versions = self._separators
        items = sent.split(item_separator, _MOST_SIGNATURES)
        if len(items) > _MOST_SIGNATURES:
            raise SignatureMalformed(f"more than {_MOST_SIGNATURES} signatures", header=self.header)
        digests, fault = [], None
        for item in items:
            version, _, text = item.partition(version_separator)
            if version in versions:
                try:
                    digests.append(self._digest(text))
                except SignatureMalformed as error:
                    fault = error
        if not digests:
            raise fault or SignatureMalformed("no signature of a version that counts", header=self.header)
        return digests

    def _check_prefix(self, sent: bytes, request: SignedRequest) -> None:
        """Only now may the body be parsed, for only now it is known to be the sender's."""
        if self._bare_if is None or sent.startswith(self._prefix):
            return
        if self._bare_if.evaluate(Document(headers=request.headers, body=request.body)) is None:
            raise SignatureMalformed(f"the signature doesn't begin with {self.prefix}", header=self.header)
