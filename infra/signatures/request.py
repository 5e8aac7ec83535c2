"""What a signature is checked against: the request as it came in."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

import msgspec

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

    __slots__ = ("_repeated", "_values")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]] = ()) -> None:
        pairs = [(name.lower(), value) for name, value in raw]
        self._values = dict(pairs)
        self._repeated = _repeated(pairs) if len(self._values) < len(pairs) else _NONE

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
        value = self._values.get(name)
        if value is None:
            raise SignatureMissing("the header is absent", header=name.decode("ascii"))
        if name in self._repeated:
            raise SignatureMalformed("the header is sent more than once", header=name.decode("ascii"))
        return value

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
        key = _key(name)
        value = self._values.get(key)
        if value is None or key in self._repeated or not value.isascii():
            return None
        text = value.decode("ascii").strip()
        return text if text and text.isprintable() else None

    def items(self) -> Iterable[tuple[str, str]]:
        """Names in lower case, each with its values joined by a comma (RFC 9110, section 5.2).

        >>> list(Headers([(b"X-Id", b"7"), (b"x-id", b"8")]).items())
        [('x-id', '7, 8')]
        """
        values = self._values
        if self._repeated:
            values = values | {name: b", ".join(each) for name, each in self._repeated.items()}
        return zip(_names(tuple(values)), [value.decode("latin-1") for value in values.values()], strict=True)

    def raw(self) -> Iterator[tuple[bytes, bytes]]:
        """Every value that was sent, under its name in lower case.

        >>> list(Headers([(b"X-Id", b"7"), (b"x-id", b"8")]).raw())
        [(b'x-id', b'7'), (b'x-id', b'8')]
        """
        for name, value in self._values.items():
            for each in self._repeated.get(name, (value,)):
                yield name, each

    def __repr__(self) -> str:
        return f"Headers({', '.join(name.decode('latin-1') for name in self._values)})"


_NONE: Final[Mapping[bytes, Sequence[bytes]]] = {}


def _repeated(pairs: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, Sequence[bytes]]:
    """The values of each header that is there more than once, in their order."""
    values = defaultdict[bytes, list[bytes]](list)
    for name, value in pairs:
        values[name].append(value)
    return {name: each for name, each in values.items() if len(each) > 1}


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    """A name that the operator or we wrote, as ASGI gives it."""
    return name.lower().encode("ascii", "replace")


@lru_cache(maxsize=256)
def _names(names: tuple[bytes, ...]) -> Sequence[str]:
    """As text. A provider always sends the same ones."""
    return [name.decode("latin-1") for name in names]


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose signature is to be checked. A struct: it is made for every request.

    Args:
        method: in capitals.
        url: the public URL that the sender called, as it knows it; None if no public URL is configured.
        query: what followed the question mark of the path, as it came, whether a public URL is configured or not.
        headers: as they came.
        body: the raw bytes, before anything parses them.
    """

    method: str = "POST"
    url: str | None = None
    query: bytes = b""
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"SignedRequest(method={self.method!r}, headers={self.headers!r})"


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
