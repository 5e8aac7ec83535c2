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
from infra.egress.addresses import NOT_PUBLIC_V4, NOT_PUBLIC_V6
from infra.settings import Settings

HOSTILE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "hostile_urls.json").read_text(encoding="utf-8")
)["urls"]
SINK = ip_address("127.0.0.9")
POLICY = EgressPolicy(allow=(ip_network("127.0.0.9/32"),))
LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


def hostile_forms(url: str) -> set[str]:
    filled = url.replace("{SINK}", "127.0.0.9:8000").replace("{ZONE}", "zone.example")
    return {filled, filled.replace("http:", "https:", 1)}


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["id"])
def test_no_hostile_url_is_callable_but_at_the_sink(case: dict[str, Any]) -> None:
    """A054 to A065: each is refused by its text, or is a name whose addresses tell, at the dial."""
    for url in hostile_forms(case["url"]):
        try:
            checked = check_url(url, POLICY)
        except URLRefused:
            continue
        if checked.literal is not None:
            assert checked.literal == SINK
            continue
        # a name that looks public: only its addresses, at the dial, can tell
        assert (checked.scheme, checked.port, checked.listed_only) == ("https", 443, False)
        assert "." in checked.host
        with pytest.raises(AddressRefused):
            check_address(ip_address("127.0.0.1"), POLICY)


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
    checked = check_url(url, POLICY)
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
        ("https://[::ffff:127.0.0.9]/", "not a public one"),
        ("http://127.0.0.10:8000/", "HOOKLINE_CALLBACK_ALLOW"),
        ("http://93.184.215.14/", "HOOKLINE_CALLBACK_ALLOW"),
        ("https://10.0.0.1/", "not a public one"),
        ("https://database/", "inner network"),
    ],
)
def test_a_refusal_says_why_in_words(url: object, reason: str) -> None:
    with pytest.raises(URLRefused, match=reason) as caught:
        check_url(url, POLICY)
    assert "hunter2" not in caught.value.reason


def test_localhost_passes_only_where_loopback_is_listed() -> None:
    assert check_url("http://localhost:8000/inbox", LOOPBACK).listed_only
    assert check_url("http://LOCALHOST:8000/inbox", LOOPBACK).host == "localhost"
    with pytest.raises(URLRefused):
        check_url("http://localhost:8000/inbox", POLICY)
    with pytest.raises(URLRefused):
        check_url("http://x.localhost:8000/inbox", LOOPBACK)


@pytest.mark.parametrize("network", [*NOT_PUBLIC_V4, *NOT_PUBLIC_V6])
def test_no_address_of_a_special_network_is_called_from_its_first_to_its_last(network: str) -> None:
    for address in (ip_network(network)[0], ip_network(network)[-1]):
        with pytest.raises(AddressRefused, match="not a public one"):
            check_address(address, POLICY)


@pytest.mark.parametrize(
    "address",
    [
        "::", "::1", "::127.0.0.1", "::ffff:93.184.215.14", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe",
        "100::1", "1fff::1", "2001:0:7f00:1::", "2002:7f00:1::", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fec0::1", "ff02::1", "255.255.255.255", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    ],
)  # fmt: skip
def test_no_disguise_and_no_metadata_is_called(address: str) -> None:
    with pytest.raises(AddressRefused, match="not a public one"):
        check_address(ip_address(address), POLICY)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "168.63.129.17", "2606:4700::1111", "2a00:1450::1"]
)
def test_a_public_address_is_called_by_https_alone(address: str) -> None:
    check_address(ip_address(address), POLICY)
    with pytest.raises(AddressRefused, match="https"):
        check_address(ip_address(address), POLICY, listed_only=True)


def test_a_listed_address_is_called_whatever_it_is() -> None:
    check_address(SINK, POLICY)
    check_address(SINK, POLICY, listed_only=True)


MAKE_ONLY = EgressPolicy(
    allow=(ip_network("127.0.0.9/32"),), hosts=("hooks.zapier.com", "*.make.com", "93.184.215.14")
)


@pytest.mark.parametrize(
    "url",
    [
        "https://hook.eu2.make.com/x",
        "https://HOOK.eu2.MAKE.com/x",
        "https://hooks.zapier.com/x",
        "https://93.184.215.14/",
        "http://127.0.0.9:8000/x",
    ],
)
def test_hosts_let_through_what_they_list_and_what_is_allowed_anyway(url: str) -> None:
    check_url(url, MAKE_ONLY)


@pytest.mark.parametrize(
    "url",
    [
        "https://make.com/",
        "https://evilmake.com/",
        "https://hook.make.com.evil.example/",
        "https://zapier.com/",
        "https://1.1.1.1/",
    ],
)
def test_hosts_refuse_everything_else(url: str) -> None:
    with pytest.raises(URLRefused, match="HOOKLINE_CALLBACK_HOSTS"):
        check_url(url, MAKE_ONLY)


def test_the_ports_are_the_operators() -> None:
    policy = EgressPolicy(ports=frozenset({9443}))
    assert check_url("https://example.com:9443/", policy).port == 9443
    with pytest.raises(URLRefused, match="only these ports are called: 9443"):
        check_url("https://example.com/", policy)


def test_the_policy_is_what_the_settings_say() -> None:
    settings = Settings.load(
        {
            "HOOKLINE_CALLBACK_ALLOW": "127.0.0.9/32",
            "HOOKLINE_CALLBACK_HOSTS": "*.Make.com",
            "HOOKLINE_CALLBACK_PORTS": "443",
        }
    )
    assert EgressPolicy.of(settings) == EgressPolicy(
        allow=(ip_network("127.0.0.9/32"),), hosts=("*.make.com",), ports=frozenset({443})
    )


@given(st.one_of(st.text(), st.from_regex(r"https?://[!-~]{1,40}(:[0-9]{1,6})?/[!-~]*", fullmatch=True)))
def test_any_text_is_refused_or_read_the_same_when_it_is_sent(url: str) -> None:
    try:
        checked = check_url(url, POLICY)
    except URLRefused:
        return
    again = check_url(str(httpx.URL(url)), POLICY)
    assert (again.scheme, again.host, again.port) == (checked.scheme, checked.host, checked.port)
