"""JSON read strictly, so that whatever is accepted can be stored, compared and written again.

Python's own reader takes more than RFC 8259 allows (NaN, UTF-16, a lone surrogate, the last of two equal keys) and
fails in more ways than one. Here there is one error, and one guarantee: what `loads` returns,
``json.dumps(value, allow_nan=False, ensure_ascii=False).encode()`` can write.

A reader in C takes most documents, five times as fast. It, too, takes the last of two equal keys; but a document that, but for
spaces, is what it would write of the value itself has no key twice, no number that was rounded and no escape in doubt. Any
other is read by Python's own reader, which also knows what is wrong.

HooklineError
└── StrictJSONError (ValueError)   not JSON, or JSON that two readers could understand differently
"""

import json
import math
from typing import Any, Final, NoReturn

import msgspec

from infra.errors import HooklineError

MAX_DEPTH: Final = 64

_SPACE: Final = b" \t\r\n"


class StrictJSONError(HooklineError, ValueError):
    """The bytes are not strict JSON; the text names the fault and its place, not the content."""


def loads(data: bytes) -> Any:
    """Read one JSON document in UTF-8.

    Raises:
        StrictJSONError: empty; not UTF-8, or with a byte order mark; malformed; something after the document; deeper
            than 64; a key twice in an object; NaN, Infinity, or a number too large for a float; an
            integer of more digits than Python converts (4,300 by default); a lone surrogate.

    >>> loads(b'{"meeting_id": "ASxwZxCstx", "n": [1, 2.5, null]}')
    {'meeting_id': 'ASxwZxCstx', 'n': [1, 2.5, None]}
    >>> loads(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    infra.strict_json.StrictJSONError: a key occurs twice in an object
    """
    try:
        value = _read(data)
        again = _write(value)
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
        return _read_closely(data)
    if again != data and again.translate(None, _SPACE) != data.translate(None, _SPACE):
        return _read_closely(data)
    _refuse_depth(data, value)
    return value


def written(value: Any) -> bytes:
    """A value as compact JSON, in ASCII: a lone surrogate is its escape, so that it can't spoil a later read.

    Args:
        value: of what JSON knows, or a struct of it; a number that it lacks becomes null.

    >>> written({"type": "paid", "note": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"})
    b'{"type":"paid","note":"caf\\\\u00e9"}'
    """
    try:
        text = _write(value)
    except (UnicodeError, OverflowError):
        return _COMPACT.encode(msgspec.to_builtins(value)).encode()
    return text if text.isascii() else _COMPACT.encode(_read(text)).encode()


def _read_closely(data: bytes) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJSONError(f"not UTF-8 (byte {error.start})") from None
    try:
        value = _DECODER.decode(text)
    except StrictJSONError:
        raise
    except json.JSONDecodeError as error:
        raise StrictJSONError(f"not JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise StrictJSONError(f"deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise StrictJSONError("an integer of too many digits") from None
    _refuse_depth(data, value)
    if b"\\u" in data:
        _refuse_lone_surrogates(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJSONError("a key occurs twice in an object")
    return members


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise StrictJSONError("a number too large for a float")
    return number


def _constant(_: str) -> NoReturn:
    raise StrictJSONError("NaN and Infinity are not JSON")


_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _refuse_depth(data: bytes, value: Any) -> None:
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise StrictJSONError(f"deeper than {MAX_DEPTH}")


def _is_too_deep(value: Any) -> bool:
    """Walk level by level, which no depth can overflow."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for node in level
            if isinstance(node, (dict, list))
            for member in (node.values() if isinstance(node, dict) else node)
            if isinstance(member, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse_lone_surrogates(value: Any) -> None:
    """Only an escape can make one: as bytes they are not UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJSONError("a lone surrogate") from None
