"""What the guard lets through, by text and by address."""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.egress import AddressRefused, EgressPolicy, URLRefused, check_address, check_url

HOSTILE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "hostile_urls.json").read_text(encoding="utf-8")
)["urls"]
SINK = ip_address("127.0.0.9")
CLOSED = EgressPolicy(allow=(ip_network("127.0.0.9/32"),))
PUBLIC = EgressPolicy(allow=(ip_network("127.0.0.9/32"),), public=True)
LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


def hostile_forms(url: str) -> set[str]:
    filled = url.replace("{SINK}", "127.0.0.9:8000").replace("{ZONE}", "zone.example")
    return {filled, filled.replace("http:", "https:", 1)}


@pytest.mark.parametrize("policy", [CLOSED, PUBLIC], ids=["closed", "public"])
@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["id"])
def test_no_hostile_url_is_callable_but_at_the_sink(case: dict[str, Any], policy: EgressPolicy) -> None:
    for url in hostile_forms(case["url"]):
        try:
            checked = check_url(url, policy)
        except URLRefused:
            continue
        if checked.literal is not None:
            assert checked.literal == SINK
            continue
        # a name that looks public: only its addresses, at the dial, can tell
        assert (checked.scheme, checked.port, checked.listed_only) == ("https", 443, False)
        assert "." in checked.host
        with pytest.raises(AddressRefused):
            check_address(ip_address("127.0.0.1"), policy)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://hook.eu2.make.com/abc123?x=%20y", "hook.eu2.make.com", 443),
        ("https://hooks.zapier.com:8443/", "hooks.zapier.com", 8443),
        ("https://EXAMPLE.com", "example.com", 443),
        ("https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example", 443),
        ("https://a_b.example.com/", "a_b.example.com", 443),
        ("http://127.0.0.9:8000/inbox", "127.0.0.9", 8000),
        ("https://127.0.0.9/", "127.0.0.9", 443),
    ],
)
def test_an_ordinary_url_passes(url: str, host: str, port: int) -> None:
    checked = check_url(url, CLOSED)
    assert (checked.url, checked.host, checked.port) == (url, host, port)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "a URL is text"),
        (7, "a URL is text"),
        ("", "a URL is text"),
        ("https://example.com/" + "a" * 2048, "2048 characters"),
        ("https://example.com/" + '"' * 1000, "2048 characters"),
        ("ftp://example.com/", "only https"),
        ("http://example.com/", "only https"),
        ("https://example.com:8080/", "only these ports"),
        ("https://user:hunter2@example.com/", "user name or password"),
        ("https://example.com:/", "no proper host and port"),
        ("https://example.com./", "not a name that DNS can hold"),
        ("https://-a.example.com/", "not a name that DNS can hold"),
        ("https://" + ".".join(["a" * 63] * 4) + "/", "not a name that DNS can hold"),
        ("https://1.2.3/", "not written in the usual form"),
        ("https://example.0x1/", "not written in the usual form"),
        ("https://[::ffff:127.0.0.9]/", "HOOKLINE_CALLBACK_ALLOW"),
        ("http://127.0.0.10:8000/", "HOOKLINE_CALLBACK_ALLOW"),
        ("https://database/", "inner network"),
    ],
)
def test_a_refusal_says_why_in_words(url: object, reason: str) -> None:
    with pytest.raises(URLRefused, match=reason) as caught:
        check_url(url, CLOSED)
    assert "hunter2" not in caught.value.reason


def test_localhost_passes_only_where_loopback_is_listed() -> None:
    assert check_url("http://localhost:8000/inbox", LOOPBACK).listed_only
    assert check_url("http://LOCALHOST:8000/inbox", LOOPBACK).host == "localhost"
    with pytest.raises(URLRefused):
        check_url("http://localhost:8000/inbox", CLOSED)
    with pytest.raises(URLRefused):
        check_url("http://x.localhost:8000/inbox", LOOPBACK)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "93.184.215.14", "::1", "::ffff:127.0.0.9", "2606:4700::1111"],
)
def test_only_listed_addresses_are_called_while_the_public_is_closed(address: str) -> None:
    check_address(SINK, CLOSED)
    with pytest.raises(AddressRefused, match="only addresses that HOOKLINE_CALLBACK_ALLOW lists are called"):
        check_address(ip_address(address), CLOSED)


def test_a_public_address_is_called_once_the_public_is_open_but_not_by_http() -> None:
    public = ip_address("93.184.215.14")
    check_address(public, PUBLIC)
    with pytest.raises(AddressRefused, match="https"):
        check_address(public, PUBLIC, listed_only=True)
    check_address(SINK, PUBLIC, listed_only=True)


@given(st.one_of(st.text(), st.from_regex(r"https?://[!-~]{1,40}(:[0-9]{1,6})?/[!-~]*", fullmatch=True)))
def test_any_text_is_refused_or_read_the_same_when_it_is_sent(url: str) -> None:
    try:
        checked = check_url(url, PUBLIC)
    except URLRefused:
        return
    again = check_url(str(httpx.URL(url)), PUBLIC)
    assert (again.scheme, again.host, again.port) == (checked.scheme, checked.host, checked.port)
