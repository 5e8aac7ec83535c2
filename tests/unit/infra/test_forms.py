"""Forms: what is a field, and what is no form."""

import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.forms import MOST_FIELDS, FormError, read_form

ENCODED = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"


def part(headers: str, value: str) -> bytes:
    return f"--b\r\n{headers}\r\n\r\n{value}\r\n".encode()


def field(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=&b", {"a": [""], "b": [""]}),
        (b"caf%C3%A9=%2B1+555", {"café": ["+1 555"]}),
        ("a=ü".encode(), {"a": ["ü"]}),
    ],
)
def test_an_encoded_form_is_its_fields(body: bytes, fields: dict[str, list[str]]) -> None:
    assert read_form(body, ENCODED) == fields
    assert read_form(body, "Application/X-WWW-Form-URLencoded; charset=utf-8") == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"--b--", {}),
        (field("a", "1") + field("a", "2\r\n3") + b"--b--\r\n", {"a": ["1", "2\r\n3"]}),
        (b"preamble\r\n" + field("a", "") + b"--b--epilogue", {"a": [""]}),
        (part("content-type: text/plain\r\nCONTENT-DISPOSITION:form-data ; name=a", "1") + b"--b--", {"a": ["1"]}),
        (part('Content-Disposition: form-data; name="f"; filename="x.png"', "\x00") + field("a", "1") + b"--b--", {"a": ["1"]}),
        (part("Content-Disposition: form-data; name=\"f\"; filename*=UTF-8''x", "1") + b"--b--", {}),
        (b"--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--", {"a": ["1"]}),
    ],
)  # fmt: skip
def test_a_multipart_form_is_its_fields_without_its_files(body: bytes, fields: dict[str, list[str]]) -> None:
    assert read_form(body, PARTS) == fields


@pytest.mark.parametrize(
    ("body", "content_type", "because"),
    [
        (b"{}", "application/json", "none of a form"),
        (b"a=1", "", "none of a form"),
        (b"a=%FF", ENCODED, "not UTF-8"),
        (b"a=\xff", ENCODED, "not UTF-8"),
        (b"a&" * (MOST_FIELDS + 1), ENCODED, "more than 1000"),
        (field("a", "1") * (MOST_FIELDS + 1) + b"--b--", PARTS, "more than 1000"),
        (field("a", "1") + b"--b--", "multipart/form-data", "no boundary"),
        (field("a", "1"), PARTS, "does not end"),
        (b"", PARTS, "does not end"),
        (b"--bb\r\n\r\n\r\n1\r\n--b--", PARTS, "no headers"),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n--b--", PARTS, "no headers"),
        (part("Content-Type: text/plain", "1") + b"--b--", PARTS, "not one field"),
        (part("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b", "1") + b"--b--", PARTS, "not one field"),
        (part("Content-Disposition: form-data; name=a; name=b", "1") + b"--b--", PARTS, "no name, or two"),
        (part("Content-Disposition: form-data", "1") + b"--b--", PARTS, "no name, or two"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--', PARTS, "not UTF-8"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_form(body: bytes, content_type: str, because: str) -> None:
    with pytest.raises(FormError, match=because):
        read_form(body, content_type)


names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"%\\'), min_size=1, max_size=20
)
values = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(st.dictionaries(names, values, min_size=1, max_size=8))
def test_what_a_client_sends_is_what_is_read(fields: dict[str, str]) -> None:
    for files in ({}, {"file": ("x.bin", b"\x00\xff")}):
        request: Any = httpx.Request("POST", "http://h", data=fields, files=files)
        read = read_form(request.read(), request.headers["Content-Type"])
        assert read == {name: [value] for name, value in fields.items()}


@given(st.binary(max_size=200), st.sampled_from([ENCODED, PARTS, 'multipart/form-data; boundary="--"', "x"]))
def test_whatever_is_sent_the_only_failure_is_the_documented_one(body: bytes, content_type: str) -> None:
    for sent in (body, b"--b\r\n" + body + b"\r\n--b--", field("a", "1") + body):
        try:
            read_form(sent, content_type)
        except FormError:
            continue


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Disposition: form-data; " + " " * 100_000,
        "Content-Disposition: form-data" + "; a" * 50_000,
        "Content-Disposition: form-data; name=" + '"' * 100_001,
        "Content-Disposition:" + " \t" * 100_000 + "x",
    ],
    ids=["spaces", "names", "quotes", "tabs"],
)
def test_a_header_that_is_made_to_be_read_slowly_is_not(headers: str) -> None:
    begun = time.process_time()
    with pytest.raises(FormError):
        read_form(part(headers, "1") + b"--b--", PARTS)
    assert time.process_time() - begun < 1
