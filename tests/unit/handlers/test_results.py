import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import RESULT_LIMIT, Reject, ResultNotJSON, ResultTooLarge
from handlers.results import encode_result

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Unwilling(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items today")


@given(JSON)
def test_json_comes_out_as_it_went_in(value: Any) -> None:
    assert json.loads(encode_result(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {float("nan"): 1},
        "\ud83d",
        {"\udc00": 1},
        b"bytes",
        {1, 2},
        object(),
        10**5000,
        circle(),
        nested(65),
        nested(100_000),
        {1: "a", "1": "b"},
        {(1, 2): 3},
        Unwilling(a=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_rejected_and_nothing_else_is_raised(value: Any) -> None:
    with pytest.raises(ResultNotJSON, match="the result is not JSON") as caught:
        encode_result(value)

    assert isinstance(caught.value, Reject)
    assert len(str(caught.value)) < 1000


def test_the_limit_is_in_bytes() -> None:
    assert len(encode_result("x" * (RESULT_LIMIT - 2))) == RESULT_LIMIT
    with pytest.raises(ResultTooLarge, match=str(RESULT_LIMIT)):
        encode_result("é" * (RESULT_LIMIT // 2))
