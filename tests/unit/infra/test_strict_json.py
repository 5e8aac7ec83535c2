"""Strict JSON: one error for all faults, and whatever is accepted can be written again."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.strict_json import MAX_DEPTH, StrictJSONError, _read_closely, loads, written


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"\n", b"{", b"}", b"[1,]", b'{"a":1,}', b"{'a':1}", b"nul", b"1 2", b"{} {}", b"[] x", b"// c\n1", b"01",
        b"+1", b".5", b"1.", b'"\n"', b'"\x01"', b'"\\x"', b'"open',
    ],
)  # fmt: skip
def test_malformed_text_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJSONError, match="not JSON"):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-32"),
    ],
)  # fmt: skip
def test_what_is_not_plain_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(data)


@pytest.mark.parametrize(
    "data", [b"NaN", b"Infinity", b"-Infinity", b'{"a":[NaN]}', b"1e999", b"-1e999", b"1" * 400 + b".0"]
)
def test_numbers_that_are_not_finite_are_refused(data: bytes) -> None:
    with pytest.raises(StrictJSONError):
        loads(data)


def test_an_integer_of_five_thousand_digits_is_refused() -> None:
    with pytest.raises(StrictJSONError, match="digits"):
        loads(b"9" * 5000)


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":1}', b'{"x":{"callback_url":1,"callback_url":2}}', b'{"a":1,"\\u0061":2}']
)
def test_a_key_twice_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJSONError, match="twice"):
        loads(data)


@pytest.mark.parametrize("data", [b'"\\ud800"', b'"\\uDFFF"', b'{"\\ud800":1}', b'["\\udc00\\ud800"]'])
def test_a_lone_surrogate_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJSONError, match="surrogate"):
        loads(data)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("times", [MAX_DEPTH + 1, 500, 100_000])
def test_depth_is_refused(opening: bytes, times: int) -> None:
    closing = opening.replace(b'"a":', b"").translate(bytes.maketrans(b"[{", b"]}"))[::-1]
    with pytest.raises(StrictJSONError, match="deeper"):
        loads(opening * times + b"1" + closing * times)


def test_the_greatest_depth_is_accepted() -> None:
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert loads(b'{"a":' * MAX_DEPTH + b"[1]"[1:2] + b"}" * MAX_DEPTH)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(loads(b"[" + b"[]," * 1000 + b'"[[[["]')) == 1001


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\u0000"', "\0"),
        (b" 42 ", 42),
        (b"1e-400", 0.0),
        (b"null", None),
        (b'{"__proto__":1,"":2}', {"__proto__": 1, "": 2}),
    ],
)
def test_what_is_json_is_read(data: bytes, value: object) -> None:
    assert loads(data) == value


def test_the_fault_does_not_quote_the_content() -> None:
    for data in (b'{"password": hunter2}', b'{"hunter2":1,"hunter2":2}', b'"hunter2\xff"'):
        with pytest.raises(StrictJSONError) as caught:
            loads(data)
        assert "hunter2" not in str(caught.value)


def assert_writable(value: object) -> None:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert loads(text) == value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_python_writes_is_read_back(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert_writable(value)


@given(st.binary(max_size=200))
@example(b'"\\ud800\\u0041"')
def test_whatever_a_stranger_sends_there_is_one_error(data: bytes) -> None:
    try:
        value = loads(data)
    except StrictJSONError:
        return
    assert_writable(value)


@given(st.lists(st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"a"', '"\\ud800"', '"\\udc00"', '"\\ud83d\\ude00"', "1", "1e999", "-0", "2.5", "NaN", "true", " "]
), max_size=30))  # fmt: skip
def test_whatever_is_put_together_there_is_one_error(tokens: list[str]) -> None:
    try:
        value = loads("".join(tokens).encode())
    except StrictJSONError:
        return
    assert_writable(value)


# -- the quick reader and the close one --------------------------------------------------------------------------------

DOUBTFUL = [
    '"a"',
    '"a b"',
    '"\\u0061"',
    '"\\u003a"',
    '":"',
    '"\\/"',
    '"\\ud800"',
    '"é"',
    "-0",
    "1.0",
    "1e5",
    "1e999",
    "1e22",
]
DOUBTFUL += ["18446744073709551616", "9007199254740993", "0.1", "true", "null"]
TEXTS = st.recursive(
    st.sampled_from(DOUBTFUL),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{' , '.join(parts)}]")
        | st.lists(st.tuples(st.sampled_from(DOUBTFUL[:8]), st.sampled_from([":", " :", ": "]), inner), max_size=3).map(
            lambda members: "{" + ",".join(map("".join, members)) + "}"
        )
    ),
    max_leaves=8,
)  # fmt: skip


@given(TEXTS)
@example('{"a" :1,"a":"\\u003a"}')
@example('{"a b":1,"ab":1,"a b":1}')
def test_what_is_read_quickly_is_read_as_closely(text: str) -> None:
    def outcome(read: Callable[[bytes], object]) -> str:
        try:
            return repr(read(text.encode()))
        except StrictJSONError as error:
            return f"refused: {error}"

    assert outcome(loads) == outcome(_read_closely)


# -- writing -----------------------------------------------------------------------------------------------------------


@given(JSON_VALUES)
@example({"a": "\ud800", "\ud800": ["é"]})
@example({"a": 1 << 70, "é": 0.1})
def test_what_is_written_is_ascii_and_reads_back(value: object) -> None:
    assert written(value).isascii()
    assert json.loads(written(value)) == value


@pytest.mark.parametrize("value", [float("nan"), {"é": float("inf")}, ["é", float("-inf")]])
def test_a_number_that_json_lacks_is_written_as_null(value: object) -> None:
    assert b"null" in written(value)
