"""An event's body becomes what the handler asked for: parsed JSON, text, or a checked model."""

import dataclasses
from collections.abc import Callable
from typing import Any, get_origin

import msgspec

from handlers.errors import Reject
from infra import strict_json
from infra.strict_json import StrictJSONError

_SHOWN_FAULTS = 20
_PLAIN: dict[Any, str] = {dict: "an object", list: "a list", str: "text", bytes: "bytes"}


def decode_body(body: bytes, content_type: str) -> Any:
    """JSON parsed where the content type says JSON, or nothing; else text, or bytes if it is no UTF-8.

    A body that claims to be JSON and is not (as `infra.strict_json` reads it) stays text, for the handler to judge.

    >>> decode_body(b'{"id": 7}', "application/json; charset=utf-8"), decode_body(b"a=b", "text/plain")
    ({'id': 7}, 'a=b')
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/json") or kind.endswith("+json"):
        try:
            return strict_json.loads(body)
        except StrictJSONError:
            pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def converter_for(model: Any) -> Callable[[Any], Any]:
    """How a payload gets into the annotated model; each converter raises `Reject` with the paths that failed.

    Args:
        model: a pydantic model, a msgspec struct, a dataclass, ``dict``, ``list``, ``str``, ``bytes`` or ``Any``.

    Raises:
        TypeError: a model of another kind, or one whose fields can't be told apart.

    >>> convert = converter_for(dict)
    >>> convert({"id": 7})
    {'id': 7}
    >>> convert([7])
    Traceback (most recent call last):
        ...
    handlers.errors.Reject: the payload is not an object
    """
    if model is Any:
        return _as_it_is
    plain = get_origin(model) or model
    if plain in _PLAIN:
        return _plain_converter(plain)
    if isinstance(model, type) and hasattr(model, "model_validate"):
        return _pydantic_converter(model)
    if isinstance(model, type) and (issubclass(model, msgspec.Struct) or dataclasses.is_dataclass(model)):
        return _msgspec_converter(model)
    raise TypeError(
        "payload can be a pydantic model, a msgspec struct, a dataclass, dict, list, str or bytes"
    )


def _as_it_is(payload: Any) -> Any:
    return payload


def _plain_converter(kind: type) -> Callable[[Any], Any]:
    def convert(payload: Any) -> Any:
        if not isinstance(payload, kind):
            raise Reject(f"the payload is not {_PLAIN[kind]}")
        return payload

    return convert


def _msgspec_converter(model: type) -> Callable[[Any], Any]:
    msgspec.json.Decoder(model)  # raises TypeError now, at start, for fields that no JSON could fit

    def convert(payload: Any) -> Any:
        try:
            return msgspec.convert(payload, model)
        except msgspec.ValidationError as error:
            raise Reject(f"the payload does not fit {model.__name__}: {error}") from error

    return convert


def _pydantic_converter(model: Any) -> Callable[[Any], Any]:
    from pydantic import ValidationError  # noqa: PLC0415 - only who uses its models needs pydantic

    def convert(payload: Any) -> Any:
        try:
            return model.model_validate(payload)
        except ValidationError as error:
            faults = "; ".join(
                f"{_path(fault['loc'])}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_context=False, include_input=False)[
                    :_SHOWN_FAULTS
                ]
            )
            raise Reject(f"the payload does not fit {model.__name__}: {faults}") from error

    return convert


def _path(location: tuple[int | str, ...]) -> str:
    """A place in a JSON document, as msgspec writes it: ``$.items[0].id``."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
