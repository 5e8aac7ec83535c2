"""How digests, signatures and keys are written as text, and read strictly: whatever is no such text is one error."""

from binascii import Error as DecodingError
from binascii import a2b_base64, b2a_base64, unhexlify
from collections.abc import Callable, Mapping

__all__ = ["DECODERS", "ENCODERS", "DecodingError", "base64_of_any_padding"]

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")  # what has no place in it becomes what base64 refuses


def _read_base64(text: bytes) -> bytes:
    """Read base64 in its one spelling: bits that stand for nothing are zero."""
    data = a2b_base64(text, strict_mode=True)
    if b2a_base64(data, newline=False) != text:
        raise DecodingError("not the spelling that an encoder writes")
    return data


def _write_base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _read_base64url(text: bytes) -> bytes:
    digits = text.translate(_FROM_URL_SAFE).rstrip(b"=")
    return _read_base64(digits + b"=" * (-len(digits) % 4))


def _write_base64url(data: bytes) -> str:
    encoded = b2a_base64(data, newline=False).translate(_TO_URL_SAFE)
    return encoded.rstrip(b"=").decode("ascii")


def base64_of_any_padding(text: bytes) -> bytes:
    """Read base64 whose padding may be missing, as people write secrets.

    Raises:
        DecodingError: it is not base64.

    >>> base64_of_any_padding(b"Zm9vYg")
    b'foob'
    """
    digits = text.rstrip(b"=")
    return a2b_base64(digits + b"=" * (-len(digits) % 4), strict_mode=True)


DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "hex": unhexlify,
    "base64": _read_base64,
    "base64url": _read_base64url,
}
ENCODERS: Mapping[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": _write_base64,
    "base64url": _write_base64url,
}
