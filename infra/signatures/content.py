"""What a signature is made over: a template such as ``{timestamp}.{body}``, filled from the request.

An id is 1 to 128 printable ASCII characters and may not hold the text that follows ``{id}`` in the template (in
Standard Webhooks the dot): or id and what follows could be cut elsewhere and mean another message.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from infra.expressions import Document, Expression, ExpressionError, compile_expression
from infra.signatures.errors import SchemeError, SignatureMalformed, SignatureMissing
from infra.signatures.parameters import header_name, texts
from infra.signatures.request import SignedRequest
from infra.signatures.request_fields import FIELDS, URLS, WHOLE_BODY
from infra.signatures.scheme import Covers
from infra.signatures.timestamps import Freshness

_NAMES = frozenset({*FIELDS, "timestamp", "id", "secret"})
_ADVERTISED = ("body", "timestamp", "id", "method", "url")  # the others are one provider's each
_FIELD = re.compile(r"\{([a-z0-9_]+)\}")
_ID = re.compile(rb"[\x21-\x7e]{1,128}")

_Part = bytes | Callable[[SignedRequest, bytes, bytes], bytes]
"""A literal, or what reads a field of (request, timestamp, secret)."""


@dataclass(frozen=True, kw_only=True)
class SignedContent:
    """Templates, and where their fields are read from.

    Args:
        signed: the template, or several of which one must hold, of ``{body}``, ``{timestamp}``, ``{id}``,
            ``{secret}``, the fields of `infra.signatures.request_fields`, and any other text.
        id_header: the header that ``{id}`` is read from; of several, the first that was sent.
        timestamp_header: where ``{timestamp}`` is read from; of several, the first that was sent.
        timestamp_field: instead, the field of the signature's header that holds it, such as ``t`` in ``t=…,v1=…``.
        timestamp_json: instead, a place in the signed body; it is read after the signature holds.
        timestamp_unit, tolerance, tolerance_future: as in `Freshness`.

    Raises:
        SchemeError: parameters that don't fit each other.

    >>> from infra.signatures.request import Headers
    >>> content = SignedContent(signed="{timestamp}.{body}", timestamp_header="X-Timestamp")
    >>> request = SignedRequest(headers=Headers.of({"x-timestamp": "1760000000"}), body=b"{}")
    >>> content.fill(request, content.timestamp(request, None, now=None))
    [b'1760000000.{}']
    """

    signed: str | Sequence[str]
    id_header: str | Sequence[str] | None = None
    timestamp_header: str | Sequence[str] | None = None
    timestamp_field: str | None = None
    timestamp_json: str | None = None
    timestamp_unit: str = "s"
    tolerance: timedelta = timedelta(minutes=5)
    tolerance_future: timedelta | None = None

    def __post_init__(self) -> None:
        for template in texts(self.signed):
            if re.search(r"[{}]", _FIELD.sub("", template)) or not set(_FIELD.findall(template)) <= _NAMES:
                advertised = ", ".join(f"{{{name}}}" for name in _ADVERTISED)
                raise SchemeError("signed", f"needs a template of {advertised}")
        _ = self._id_headers, self._timestamp_headers, self._timestamp_json, self._freshness
        places = [self.timestamp_header, self.timestamp_field, self.timestamp_json]
        if len(places) - places.count(None) > 1:
            raise SchemeError("timestamp_header", "is one of several places for the timestamp")
        in_template = self.timestamp_header or self.timestamp_field
        self._check("timestamp", "timestamp_header", given=in_template is not None)
        self._check("id", "id_header", given=self.id_header is not None)

    def _check(self, name: str, parameter: str, *, given: bool) -> None:
        if name in self.fields and not given:
            raise SchemeError(parameter, f"is needed, for {{{name}}} is signed")
        if given and name not in self.fields:
            raise SchemeError(parameter, f"proves nothing unless {{{name}}} is signed")

    # What follows is worked out once, for `fill` is on the path of every request.

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names in the templates."""
        return frozenset(name for template in texts(self.signed) for name in _FIELD.findall(template))

    @cached_property
    def covers(self) -> Covers:
        """Whether every template holds the whole body; a form's fields run together, so they are ``fields``."""
        found = [set(_FIELD.findall(template)) for template in texts(self.signed)]
        if all(names & WHOLE_BODY for names in found):
            return "body"
        return "fields" if all(names & {*WHOLE_BODY, "form"} for names in found) else "nothing"

    @cached_property
    def has_timestamp(self) -> bool:
        """Whether a moment is signed."""
        return "timestamp" in self.fields or self.timestamp_json is not None

    @cached_property
    def needs_url(self) -> bool:
        """Whether the URL is signed."""
        return bool(self.fields & URLS)

    @cached_property
    def _is_body(self) -> bool:
        return texts(self.signed) == ("{body}",)

    @cached_property
    def _templates(self) -> tuple[tuple[_Part, ...], ...]:
        return tuple(tuple(self._parts(template)) for template in texts(self.signed))

    def _parts(self, template: str) -> list[_Part]:
        pieces = _FIELD.split(template)  # literal, field, literal, field, …, literal
        return [
            self._reader(piece) if index % 2 else piece.encode("utf-8")
            for index, piece in enumerate(pieces)
            if piece
        ]

    def _reader(self, name: str) -> Callable[[SignedRequest, bytes, bytes], bytes]:
        match name:
            case "body":
                return lambda request, _, __: request.body
            case "timestamp":
                return lambda _, timestamp, __: timestamp
            case "secret":
                return lambda _, __, secret: secret
            case "id":
                return self._message_id
            case _:
                read = FIELDS[name]
                return lambda request, _, __: read(request)

    @cached_property
    def _after_id(self) -> bytes:
        return texts(self.signed)[0].partition("{id}")[2].partition("{")[0].encode("utf-8")

    @cached_property
    def _id_headers(self) -> tuple[bytes, ...]:
        return tuple(header_name("id_header", name) for name in texts(self.id_header))

    @cached_property
    def _timestamp_headers(self) -> tuple[bytes, ...]:
        return tuple(header_name("timestamp_header", name) for name in texts(self.timestamp_header))

    @cached_property
    def _timestamp_json(self) -> Expression | None:
        try:
            return None if self.timestamp_json is None else compile_expression(self.timestamp_json)
        except ExpressionError as error:
            raise SchemeError("timestamp_json", str(error)) from None

    @cached_property
    def _freshness(self) -> Freshness:
        names = texts(self.timestamp_header) or (self.timestamp_field or self.timestamp_json or "",)
        return Freshness(
            unit=self.timestamp_unit, past=self.tolerance, future=self.tolerance_future, place=names[0]
        )

    def timestamp(self, request: SignedRequest, field: bytes | None, now: datetime | None) -> bytes:
        """The timestamp as it was sent, checked; empty where none is in the template.

        Args:
            field: what the signature's header holds in `timestamp_field`.
            now: aware; what the timestamp is compared with. None leaves its age unchecked.

        Raises:
            SignatureError: it is missing, malformed, or out of tolerance.
        """
        if self._timestamp_headers:
            sent = request.headers.first_of(self._timestamp_headers)
        elif self.timestamp_field is not None:
            if field is None:
                raise SignatureMissing("the signature's header has no timestamp", field=self.timestamp_field)
            sent = field
        else:
            return b""
        self._freshness.check(sent, now)
        return sent

    def check_body(self, request: SignedRequest, now: datetime) -> None:
        """Check the timestamp in a body whose signature holds, if the scheme has one there.

        Raises:
            SignatureError: it is missing, malformed, or out of tolerance.
        """
        if self._timestamp_json is None:
            return
        sent = self._timestamp_json.evaluate(Document(headers=request.headers, body=request.body))
        if sent is None:
            raise SignatureMissing("the body has no timestamp", place=self.timestamp_json or "")
        self._freshness.check(sent.encode("utf-8"), now)

    def fill(self, request: SignedRequest, timestamp: bytes, secret: bytes = b"") -> list[bytes]:
        """The bytes that were signed; several where one of several templates must hold.

        Raises:
            SignatureError: a field is missing or malformed.
        """
        if self._is_body:
            return [request.body]
        return [
            b"".join(
                [part if isinstance(part, bytes) else part(request, timestamp, secret) for part in parts]
            )
            for parts in self._templates
        ]

    def write(self, *, now: datetime, message_id: str | None) -> tuple[dict[str, str], bytes]:
        """The headers that `fill` will read, and the timestamp, for a signer.

        Raises:
            ValueError: the id is needed, and missing or not one that can be signed.
        """
        headers, timestamp = {}, ""
        if self.id_header is not None:
            if message_id is None or not self._is_id(message_id.encode("utf-8", "replace")):
                raise ValueError("needs a message_id that this scheme can sign")
            headers[texts(self.id_header)[0]] = message_id
        if "timestamp" in self.fields:
            timestamp = self._freshness.write(now)
        if self.timestamp_header is not None:
            headers[texts(self.timestamp_header)[0]] = timestamp
        return headers, timestamp.encode("ascii")

    def _is_id(self, message_id: bytes) -> bool:
        return _ID.fullmatch(message_id) is not None and (
            not self._after_id or self._after_id not in message_id
        )

    def _message_id(self, request: SignedRequest, _timestamp: bytes, _secret: bytes) -> bytes:
        message_id = request.headers.first_of(self._id_headers)
        if not self._is_id(message_id):
            header = self._id_headers[0].decode("ascii")
            raise SignatureMalformed("the id can't be signed without doubt", header=header)
        return message_id
