"""What a signature is checked against: the request as it came in."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl

from infra.signatures.errors import SignatureMalformed, SignatureMissing


class Headers:
    """A request's headers: any case finds them, a header sent twice is seen twice, nothing changes them.

    Built from the raw pairs that ASGI gives. The representation shows names only, for values may be secrets.

    >>> headers = Headers([(b"X-Id", b"7"), (b"x-sig", b"a"), (b"X-Sig", b"b")])
    >>> headers.only(b"x-id")
    b'7'
    >>> headers.get("X-ID"), headers.get("X-Sig"), headers.get("X-None")
    ('7', None, None)
    """

    __slots__ = ("_values",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]] = ()) -> None:
        values: dict[bytes, tuple[bytes, ...]] = {}
        for name, value in raw:
            key = name.lower()
            values[key] = (*values[key], value) if key in values else (value,)
        self._values = values

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Headers":
        """From text, as clients and tests write headers.

        >>> Headers.of({"Webhook-Id": "msg_1"}).get("webhook-id")
        'msg_1'
        """
        return cls((name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items())

    def only(self, name: bytes) -> bytes:
        """The one value of a header; `name` in lower case.

        Raises:
            SignatureMissing: it is absent.
            SignatureMalformed: it was sent more than once, so that two readers could believe two things.
        """
        values = self._values.get(name)
        if values is None:
            raise SignatureMissing("the header is absent", header=name.decode("ascii"))
        if len(values) > 1:
            raise SignatureMalformed("the header is sent more than once", header=name.decode("ascii"))
        return values[0]

    def first_of(self, names: Sequence[bytes]) -> bytes:
        """The one value of the first of these headers that was sent; names in lower case.

        Raises:
            SignatureMissing, SignatureMalformed: as `only` does.
        """
        if len(names) > 1:
            for name in names:
                if name in self._values:
                    return self.only(name)
        return self.only(names[0])

    def matching(self, pattern: re.Pattern[bytes]) -> list[bytes]:
        """The names, in lower case, that a pattern matches as a whole."""
        return [name for name in self._values if pattern.fullmatch(name)]

    def __contains__(self, name: bytes) -> bool:
        """Whether it was sent at all; `name` in lower case."""
        return name in self._values

    def get(self, name: str) -> str | None:
        """The value as text; None if it is absent, sent twice, empty, or not printable ASCII."""
        values = self._values.get(_key(name), ())
        if len(values) != 1 or not values[0].isascii():
            return None
        text = values[0].decode("ascii").strip()
        return text if text and text.isprintable() else None

    def items(self) -> Iterator[tuple[str, str]]:
        """Names in lower case, each with its values joined by a comma (RFC 9110, section 5.2).

        >>> list(Headers([(b"X-Id", b"7"), (b"x-id", b"8")]).items())
        [('x-id', '7, 8')]
        """
        for name, values in self._values.items():
            value = values[0] if len(values) == 1 else b", ".join(values)
            yield name.decode("latin-1"), value.decode("latin-1")

    def raw(self) -> Iterator[tuple[bytes, bytes]]:
        """Every value that was sent, under its name in lower case.

        >>> list(Headers([(b"X-Id", b"7"), (b"x-id", b"8")]).raw())
        [(b'x-id', b'7'), (b'x-id', b'8')]
        """
        for name, values in self._values.items():
            for value in values:
                yield name, value

    def __repr__(self) -> str:
        return f"Headers({', '.join(name.decode('latin-1') for name in self._values)})"


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    """A name that the operator or we wrote, as ASGI gives it."""
    return name.lower().encode("ascii", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request whose signature is to be checked.

    Args:
        method: in capitals.
        url: the public URL that the sender called, as it knows it; None if no public URL is configured.
        query: what followed the question mark of the path, as it came, whether a public URL is configured or not.
        headers: as they came.
        body: the raw bytes, before anything parses them.
    """

    method: str = "POST"
    url: str | None = field(default=None, repr=False)
    query: bytes = field(default=b"", repr=False)
    headers: Headers
    body: bytes = field(repr=False)


def form_fields(text: bytes, *, most: int) -> list[tuple[bytes, bytes]]:
    """Names and values of a form, or of a URL's query, as the bytes that they stand for, in their order.

    Raises:
        SignatureMalformed: more than so many.

    >>> form_fields(b"Body=caf%C3%A9+au&n=", most=10)
    [(b'Body', b'caf\\xc3\\xa9 au'), (b'n', b'')]
    """
    readable = text.decode("utf-8", "surrogateescape")
    try:
        pairs = parse_qsl(readable, keep_blank_values=True, errors="surrogateescape", max_num_fields=most)
    except ValueError:
        raise SignatureMalformed(f"more than {most} fields") from None
    return [
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
        for name, value in pairs
    ]
