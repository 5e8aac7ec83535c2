"""What the families share whose signature stands in the body: reading it strictly, its items, and members by path."""

from typing import Any

from infra import strict_json
from infra.forms import FormError, read_form
from infra.signatures.errors import SignatureMalformed, SignatureMissing

_MOST_ITEMS = 1000


def read_object(body: bytes) -> dict[str, Any]:
    """The body, which has to be an object.

    Raises:
        SignatureMalformed: it is not strict JSON, or something else.
    """
    try:
        said = strict_json.loads(body)
    except strict_json.StrictJSONError as error:
        raise SignatureMalformed(f"the body is {error}") from None
    if not isinstance(said, dict):
        raise SignatureMalformed("the body is no object")
    return said


def read_fields(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a form that were sent once.

    Raises:
        SignatureMalformed: it is no form.
    """
    try:
        fields = read_form(body, content_type)
    except FormError as error:
        raise SignatureMalformed(f"the body is no form: {error}") from None
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


def items_of(said: dict[str, Any], member: str | None) -> list[dict[str, Any]]:
    """The objects that are signed one by one: those of a list, at least one, or the body itself.

    Raises:
        SignatureMissing, SignatureMalformed: there is no such list, or it is empty, too long, or of other things.
    """
    if member is None:
        return [said]
    items = said.get(member)
    if not isinstance(items, list) or not items:
        raise SignatureMissing("the body has no items", member=member)
    if len(items) > _MOST_ITEMS:
        raise SignatureMalformed(f"more than {_MOST_ITEMS} items", member=member)
    if not all(isinstance(item, dict) for item in items):
        raise SignatureMalformed("an item is no object", member=member)
    return items


def text_at(said: dict[str, Any], path: str) -> str:
    """A member by its dotted path, as text; empty if it is not there.

    >>> text_at({"amount": {"value": 1130}, "success": True}, "amount.value")
    '1130'

    Raises:
        SignatureMalformed: it is a list, an object, or a number with a fraction.
    """
    value: Any = said
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise SignatureMalformed("a member has no single spelling", member=path)


def with_text_at(said: dict[str, Any], path: str, text: str) -> None:
    """Write a member by its dotted path.

    Raises:
        ValueError: something else stands in its way.
    """
    *parents, last = path.split(".")
    inner = said
    for name in parents:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"can't be signed: {name} is no object")  # noqa: TRY004 - the body's fault, not the caller's
    inner[last] = text
