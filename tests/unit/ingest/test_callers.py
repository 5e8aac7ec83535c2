import pytest

from ingest.callers import caller, request_id

PEER = "10.0.0.9"


@pytest.mark.parametrize(
    ("header", "sent", "found"),
    [
        # no proxy: whatever is claimed
        (None, [], PEER),
        (None, [("x-real-ip", "203.0.113.7")], PEER),
        (None, [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")], PEER),
        # a proxy that sets this header
        ("X-Real-IP", [("x-real-ip", "203.0.113.7")], "203.0.113.7"),
        ("x-real-ip", [("x-real-ip", " 2001:db8::7 ")], "2001:db8::7"),
        ("X-Real-IP", [], PEER),
        # another header is nobody's word there either
        ("X-Real-IP", [("x-forwarded-for", "203.0.113.7")], PEER),
        # what was there before the proxy has added its own
        ("X-Forwarded-For", [("x-forwarded-for", "198.51.100.1, 203.0.113.7")], "203.0.113.7"),
        ("X-Forwarded-For", [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
        # what is no address
        ("X-Real-IP", [("x-real-ip", "\x1b[31m")], PEER),
        ("X-Real-IP", [("x-real-ip", "")], PEER),
        ("X-Real-IP", [("x-real-ip", "203.0.113.7:80")], PEER),
        ("X-Real-IP", [("x-real-ip", "\xff\xfe")], PEER),
    ],
)  # fmt: skip
def test_only_the_platforms_proxy_is_believed(
    header: str | None, sent: list[tuple[str, str]], found: str
) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in sent]
    assert caller({"client": (PEER, 50000), "headers": headers}, header) == found


def test_a_caller_over_a_socket_without_addresses_has_none() -> None:
    assert caller({"client": None, "headers": []}, None) == ""


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("0190f3c2-7a51-7c1e", "0190f3c2-7a51-7c1e"),
        ("Root=1-67891233-abcdef012345", "Root=1-67891233-abcdef012345"),
        ("", None),
        ("two words", None),
        ("x" * 129, None),
        ("\x1b[31m", None),
    ],
)
def test_what_a_proxy_calls_a_request_is_kept_if_it_is_an_id(sent: str, found: str | None) -> None:
    assert request_id({"headers": [(b"host", b"a"), (b"x-request-id", sent.encode("latin-1"))]}) == found
