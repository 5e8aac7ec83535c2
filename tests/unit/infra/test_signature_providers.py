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
    provider = providers()[name]
    assert provider.sources
    for source in provider.sources:
        assert re.match(r"https://\S+$", source) or provider.grade == "third-party"


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
        ({"scheme": "v9"}, "provider acme: has no scheme v9"),
        ({"grade": "best"}, "provider acme: needs a `grade`"),
        ({"handshakes": [{"kind": "dance"}]}, "provider acme: has a handshake of no kind"),
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


def test_a_scheme_can_be_like_another_providers() -> None:
    like = {"x": {"like": "acme/hmac", "encoding": "base64"}}
    table = read_providers({"acme": ENTRY, "other": ENTRY | {"schemes": like}})
    assert table["other"].schemes["x"] == {**ENTRY["schemes"]["hmac"], "encoding": "base64"}


def test_a_batch_and_a_handshake_are_data() -> None:
    line, slack = providers()["line"], providers()["slack"]
    assert line.batch is not None
    assert (line.batch.items, line.batch.event_id) == ("$.events", ("json:$.webhookEventId",))
    assert [handshake["kind"] for handshake in slack.handshakes] == ["echo-json"]
    batched = {name for name, provider in providers().items() if provider.batch}
    assert batched == {"adyen", "hubspot", "line", "microsoft-graph", "sendgrid"}


@pytest.mark.parametrize("name", sorted(providers()))
def test_what_is_used_as_a_pattern_can_be_one(name: str) -> None:
    for handshake in providers()[name].handshakes:
        assert isinstance(handshake["signed"], bool)
        re.compile(handshake.get("host", ""))
