"""What the families have in common that sign a template and send the signature in a header.

A family adds what it makes of the template and a key: an HMAC (`hmac_template`), a plain hash (`keyed_hash`), or a
signature by a private key (`asymmetric`).
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from infra.expressions import Document, Expression, ExpressionError, compile_expression
from infra.signatures.content import SignedContent
from infra.signatures.errors import SchemeError, SecretMissing, SignatureMalformed, SignatureMismatch
from infra.signatures.parameters import header_name, texts
from infra.signatures.request import Headers, SignedRequest
from infra.signatures.request_fields import with_body_hash
from infra.signatures.scheme import Covers, Draft, Scheme, Signed
from infra.signatures.signature_header import SignatureHeader

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_JSON_BEGINS = (b"{", b"[")


@dataclass(frozen=True, kw_only=True)
class TemplateScheme(Scheme):
    """A signature over a template.

    Args:
        algorithm: what makes the signature; a family says which there are.
        header, encoding, prefix, prefix_required, item_separator, version_separator, versions: as in `SignatureHeader`.
        signed, id_header, timestamp_header, timestamp_field, timestamp_json, timestamp_unit, tolerance,
            tolerance_future: as in `SignedContent`.
        bare_if: a location; a signature without its prefix then counts only where the verified body has it.
        identifies: whether equal content is the same event, sent twice.
        requires: headers, each with an item that its comma-separated value must have.

    Raises:
        SchemeError: parameters that don't fit each other.
    """

    header: str | Sequence[str]
    algorithm: str = "sha256"
    signed: str | Sequence[str] = "{body}"
    encoding: str = "hex"
    prefix: str = ""
    prefix_required: bool = True
    bare_if: str | None = None
    item_separator: str = ""
    version_separator: str = ""
    versions: Sequence[str] = ()
    id_header: str | Sequence[str] | None = None
    timestamp_header: str | Sequence[str] | None = None
    timestamp_field: str | None = None
    timestamp_json: str | None = None
    timestamp_unit: str = "s"
    tolerance: timedelta = timedelta(minutes=5)
    tolerance_future: timedelta | None = None
    identifies: bool = True
    requires: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        try:
            # Touched here, so that a fault shows at start.
            _ = self._carrier, self._content, self._bare_if, self._requirements
        except ExpressionError as error:
            raise SchemeError("bare_if", str(error)) from None

    # What follows is worked out once, for `verify` is on the path of every request.

    @property
    @abstractmethod
    def _size(self) -> int | None:
        """Of a signature, in bytes; None if it varies."""

    @cached_property
    def _carrier(self) -> SignatureHeader:
        return SignatureHeader(
            header=self.header,
            size=self._size,
            algorithm=self.algorithm,
            encoding=self.encoding,
            prefix=self.prefix,
            prefix_required=self.prefix_required,
            item_separator=self.item_separator,
            version_separator=self.version_separator,
            versions=self.versions,
            timestamp_field=self.timestamp_field,
        )

    @cached_property
    def _content(self) -> SignedContent:
        return SignedContent(
            signed=self.signed,
            id_header=self.id_header,
            timestamp_header=self.timestamp_header,
            timestamp_field=self.timestamp_field,
            timestamp_json=self.timestamp_json,
            timestamp_unit=self.timestamp_unit,
            tolerance=self.tolerance,
            tolerance_future=self.tolerance_future,
        )

    @cached_property
    def _bare_if(self) -> Expression | None:
        return None if self.bare_if is None else compile_expression(self.bare_if)

    @cached_property
    def _dates_in_body(self) -> bool:
        return self.timestamp_json is not None

    @cached_property
    def _requirements(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple(
            (header_name("requires", name), item.encode("ascii")) for name, item in self.requires.items()
        )

    @property
    def covers(self) -> Covers:
        return self._content.covers

    @property
    def has_timestamp(self) -> bool:
        return self._content.has_timestamp

    @property
    def needs_url(self) -> bool:
        return self._content.needs_url

    def verify(
        self,
        request: SignedRequest,
        keys: Sequence[bytes],
        now: datetime,
        published: bytes | None = None,  # noqa: ARG002 - a family's own affair
    ) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        signatures, field, bare = self._carrier.read(request.headers)
        for name, item in self._requirements:
            if item not in request.headers.only(name).split(b","):
                raise SignatureMalformed("the header says something else", header=name.decode("ascii"))
        timestamp = self._content.timestamp(request, field, now)
        for key in keys:
            for content in self._content.fill(request, timestamp, self._secret(key)):
                if self._holds(key, content, signatures):
                    if bare or self._dates_in_body:
                        self._check_body(request, now, bare=bare)
                    return
        header = texts(self.header)[0]
        raise SignatureMismatch("no secret of the source makes this signature", header=header)

    def signed_content(self, request: SignedRequest) -> bytes | None:
        if self.covers == "nothing" or not self.identifies:
            return None
        field = self._carrier.read(request.headers)[1] if self.timestamp_field else None
        return self._content.fill(request, self._content.timestamp(request, field, now=None))[0]

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        body, url = draft.body, draft.url
        if "form" in self._content.fields and url is not None and body[:1] in _JSON_BEGINS:
            url = with_body_hash(url, body)
        headers, timestamp = self._content.write(now=draft.now, message_id=draft.message_id)
        headers |= self.requires
        sent = Headers.of(headers | {"Content-Type": _JSON if body[:1] in _JSON_BEGINS else _FORM})
        request = SignedRequest(method=draft.method, url=url, headers=sent, body=body)
        contents = [self._content.fill(request, timestamp, self._secret(key))[0] for key in keys]
        signatures = [self._make(key, content) for key, content in zip(keys, contents, strict=True)]
        return Signed(headers=headers | self._carrier.write(signatures, timestamp), body=body, url=url)

    @abstractmethod
    def _holds(self, key: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:
        """Whether one of the signatures is this key's."""

    @abstractmethod
    def _make(self, key: bytes, content: bytes) -> bytes:
        """The signature.

        Raises:
            ValueError: the key can only verify.
        """

    def _secret(self, key: bytes) -> bytes:
        """What fills ``{secret}``."""
        return key

    def _check_body(self, request: SignedRequest, now: datetime, *, bare: bool) -> None:
        """Only now may the body be parsed, for only now it is known to be the sender's."""
        self._content.check_body(request, now)
        if not bare or self._bare_if is None:
            return
        if self._bare_if.evaluate(Document(headers=request.headers, body=request.body)) is None:
            raise SignatureMalformed(
                f"the signature doesn't begin with {self.prefix}", header=texts(self.header)[0]
            )
