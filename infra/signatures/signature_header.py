"""Where signatures stand in headers, and how they are written there.

- One header, once. Sent twice it is refused, whichever value is right and in whichever order.
- A prefix such as ``sha256=`` counts in exactly this case; hex digits in either; base64 with its padding.
- One that is malformed doesn't spoil its neighbours in a list, or in a second header of a rotation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from infra.signatures.encodings import DECODERS, ENCODERS, DecodingError
from infra.signatures.errors import SchemeError, SignatureMalformed, SignatureMissing
from infra.signatures.parameters import header_name, one_of, texts
from infra.signatures.request import Headers

_MOST_SIGNATURES = 16


Found = tuple[list[bytes], bytes | None, bool]
"""What the headers held: the signatures, the item that `timestamp_field` names, and whether the prefix was left out.
A plain tuple, for it is made for every request."""


@dataclass(frozen=True, kw_only=True)
class SignatureHeader:
    """How to read and write signatures.

    Args:
        header: the header that carries the signature; of several, each that was sent counts, as in a rotation. A ``*`` at
            the end stands for a number, as in ``X-DocuSign-Signature-*``.
        size: of a signature in bytes; None if it varies.
        algorithm: what makes the signatures, for the log.
        encoding: ``hex``, ``base64`` or ``base64url``.
        prefix: the text before the signature.
        prefix_required: False takes the bare signature as well.
        item_separator, version_separator, versions: for a header that carries a list, such as
            ``v1,aaa v1,bbb v2,ccc``: what parts its items, what parts version from signature, the versions that count.
        timestamp_field: the version whose item is the timestamp, once.

    >>> SignatureHeader(header="X-Sig", prefix="v0=").read(Headers.of({"x-sig": "v0=00ff"}))
    ([b'\\x00\\xff'], None, False)
    """

    header: str | Sequence[str]
    size: int | None = None
    algorithm: str = ""
    encoding: str = "hex"
    prefix: str = ""
    prefix_required: bool = True
    item_separator: str = ""
    version_separator: str = ""
    versions: Sequence[str] = ()
    timestamp_field: str | None = None

    def __post_init__(self) -> None:
        one_of("encoding", self.encoding, DECODERS)
        if not texts(self.header):
            raise SchemeError("header", "is needed")
        if (self.versions or self.timestamp_field) and not (self.item_separator and self.version_separator):
            raise SchemeError("item_separator", "is needed for a list, and so is version_separator")
        _ = self._names, self._pattern, self._separators  # touched here, so that a fault shows at start

    @cached_property
    def _names(self) -> tuple[bytes, ...]:
        return tuple(header_name("header", name) for name in texts(self.header))

    @cached_property
    def _one_name(self) -> bytes | None:
        return self._names[0] if len(self._names) == 1 and self._pattern is None else None

    @cached_property
    def _pattern(self) -> re.Pattern[bytes] | None:
        if not self._names[0].endswith(b"*"):
            return None
        return re.compile(re.escape(self._names[0][:-1]) + rb"[0-9]{1,3}")

    @cached_property
    def _decode(self) -> Callable[[bytes], bytes]:
        return DECODERS[self.encoding]

    @cached_property
    def _prefix(self) -> bytes:
        return self.prefix.encode("utf-8")

    @cached_property
    def _separators(self) -> tuple[bytes, bytes, frozenset[bytes]]:
        versions = frozenset(version.encode("ascii") for version in self.versions)
        return self.item_separator.encode("ascii"), self.version_separator.encode("ascii"), versions

    @cached_property
    def _field(self) -> bytes | None:
        return None if self.timestamp_field is None else self.timestamp_field.encode("ascii")

    def read(self, headers: Headers) -> Found:
        """The signatures that were sent, at least one.

        Raises:
            SignatureMissing, SignatureMalformed: there is none.
        """
        if self._one_name is not None:
            sent = headers.only(self._one_name)
            if not self.versions:
                return [self._signature(sent)], None, not sent.startswith(self._prefix)
            return self._read_list(sent)
        names = [name for name in self._names if name in headers]
        if self._pattern is not None:
            names = headers.matching(self._pattern)
        if not names:
            raise SignatureMissing("the header is absent", header=texts(self.header)[0])
        values = [headers.only(name) for name in names]
        found, fault = [], None
        for value in values:
            try:
                found += self._read_list(value)[0] if self.versions else [self._signature(value)]
            except SignatureMalformed as error:
                fault = error
        return self._some(found, fault), None, False

    def write(self, signatures: Sequence[bytes], timestamp: bytes) -> dict[str, str]:
        """The header; one signature where it can't carry a list."""
        name = texts(self.header)[0].replace("*", "1")
        written = [ENCODERS[self.encoding](signature) for signature in signatures]
        if not self.versions:
            return {name: self.prefix + written[0]}
        items = [f"{self.versions[0]}{self.version_separator}{text}" for text in written]
        if self.timestamp_field is not None:
            items.insert(0, f"{self.timestamp_field}{self.version_separator}{timestamp.decode('ascii')}")
        return {name: self.item_separator.join(items)}

    def _read_list(self, sent: bytes) -> Found:
        item_separator, version_separator, versions = self._separators
        items = sent.split(item_separator, _MOST_SIGNATURES)
        if len(items) > _MOST_SIGNATURES:
            raise SignatureMalformed(f"more than {_MOST_SIGNATURES} signatures")
        signatures: list[bytes] = []
        fields: list[bytes] = []
        fault = None
        for item in items:
            version, _, text = item.partition(version_separator)
            if version in versions:
                try:
                    signatures.append(self._signature(text))
                except SignatureMalformed as error:
                    fault = error
            elif version == self._field:
                fields.append(text)
        if len(fields) > 1:
            raise SignatureMalformed("more than one timestamp in the signature's header")
        return self._some(signatures, fault), fields[0] if fields else None, False

    def _some(self, signatures: list[bytes], fault: SignatureMalformed | None) -> list[bytes]:
        if len(signatures) > _MOST_SIGNATURES:
            raise SignatureMalformed(f"more than {_MOST_SIGNATURES} signatures")
        if not signatures:
            raise fault or SignatureMalformed("no signature of a version that counts")
        return signatures

    def _signature(self, sent: bytes) -> bytes:
        if sent.startswith(self._prefix):
            sent = sent[len(self._prefix) :]
        elif self.prefix_required:
            raise SignatureMalformed(
                f"the signature doesn't begin with {self.prefix}", header=texts(self.header)[0]
            )
        try:
            signature = self._decode(sent)
        except DecodingError:
            raise SignatureMalformed(
                f"the signature isn't {self.encoding}", header=texts(self.header)[0]
            ) from None
        if len(signature) != self.size if self.size is not None else not signature:
            raise SignatureMalformed(
                f"the signature isn't as long as one by {self.algorithm}",
                header=texts(self.header)[0],
                bytes=len(signature),
            )
        return signature
