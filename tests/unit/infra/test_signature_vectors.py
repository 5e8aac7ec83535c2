"""Every vector of ``tests/data/signature_vectors.json``, through the provider table.

A vector says where it comes from: published by the provider, made by an official SDK, or by the documented formula; and
which official SDKs agree with it. Where keys are published by the sender, `published` is the document that would be fetched.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.expressions import Document, compile_expression, first_of
from infra.signatures import Headers, Scheme, SignatureError, SignedRequest, providers
from tests.unit.infra.signature_cases import GENERIC

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "signature_vectors.json").read_text()
)
ID_ALONE_IS_NOT_UNIQUE = {
    "adyen": "7914073381342284:AUTHORISATION:true",  # a payment has an event of each code
    "assemblyai": "5552493-16d8-42d8-8feb-c2a16b56f6e8:completed",
    "pagerduty": "5ac64822",  # the event's, not the delivery's
    "read-ai": "meeting_end:01J",
    "twilio": None,  # a call has many events: the signed content tells them apart
}


def request_of(vector: dict[str, Any]) -> SignedRequest:
    return SignedRequest(
        method=vector["method"],
        url=vector["url"],
        query=vector["url"].partition("?")[2].encode(),
        headers=Headers.of(vector["headers"]),
        body=base64.b64decode(vector["body_b64"]),
    )


def scheme_and_keys(vector: dict[str, Any]) -> tuple[Scheme, list[bytes]]:
    scheme = providers()[vector["provider"]].build_scheme(vector["scheme"])
    return scheme, [scheme.key(secret) for secret in vector["secrets"]]


def verify(vector: dict[str, Any]) -> None:
    scheme, keys = scheme_and_keys(vector)
    request, published = request_of(vector), vector.get("published")
    if published is not None:
        assert scheme.needs_published_keys
        assert scheme.wanted_keys(request, keys) is not None
    now = datetime.fromtimestamp(vector["at_unix_time"], UTC)
    scheme.verify(request, keys, now, published.encode() if published else None)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_vector_is_judged_as_its_origin_says(vector: dict[str, Any]) -> None:
    if vector["expected"]["verified"]:
        verify(vector)
    else:
        with pytest.raises(SignatureError):
            verify(vector)


@pytest.mark.parametrize(
    ("vector", "field", "expected"),
    [
        pytest.param(vector, field, vector["expected"][name], id=f"{vector['id']}-{name}")
        for vector in VECTORS
        for field, name in (("event_type", "event_type"), ("event_id", "delivery_id"))
        if name in vector["expected"]
    ],
)
def test_a_vectors_event_is_named_as_its_origin_says(
    vector: dict[str, Any], field: str, expected: str | None
) -> None:
    if field == "event_id":
        expected = ID_ALONE_IS_NOT_UNIQUE.get(vector["provider"], expected)
    request = request_of(vector)
    expressions = [compile_expression(text) for text in getattr(providers()[vector["provider"]], field)]
    assert first_of(expressions).evaluate(Document(headers=request.headers, body=request.body)) == expected


def test_every_scheme_of_the_table_has_a_vector_that_holds_and_one_that_does_not() -> None:
    known = {
        (provider.name, scheme)
        for provider in providers().values()
        for scheme in provider.schemes
        if provider.name not in GENERIC
    }
    judged = {(vector["provider"], vector["scheme"], vector["expected"]["verified"]) for vector in VECTORS}
    wanted = {
        (*pair, verdict)
        for pair in known
        for verdict in (True, False)
        if (*pair, verdict) not in WITHOUT_VECTOR
    }
    assert wanted - judged == set()


WITHOUT_VECTOR = {
    ("plaid", "sandbox", True),  # as production, but for where its keys are asked for
    ("plaid", "sandbox", False),
    ("mollie", "none", True),  # these and the next: the same scheme has one under another provider
    ("otter", "url-secret", True),
    ("zapier", "bearer", True),
    ("n8n", "hmac", True),
    ("n8n", "hmac", False),
    *((name, "none", False) for name in ("grain", "mollie", "otter", "railway")),  # nothing is refused
}
