"""Every vector of ``tests/data/signature_vectors.json``, through the provider table.

A vector says where it comes from: published by the provider, made by an official SDK, or by the documented formula.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.expressions import Document, compile_expression, first_of
from infra.signatures import Headers, SignatureError, SignedRequest, providers

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "signature_vectors.json").read_text()
)
SPELLED_OUT = {"hmac", "static", "bearer"}


def request_of(vector: dict[str, Any]) -> SignedRequest:
    return SignedRequest(
        method=vector["method"],
        url=vector["url"],
        headers=Headers.of(vector["headers"]),
        body=base64.b64decode(vector["body_b64"]),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_vector_is_judged_as_its_origin_says(vector: dict[str, Any]) -> None:
    scheme = providers()[vector["provider"]].build_scheme(vector["scheme"])
    keys = [scheme.key(secret) for secret in vector["secrets"]]
    now = datetime.fromtimestamp(vector["at_unix_time"], UTC)
    if vector["expected"]["verified"]:
        scheme.verify(request_of(vector), keys, now)
    else:
        with pytest.raises(SignatureError):
            scheme.verify(request_of(vector), keys, now)


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
    vector: dict[str, Any], field: str, expected: str
) -> None:
    request = request_of(vector)
    expressions = [compile_expression(text) for text in getattr(providers()[vector["provider"]], field)]
    assert first_of(expressions).evaluate(Document(headers=request.headers, body=request.body)) == expected


def test_every_scheme_of_the_table_has_a_vector_that_holds_and_one_that_does_not() -> None:
    known = {(provider.name, scheme) for provider in providers().values() for scheme in provider.schemes}
    judged = {(vector["provider"], vector["scheme"], vector["expected"]["verified"]) for vector in VECTORS}
    wanted = {(*pair, verdict) for pair in known if pair[0] not in SPELLED_OUT for verdict in (True, False)}
    assert wanted <= judged
