"""The location language of the sources' table."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.expressions import Document, ExpressionError, compile_expression, first_of
from infra.signatures import Headers

BODY = json.dumps(
    {
        "id": "d-1",
        "n": 7,
        "big": 10**30,
        "yes": True,
        "no": False,
        "null": None,
        "float": 1.5,
        "empty": "",
        "list": ["a", {"b": "c"}],
        "object": {"id": "o-1", "übung": "ok"},
    }
).encode()


def evaluate(text: str, *, body: bytes = BODY, pairs: list[tuple[bytes, bytes]] | None = None) -> str | None:
    headers = Headers(pairs or [(b"X-Id", b"h-1"), (b"x-twice", b"a"), (b"x-twice", b"b")])
    return compile_expression(text).evaluate(Document(headers=headers, body=body))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("header:X-Id", "h-1"),
        ("header:x-ID", "h-1"),
        ("header:X-None", None),
        ("header:X-Twice", None),
        ("json:$.id", "d-1"),
        ("json:$.n", "7"),
        ("json:$.big", str(10**30)),
        ("json:$.yes", "true"),
        ("json:$.no", "false"),
        ("json:$.null", None),
        ("json:$.float", None),
        ("json:$.empty", None),
        ("json:$.list", None),
        ("json:$.object", None),
        ("json:$.none", None),
        ("json:$.id.deeper", None),
        ("json:$.list[0]", "a"),
        ("json:$.list[1].b", "c"),
        ("json:$.list[9]", None),
        ("json:$.list.b", None),
        ("json:$.object.id", "o-1"),
        ("json:$.object.übung", "ok"),
        ("json:$.object[0]", None),
        ("json:$[0]", None),
        ("form:id", None),
        ("{json:$.id}:{json:$.n}", "d-1:7"),
        ("a-{header:X-Id}-b", "a-h-1-b"),
        ("{json:$.id}:{json:$.none}", None),
        ("row.added", "row.added"),
        ("https://hooks.example.com/done?x=1", "https://hooks.example.com/done?x=1"),
    ],
)
def test_an_expression_finds_scalars_only(text: str, expected: str | None) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b"[]", b'"text"', b'{"id":1,"id":2}'])
def test_in_a_body_that_is_no_object_nothing_is_there(body: bytes) -> None:
    assert evaluate("json:$.id", body=body) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "header:", "header:X Y", "json:", "json:$", "json:id", "json:$.", "json:$.a..b", "json:$.a[x]", "json:$.a[-1]",
        "jsn:$.id", "form:", "form:a b", "from:id", "{json:$.id", "json:$.id}", "{}", "{id}", "{{json:$.id}}", "{https://example.com}",
        "two words", "ftp://example.com", "https://", "https://exa mple.com", "json:$.a\n",
    ],
)  # fmt: skip
def test_what_is_not_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize("text", ["https://user:s3cret@exa mple.com", "{s3cret", "{s3cret}", "a s3cret"])
def test_a_refusal_does_not_show_what_was_written(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "locations"),
    [
        ("row.added", set()),
        ("header:X-Id", {"header"}),
        ("json:$.id", {"json"}),
        ("{header:X-Id}:{json:$.id}", {"header", "json"}),
    ],
)
def test_an_expression_says_where_it_looks(text: str, locations: set[str]) -> None:
    assert compile_expression(text).locations == locations


def test_the_first_alternative_that_is_there_counts() -> None:
    expression = first_of([compile_expression(text) for text in ("json:$.none", "header:X-Id", "json:$.id")])
    document = Document(headers=Headers.of({"X-Id": "h-1"}), body=BODY)
    assert expression.evaluate(document) == "h-1"
    assert expression.locations == {"header", "json"}
    assert expression.evaluate(Document(headers=Headers(), body=b"{}")) is None


def test_the_body_is_parsed_once_and_only_when_asked_for() -> None:
    document = Document(headers=Headers.of({"X-Id": "h-1"}), body=b"{")
    assert compile_expression("header:X-Id").evaluate(document) == "h-1"
    document = Document(headers=Headers(), body=BODY)
    assert document.json is document.json


@given(text=st.text(max_size=40), body=st.binary(max_size=60))
def test_whatever_is_written_the_only_failure_is_the_documented_one(text: str, body: bytes) -> None:
    try:
        found = evaluate(text, body=body)
    except ExpressionError:
        return
    assert found is None or found


@given(
    body=st.dictionaries(
        st.sampled_from(["id", "list"]), st.recursive(st.none() | st.text() | st.integers(), st.lists)
    )
)
def test_what_is_found_is_text_that_is_not_empty(body: dict[str, object]) -> None:
    for text in ("json:$.id", "json:$.list[0]", "{json:$.id}/{json:$.list[0]}"):
        found = evaluate(text, body=json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        assert found is None or found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("form:From", "+1 555"),
        ("form:from", None),
        ("form:twice", None),
        ("form:empty", None),
        ("form:none", None),
        ("form:data[id]", "7"),
        ("{form:From}/{form:data[id]}", "+1 555/7"),
        ("{form:From}/{form:none}", None),
        ("json:$.From", None),
    ],
)
@pytest.mark.parametrize("multipart", [False, True])
def test_a_form_has_its_fields(text: str, expected: str | None, multipart: bool) -> None:
    data = {"From": "+1 555", "twice": ["a", "b"], "empty": "", "data[id]": "7"}
    files = {"file": ("a.txt", b"text")} if multipart else None
    request = httpx.Request("POST", "http://hooks", data=data, files=files)
    headers = Headers([(b"content-type", request.headers["content-type"].encode())])
    document = Document(headers=headers, body=request.read())
    assert compile_expression(text).evaluate(document) == expected


def test_a_form_is_only_what_says_so() -> None:
    document = Document(headers=Headers.of({"content-type": "text/plain"}), body=b"From=1")
    assert compile_expression("form:From").evaluate(document) is None
