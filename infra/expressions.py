"""The small language of the sources' table: where in a request a fact stands.

========================================  ==================================================================
``header:X-Acme-Delivery``                a header, in any case
``json:$.meeting.id``, ``json:$.a[0].b``  a value in the body: object keys after dots, list places in brackets
``form:From``                             a field of a form, encoded or multipart
``{json:$.meeting_id}:{json:$.event}``    text composed of such parts
``https://hooks.example.com/done``        a literal: an http(s) URL, or a word such as ``row.added``
========================================  ==================================================================

Only scalars count: text that is not empty, integers as their digits, booleans as ``true`` and ``false``. Null, numbers with
a fraction (they have many spellings), lists and objects are "not there", and so is a header or a field that is sent twice.
A composed text is there only if all its parts are. With several alternatives, the first that is there counts. In a body that
is not strict JSON, or no form, nothing is there; who wants to refuse such a body asks `Document.json` first.

HooklineError
└── ExpressionError (ValueError)   the text is not of this language
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from infra import strict_json
from infra.errors import HooklineError
from infra.forms import FormError, read_form

Location = Literal["header", "json", "form"]

_JSON_STEP = re.compile(r"\.([^.\[\]{}\"'\s]+)|\[([0-9]{1,6})\]", re.ASCII)
_JSON_PATH = re.compile(r"\$(?:\.[^.\[\]{}\"'\s]+|\[[0-9]{1,6}\])+", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
_FIELD = re.compile(r"[^{}\s]{1,128}")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_URL = re.compile(r"https?://[^\s{}]{1,2048}", re.ASCII)
_PLACE = re.compile(r"\{([^{}]*)\}")


class ExpressionError(HooklineError, ValueError):
    """The text is not an expression; the message says what is allowed, not what was written."""


class HeaderLookup(Protocol):
    """What an expression needs of a request's headers."""

    def get(self, name: str) -> str | None:
        """The one value of a header as text, or None."""


@dataclass(kw_only=True)
class Document:
    """What expressions read: a request's headers, and its body as JSON or as a form, parsed when first asked for.

    Raises:
        StrictJSONError: from `json`, if the body is not strict JSON.
        FormError: from `form`, if it is none.
    """

    headers: HeaderLookup
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> Any:
        return strict_json.loads(self.body)

    @cached_property
    def form(self) -> Mapping[str, Sequence[str]]:
        return read_form(self.body, self.headers.get("content-type") or "")


_Reader = Callable[[Document], str | None]


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A compiled expression.

    Args:
        locations: where it looks; empty for a literal.
    """

    locations: frozenset[Location]
    _read: _Reader = field(repr=False)

    def evaluate(self, document: Document) -> str | None:
        """The text that stands there, or None."""
        return self._read(document)


def compile_expression(text: str) -> Expression:
    """Read one expression.

    Raises:
        ExpressionError: it is not of the language above.

    >>> document = Document(headers={}, body=b'{"meeting_id": "M1", "event": "meeting.summarized", "done": true}')
    >>> compile_expression("{json:$.meeting_id}:{json:$.event}").evaluate(document)
    'M1:meeting.summarized'
    >>> compile_expression("json:$.done").evaluate(document)
    'true'
    >>> compile_expression("json:$.nothing").evaluate(document) is None
    True
    """
    if "{" in text or "}" in text:
        return _compile_composed(text)
    kind, _, rest = text.partition(":")
    if kind == "header" and _HEADER.fullmatch(rest):
        return Expression(locations=frozenset({"header"}), _read=lambda document: document.headers.get(rest))
    if kind == "json" and _JSON_PATH.fullmatch(rest):
        return Expression(locations=frozenset({"json"}), _read=_json_reader(rest))
    if kind == "form" and _FIELD.fullmatch(rest):
        return Expression(locations=frozenset({"form"}), _read=_form_reader(rest))
    if _WORD.fullmatch(text) or _URL.fullmatch(text):
        return Expression(locations=frozenset(), _read=lambda _: text)
    raise ExpressionError(
        "needs header:NAME, json:$.path, form:field, text composed of {…} parts, a word, or a URL"
    )


def first_of(alternatives: Sequence[Expression]) -> Expression:
    """An expression that takes the first alternative that is there.

    >>> first_of([compile_expression("json:$.event"), compile_expression("json:$.eventType")]).evaluate(
    ...     Document(headers={}, body=b'{"eventType": "Transcription completed"}'))
    'Transcription completed'
    """
    if len(alternatives) == 1:
        return alternatives[0]

    def read(document: Document) -> str | None:
        return next((text for each in alternatives if (text := each.evaluate(document)) is not None), None)

    return Expression(
        locations=frozenset[Location]().union(*(each.locations for each in alternatives)), _read=read
    )


def _json_reader(path: str) -> _Reader:
    steps = [key or int(place) for key, place in _JSON_STEP.findall(path)]

    def read(document: Document) -> str | None:
        try:
            value = document.json
        except strict_json.StrictJSONError:
            return None
        for step in steps:
            if isinstance(step, str):
                if not isinstance(value, dict) or step not in value:
                    return None
            elif not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
        return _scalar(value)

    return read


def _form_reader(name: str) -> _Reader:
    def read(document: Document) -> str | None:
        try:
            values = document.form.get(name, ())
        except FormError:
            return None
        return values[0] or None if len(values) == 1 else None

    return read


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None


def _compile_composed(text: str) -> Expression:
    pieces = _PLACE.split(text)  # literal, place, literal, place, …, literal
    if len(pieces) == 1 or any("{" in literal or "}" in literal for literal in pieces[::2]):
        raise ExpressionError("needs its braces in pairs, as in {json:$.id}:{json:$.event}")
    parts = [compile_expression(place) for place in pieces[1::2]]
    if any(not part.locations for part in parts):
        raise ExpressionError("needs header:NAME, json:$.path or form:field between braces")
    literals = pieces[::2]

    def read(document: Document) -> str | None:
        composed = [literals[0]]
        for part, literal in zip(parts, literals[1:], strict=True):
            value = part.evaluate(document)
            if value is None:
                return None
            composed += (value, literal)
        return "".join(composed)

    return Expression(locations=frozenset[Location]().union(*(part.locations for part in parts)), _read=read)
