"""What a signature is made over: a template such as ``{timestamp}.{body}``, filled from the request.

- A timestamp is 1 to 12 ASCII digits of seconds (15 of milliseconds): ``nan``, ``+5``, ``1e9`` and digits of other
  scripts are refused before they reach `int`.
- An id is 1 to 128 printable ASCII characters and may not hold the text that follows ``{id}`` in the template (in
  Standard Webhooks the dot): or id and what follows could be cut elsewhere and mean another message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from infra.signatures.errors import SchemeError, SignatureMalformed, SignatureMissing, TimestampOutOfTolerance
from infra.signatures.parameters import header_name, one_of
from infra.signatures.request import SignedRequest

_FIELDS = ("body", "timestamp", "id", "method", "url")
_FIELD = re.compile(r"\{([a-z]+)\}")
_UNITS = {"s": (1, re.compile(rb"[0-9]{1,12}")), "ms": (1000, re.compile(rb"[0-9]{1,15}"))}
_ID = re.compile(rb"[\x21-\x7e]{1,128}")

_Reader = Callable[[SignedRequest, datetime | None], bytes]


@dataclass(frozen=True, kw_only=True)
class SignedContent:
    """A template and where its fields are read from.

    Args:
        signed: the template, of ``{body}``, ``{timestamp}``, ``{id}``, ``{method}``, ``{url}`` and any other text.
        id_header: the header that ``{id}`` is read from.
        timestamp_header, timestamp_unit: where ``{timestamp}`` is read from, and whether it counts ``s`` or ``ms``.
        tolerance: how old the timestamp may be, the limit included.
        tolerance_future: how far ahead it may be; as `tolerance` when None.

    Raises:
        SchemeError: parameters that don't fit each other.

    >>> from infra.signatures.request import Headers
    >>> content = SignedContent(signed="{timestamp}.{body}", timestamp_header="X-Timestamp")
    >>> content.fill(SignedRequest(headers=Headers.of({"x-timestamp": "1760000000"}), body=b"{}"), now=None)
    b'1760000000.{}'
    """

    signed: str
    id_header: str | None = None
    timestamp_header: str | None = None
    timestamp_unit: str = "s"
    tolerance: timedelta = timedelta(minutes=5)
    tolerance_future: timedelta | None = None

    def __post_init__(self) -> None:
        if not self.fields <= set(_FIELDS) or re.search(r"[{}]", _FIELD.sub("", self.signed)):
            raise SchemeError("signed", "needs a template of " + ", ".join(f"{{{name}}}" for name in _FIELDS))
        one_of("timestamp_unit", self.timestamp_unit, _UNITS)
        self._check_header("timestamp", "timestamp_header", self.timestamp_header)
        self._check_header("id", "id_header", self.id_header)
        if self.tolerance <= timedelta(0):
            raise SchemeError("tolerance", "must be more than 0s")

    def _check_header(self, field: str, parameter: str, header: str | None) -> None:
        if header is None:
            if field in self.fields:
                raise SchemeError(parameter, f"is needed, for {{{field}}} is signed")
            return
        header_name(parameter, header)
        if field not in self.fields:
            raise SchemeError(parameter, f"proves nothing unless {{{field}}} is signed")

    # What follows is worked out once, for `fill` is on the path of every request.

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names in the template."""
        return frozenset(_FIELD.findall(self.signed))

    @cached_property
    def _parts(self) -> tuple[bytes | _Reader, ...]:
        """The template's literals, and what reads the fields between them."""
        readers: dict[str, _Reader] = {
            "body": lambda request, _: request.body,
            "timestamp": self._timestamp,
            "id": self._message_id,
            "method": lambda request, _: request.method.encode("utf-8", "surrogateescape"),
            "url": self._url,
        }
        pieces = _FIELD.split(self.signed)  # literal, field, literal, field, …, literal
        return tuple(
            readers[piece] if index % 2 else piece.encode("utf-8")
            for index, piece in enumerate(pieces)
            if piece
        )

    @cached_property
    def _after_id(self) -> bytes:
        return self.signed.partition("{id}")[2].partition("{")[0].encode("utf-8")

    @cached_property
    def _id_header(self) -> bytes:
        return (self.id_header or "").lower().encode("ascii")

    @cached_property
    def _timestamp_header(self) -> bytes:
        return (self.timestamp_header or "").lower().encode("ascii")

    @cached_property
    def _limits(self) -> tuple[float, float]:
        ahead = self.tolerance if self.tolerance_future is None else self.tolerance_future
        return self.tolerance.total_seconds(), ahead.total_seconds()

    def fill(self, request: SignedRequest, now: datetime | None) -> bytes:
        """The bytes that were signed.

        Args:
            now: aware; what the timestamp is compared with. None leaves its age unchecked.

        Raises:
            SignatureError: a field is missing or malformed, or the timestamp is out of tolerance.
        """
        if self.signed == "{body}":
            return request.body
        return b"".join([part if isinstance(part, bytes) else part(request, now) for part in self._parts])

    def headers(self, *, now: datetime, message_id: str | None) -> dict[str, str]:
        """The headers that `fill` will read, for a signer.

        Raises:
            ValueError: the id is needed, and missing or not one that can be signed.
        """
        headers = {}
        if self.id_header is not None:
            if message_id is None or not self._is_id(message_id.encode("utf-8", "replace")):
                raise ValueError("needs a message_id that this scheme can sign")
            headers[self.id_header] = message_id
        if self.timestamp_header is not None:
            headers[self.timestamp_header] = str(int(now.timestamp() * _UNITS[self.timestamp_unit][0]))
        return headers

    def _is_id(self, message_id: bytes) -> bool:
        return _ID.fullmatch(message_id) is not None and (
            not self._after_id or self._after_id not in message_id
        )

    def _message_id(self, request: SignedRequest, _: datetime | None) -> bytes:
        message_id = request.headers.only(self._id_header)
        if not self._is_id(message_id):
            raise SignatureMalformed(
                "the id can't be signed without doubt", header=self._id_header.decode("ascii")
            )
        return message_id

    def _url(self, request: SignedRequest, _: datetime | None) -> bytes:
        if request.url is None:
            raise SignatureMissing("the URL that was signed isn't known", setting="HOOKLINE_PUBLIC_URL")
        return request.url.encode("utf-8", "surrogateescape")

    def _timestamp(self, request: SignedRequest, now: datetime | None) -> bytes:
        sent = request.headers.only(self._timestamp_header)
        per_second, shape = _UNITS[self.timestamp_unit]
        if not shape.fullmatch(sent):
            header = self._timestamp_header.decode("ascii")
            raise SignatureMalformed("the timestamp isn't a whole number in digits", header=header)
        if now is not None:
            age = now.timestamp() - int(sent) / per_second
            oldest, furthest = self._limits
            if not -furthest <= age <= oldest:
                header = self._timestamp_header.decode("ascii")
                fault = "too old" if age > 0 else "too far ahead"
                raise TimestampOutOfTolerance(
                    f"the timestamp is {fault}", header=header, age_seconds=round(age)
                )
        return sent
