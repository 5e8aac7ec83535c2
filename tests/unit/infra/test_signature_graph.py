"""Microsoft Graph's rich notifications: tokens for several applications and tenants in one body, by keys that Microsoft publishes."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.signatures import Headers, SignatureError, SignedRequest, providers
from infra.signatures.graph_notification import PUBLISHER

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST, SECOND = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f", "11111111-2222-3333-4444-555555555555"
HERE, THERE = "84bd8158-6d4d-4958-8b9f-9d6445542f95", "66666666-7777-8888-9999-000000000000"
SECRETS = [f"{FIRST}:state-1", f"{SECOND}:state-2"]
SCHEME = providers()["microsoft-graph"].build_scheme("rich")
KEYS = [SCHEME.key(secret) for secret in SECRETS]


@cache
def key_of(name: str) -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@cache
def published() -> bytes:
    """Microsoft's document, with one key."""
    numbers = key_of("microsoft").public_key().public_numbers()
    n, e = (
        base64.urlsafe_b64encode(one.to_bytes((one.bit_length() + 7) // 8)).rstrip(b"=").decode()
        for one in (numbers.n, numbers.e)
    )
    return json.dumps({"keys": [{"kty": "RSA", "use": "sig", "kid": "k1", "n": n, "e": e}]}).encode()


def token(*, by: str = "microsoft", kid: str = "k1", tid: str = HERE, **changes: Any) -> str:
    """As Microsoft's second version has it, made by an independent library."""
    claims = {
        "aud": FIRST,
        "iss": f"https://login.microsoftonline.com/{tid}/v2.0",
        "azp": PUBLISHER,
        "tid": tid,
        "iat": NOW - timedelta(minutes=5),
        "nbf": NOW - timedelta(minutes=5),
        "exp": NOW + timedelta(hours=1),
    } | changes
    claims = {name: claim for name, claim in claims.items() if claim is not None}
    return jwt.encode(claims, key_of(by), algorithm="RS256", headers={"kid": kid})


def item(*, tenant: str = HERE, state: str = "state-1", **more: Any) -> dict[str, Any]:
    return {"id": "n1", "changeType": "created", "tenantId": tenant, "clientState": state, **more}


RICH = {"encryptedContent": {"data": "…"}}


def verify(items: list[dict[str, Any]], tokens: Any, document: bytes | None = None) -> None:
    body = json.dumps({"value": items} | ({} if tokens is None else {"validationTokens": tokens})).encode()
    request = SignedRequest(headers=Headers(), body=body)
    wanted = SCHEME.wanted_keys(request, KEYS)
    assert (wanted is None) == (not tokens)
    SCHEME.verify(request, KEYS, NOW, published() if document is None else document)


def test_a_body_of_two_applications_and_two_tenants_holds() -> None:
    items = [item(**RICH), item(tenant=THERE, state="state-2", **RICH)]
    verify(items, [token(), token(aud=SECOND, tid=THERE)])


def test_a_token_of_the_first_version_holds() -> None:
    verify([item(**RICH)], [token(iss=f"https://sts.windows.net/{HERE}/", azp=None, appid=PUBLISHER)])


@pytest.mark.parametrize("tokens", [None, []])
def test_what_has_no_data_needs_no_token(tokens: list[str] | None) -> None:
    verify([item(), item(state="state-2")], tokens)


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(by="somebody"),
        lambda: token(kid="k2"),
        lambda: token(aud="0" * 8 + FIRST[8:]),
        lambda: token(aud=None),
        lambda: token(azp=FIRST),
        lambda: token(azp=None),
        lambda: token(azp=FIRST, appid=PUBLISHER),
        lambda: token(iss=f"https://login.microsoftonline.com/{THERE}/v2.0"),
        lambda: token(iss=f"https://login.example.com/{HERE}/v2.0"),
        lambda: token(exp=NOW),
        lambda: token(exp=None),
        lambda: token(exp="later"),
        lambda: token(nbf=NOW + timedelta(seconds=1)),
        lambda: jwt.encode({"aud": FIRST}, "x" * 32, algorithm="HS256", headers={"kid": "k1"}),
        lambda: token()[:-2],
        lambda: "no token",
        lambda: 7,
    ],
)
def test_one_token_that_does_not_hold_refuses_all(make: Callable[[], Any]) -> None:
    with pytest.raises(SignatureError):
        verify([item(**RICH)], [token(), make()])


@pytest.mark.parametrize(
    ("items", "tenants"),
    [
        ([item(**RICH)], []),
        ([item(**RICH)], [THERE]),
        ([item(**RICH), item(tenant=THERE, **RICH)], [HERE]),
        ([item(**RICH, tenant="")], [HERE]),
    ],
)
def test_data_without_a_token_of_its_tenant_is_refused(
    items: list[dict[str, Any]], tenants: list[str]
) -> None:
    with pytest.raises(SignatureError):
        verify(items, [token(tid=tenant) for tenant in tenants])


def test_who_does_not_know_the_state_can_have_no_key_fetched() -> None:
    body = json.dumps({"value": [item(state="state-3", **RICH)], "validationTokens": [token()]}).encode()
    with pytest.raises(SignatureError, match="clientState"):
        SCHEME.wanted_keys(SignedRequest(headers=Headers(), body=body), KEYS)


def test_without_microsofts_keys_nothing_holds() -> None:
    with pytest.raises(SignatureError):
        verify([item(**RICH)], [token()], b"{}")


def test_a_secret_with_a_key_of_its_own_signs_what_it_accepts() -> None:
    pem = key_of("own").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = SCHEME.key(f"{FIRST}:state-1\n{pem}")
    body = json.dumps({"value": [item(**RICH), item(tenant=THERE, **RICH)]}).encode()
    made = SCHEME.sign_request(body, [key], now=NOW)
    request = SignedRequest(headers=Headers(), body=made.body)
    assert SCHEME.wanted_keys(request, [key]) is None
    SCHEME.verify(request, [key], NOW)
    with pytest.raises(SignatureError):
        SCHEME.verify(request, [key], NOW + timedelta(hours=1))
