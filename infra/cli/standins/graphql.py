"""As much of GraphQL as a stand-in needs: read a query's selection, and answer with those fields and no others.

HooklineError
└── UnknownField (ValueError)   the query can't be answered
"""

import re
from collections.abc import Mapping
from typing import Any

from infra.errors import HooklineError

Selection = dict[str, "Selection"]
_WORD = re.compile(r"[A-Za-z_]\w*|[{}]")
_ARGUMENTS = re.compile(r"\([^()]*\)")


class UnknownField(HooklineError, ValueError):
    """The query selects a field that the type has not, or is no query at all."""


def read_selection(query: str) -> Selection:
    """The fields that a query selects.

    Raises:
        UnknownField: the text is not one query of named fields.

    >>> read_selection("query T($id: String!) { transcript(id: $id) { id sentences { text } } }")
    {'transcript': {'id': {}, 'sentences': {'text': {}}}}
    """
    words = _WORD.findall(_ARGUMENTS.sub("", query))
    root: Selection = {}
    open_fields, last = [root], root
    body = words[words.index("{") + 1 :] if "{" in words else []
    for word in body:
        if word == "{":
            open_fields.append(last)
        elif word == "}":
            open_fields.pop()
        elif open_fields:
            last = open_fields[-1].setdefault(word, {})
    if open_fields or not root:
        raise UnknownField("Syntax Error: expected a query of named fields")
    return root


def select(value: Any, selection: Selection, *, type_name: str) -> Any:
    """A value with only the selected fields; lists are answered entry by entry.

    Raises:
        UnknownField: a field that the value has not.

    >>> select({"id": "m1", "title": "Stand-up"}, {"title": {}}, type_name="Transcript")
    {'title': 'Stand-up'}
    """
    if isinstance(value, list):
        return [select(entry, selection, type_name=type_name) for entry in value]
    if not isinstance(value, Mapping):
        return value
    for name in selection:
        if name not in value:
            raise UnknownField(f'Cannot query field "{name}" on type "{type_name}".')
    return {
        name: select(value[name], nested, type_name=name.capitalize()) for name, nested in selection.items()
    }
