"""Fields of a form: ``application/x-www-form-urlencoded``, or ``multipart/form-data`` (RFC 7578).

Read strictly, as JSON is: what two readers could understand differently is no form. Files of a multipart form are no fields.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from infra.errors import HooklineError

MOST_FIELDS: Final = 1000

_BOUNDARY: Final = re.compile(
    r';\s*boundary=(?:"([^"\\]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)', re.ASCII | re.IGNORECASE
)
_DISPOSITION: Final = re.compile(
    rb"""content-disposition:[ \t]*form-data((?:[ \t]*;[ \t]*[^\s;="]+=(?:"[^"\r\n]*"|[^\s;"]*))*)[ \t]*""",
    re.IGNORECASE,
)  # no part of it can match what another one does: it takes strangers' headers
_PARAMETER: Final = re.compile(rb""";[ \t]*([^\s;="]+)=(?:"([^"\r\n]*)"|([^\s;"]*))""")


class FormError(HooklineError, ValueError):
    """The body is no form; the text names the fault, not the content."""


def read_form(body: bytes, content_type: str) -> Mapping[str, Sequence[str]]:
    """The fields of a form, each with its values in their order.

    Raises:
        FormError: the content type says something else; more than `MOST_FIELDS`; not UTF-8; a multipart form whose parts
            don't follow each other as RFC 2046 has it, or have no name.

    >>> read_form(b"From=%2B1555&Body=caf%C3%A9+au&Body=", "application/x-www-form-urlencoded")
    {'From': ['+1555'], 'Body': ['café au', '']}
    """
    media_type, _, _ = content_type.partition(";")
    match media_type.strip().lower():
        case "application/x-www-form-urlencoded":
            pairs = _encoded(body)
        case "multipart/form-data":
            pairs = _multipart(body, content_type)
        case _:
            raise FormError("the content type is none of a form")
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _encoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise FormError("not UTF-8") from None
    except ValueError:
        raise FormError(f"more than {MOST_FIELDS} fields") from None


def _multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise FormError("no boundary in the content type")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("ascii")
    parts = (b"\r\n" + body).split(delimiter, MOST_FIELDS + 2)
    if len(parts) > MOST_FIELDS + 2:
        raise FormError(f"more than {MOST_FIELDS} fields")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise FormError("it does not end")
    return [pair for part in parts[1:-1] if (pair := _field(part)) is not None]


def _field(part: bytes) -> tuple[str, str] | None:
    """Name and value; None for a file."""
    head, separator, value = part.lstrip(b" \t").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not separator or lines[0]:  # what follows a boundary is the end of its line
        raise FormError("a part has no headers")
    found = [match for line in lines if (match := _DISPOSITION.fullmatch(line))]
    if len(found) != 1:
        raise FormError("a part is not one field of a form")
    given = [
        (name.strip().lower(), quoted or plain) for name, quoted, plain in _PARAMETER.findall(found[0][1])
    ]
    parameters = dict(given)
    if len(parameters) < len(given) or b"name" not in parameters:
        raise FormError("a part has no name, or two")
    if b"filename" in parameters or b"filename*" in parameters:
        return None
    try:
        return parameters[b"name"].decode("utf-8"), value.decode("utf-8")
    except UnicodeDecodeError:
        raise FormError("not UTF-8") from None
