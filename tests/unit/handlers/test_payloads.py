from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import Reject
from handlers.payloads import converter_for, decode_body


class PydanticOrder(pydantic.BaseModel):
    id: int
    lines: list[str] = []


class StructOrder(msgspec.Struct):
    id: int
    lines: list[str] = []


@dataclass
class DataOrder:
    id: int
    lines: list[str]


MODELS = [PydanticOrder, StructOrder, DataOrder]


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        (b'{"id":1}', "application/json", {"id": 1}),
        (b'{"id":1}', "Application/JSON; charset=utf-8", {"id": 1}),
        (b"[1]", "application/cloudevents+json", [1]),
        (b'{"id":1}', "", {"id": 1}),
        (b'{"id":1}', "text/plain", '{"id":1}'),
        (b"a=1&b=2", "application/x-www-form-urlencoded", "a=1&b=2"),
        (b"{broken", "application/json", "{broken"),
        (b"NaN", "application/json", "NaN"),
        (b"\xff\xfe", "application/octet-stream", b"\xff\xfe"),
        (b"", "", ""),
    ],
)
def test_a_body_is_read_by_its_content_type(body: bytes, content_type: str, payload: Any) -> None:
    assert decode_body(body, content_type) == payload


@given(st.binary(), st.sampled_from(["", "application/json", "text/plain"]))
def test_no_body_is_too_strange(body: bytes, content_type: str) -> None:
    decode_body(body, content_type)


@pytest.mark.parametrize("model", MODELS)
def test_a_payload_becomes_the_model(model: Any) -> None:
    order = converter_for(model)({"id": 7, "lines": ["pen"]})

    assert isinstance(order, model)
    assert (order.id, order.lines) == (7, ["pen"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("payload", "path"),
    [({"id": 7, "lines": ["pen", 3]}, r"\$\.lines\[1\]"), ({"id": "seven", "lines": []}, r"\$\.id")],
)
def test_what_does_not_fit_is_rejected_with_the_path(model: Any, payload: Any, path: str) -> None:
    with pytest.raises(Reject, match=rf"the payload does not fit {model.__name__}: .*{path}"):
        converter_for(model)(payload)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("payload", [None, "text", b"bytes", [], 3])
def test_something_else_than_an_object_is_rejected(model: Any, payload: Any) -> None:
    with pytest.raises(Reject, match="does not fit"):
        converter_for(model)(payload)


@pytest.mark.parametrize(
    ("kind", "fits", "misfit"),
    [(dict, {}, []), (dict[str, Any], {"a": 1}, "a"), (list, [1], {}), (str, "a", b"a"), (bytes, b"a", "a")],
)
def test_plain_kinds_are_checked_and_passed_on(kind: Any, fits: Any, misfit: Any) -> None:
    convert = converter_for(kind)

    assert convert(fits) is fits
    with pytest.raises(Reject, match="the payload is not"):
        convert(misfit)


def test_without_an_annotation_anything_goes() -> None:
    assert converter_for(Any)(3) == 3


@pytest.mark.parametrize("kind", [int, set, PydanticOrder | None, "Order"])
def test_other_kinds_are_refused_at_start(kind: Any) -> None:
    with pytest.raises(TypeError, match="payload can be"):
        converter_for(kind)


def test_a_model_that_no_json_could_fit_is_refused_at_start() -> None:
    @dataclass
    class Unclear:
        order: StructOrder | DataOrder

    with pytest.raises(TypeError):
        converter_for(Unclear)
