"""The provider table: what it says of each sender, and what is refused in it."""

import re
from typing import Any

import pytest

from infra.expressions import Document, compile_expression, first_of
from infra.signatures import Headers, SchemeError, providers
from infra.signatures.providers import read_providers

ENTRY: dict[str, Any] = {
    "title": "Acme",
    "sources": ["https://acme.example/docs"],
    "body": "json",
    "schemes": {"hmac": {"family": "hmac", "header": "X-Acme-Signature"}},
}


@pytest.mark.parametrize("name", sorted(providers()))
def test_a_provider_names_the_sources_of_its_facts(name: str) -> None:
    assert providers()[name].sources
    assert all(re.match(r"https://\S+$", source) for source in providers()[name].sources)


@pytest.mark.parametrize(
    ("provider", "headers", "body", "event_id", "event_type"),
    [
        ("fireflies", {}, b'{"meeting_id":"M","event":"meeting.summarized"}', "M:meeting.summarized", "meeting.summarized"),
        ("fireflies", {}, b'{"meetingId":"M","eventType":"Done"}', "M:Done", "Done"),
        ("fireflies", {}, b'{"event":"meeting.summarized"}', None, "meeting.summarized"),
        ("github", {"X-GitHub-Delivery": "d", "X-GitHub-Event": "push"}, b"payload=%7B%7D", "d", "push"),
        ("standard-webhooks", {"webhook-id": "msg_1"}, b'{"type":"a.b"}', "msg_1", "a.b"),
        ("make", {"X-Event-Type": "row"}, b"", None, "row"),
        ("make", {}, b'{"type":"row"}', None, "row"),
    ],
)  # fmt: skip
def test_an_event_is_identified_and_named(
    provider: str, headers: dict[str, str], body: bytes, event_id: str | None, event_type: str
) -> None:
    document = Document(headers=Headers.of(headers), body=body)

    def read(texts: tuple[str, ...]) -> str | None:
        return first_of([compile_expression(text) for text in texts]).evaluate(document) if texts else None

    assert (read(providers()[provider].event_id), read(providers()[provider].event_type)) == (
        event_id,
        event_type,
    )


def test_a_new_provider_is_an_entry() -> None:
    assert read_providers({"acme": ENTRY})["acme"].build_scheme().covers == "body"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schemes": {}}, "provider acme: needs `scheme`"),
        ({"schemes": ENTRY["schemes"] | {"b": ENTRY["schemes"]["hmac"]}}, "provider acme: needs `scheme`"),
        ({"schemes": {"x": {"family": "magic"}}}, "provider acme: 'magic'"),
        ({"schemes": {"x": {"family": "hmac"}}}, "provider acme: is needed"),
        ({"schemes": {"x": {"family": "hmac", "header": "S", "saltt": "x"}}}, "provider acme: .*saltt"),
        ({"event_id": ["jsn:$.id"]}, "provider acme: needs header:NAME"),
        ({"titel": "Acme"}, "provider acme: titel is not a key"),
    ],
)
def test_a_wrong_entry_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_providers({"acme": ENTRY | change})


@pytest.mark.parametrize(
    ("provider", "scheme", "parameters", "parameter"),
    [
        ("make", "magic", {}, "scheme"),
        ("github", None, {"header": "X"}, "header"),
        ("github", None, {"tolerance": "5m"}, "tolerance"),
        ("make", "hmac", {"tolerance": "soon"}, "tolerance"),
        ("hmac", None, {}, "header"),
        ("static", None, {}, "header"),
        ("bearer", None, {"header": "X"}, "header"),
    ],
)
def test_a_source_can_not_ask_for_what_the_provider_has_not(
    provider: str, scheme: str | None, parameters: dict[str, str], parameter: str
) -> None:
    with pytest.raises(SchemeError) as caught:
        providers()[provider].build_scheme(scheme, parameters)
    assert caught.value.parameter == parameter
