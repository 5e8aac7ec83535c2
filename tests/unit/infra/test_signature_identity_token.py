"""ID tokens: what the provider signed for us, now, in answer to our question; and everything that is not that."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from infra.signatures import SignatureError, identity_of, key_id_of
from tests.unit.ingest.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    jwk_of,
    rsa_key,
    signed,
    unsigned,
)

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
SAID = {
    "iss": ISSUER,
    "aud": CLIENT_ID,
    "sub": "1",
    "nonce": "n",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 300,
}


def published(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys or [jwk_of(rsa_key(), kid="one")]}).encode()


def check(token: str, keys: bytes | None = None) -> Mapping[str, Any]:
    return identity_of(
        token, published() if keys is None else keys, issuer=ISSUER, client_id=CLIENT_ID, nonce="n", now=NOW
    )


def test_what_the_provider_signed_is_what_it_says() -> None:
    assert check(signed({**SAID, "groups": ["ops"]}))["groups"] == ["ops"]
    assert key_id_of(signed(SAID)) == "one"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "EdDSA"])
def test_every_ordinary_algorithm_is_taken(algorithm: str) -> None:
    key: Any = rsa_key()
    jwk: dict[str, Any] = jwk_of(key, kid="one")
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one"}
    elif algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        jwk = {**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one"}
    assert check(signed(SAID, key=key, algorithm=algorithm), published(jwk))["sub"] == "1"


def hs256_by_the_public_key(claims: Mapping[str, Any]) -> str:
    """The oldest trick: a key that everybody knows, as if it were a shared one."""
    public = rsa_key().public_key().public_numbers().n.to_bytes(256, "big")
    return jwt.encode(dict(claims), public, "HS256", headers={"kid": "one"})


FORGERIES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "alg none": unsigned,
    "alg None": lambda claims: unsigned(claims, alg="None"),
    "no signature": lambda claims: unsigned(claims, alg="RS256"),
    "another's key": lambda claims: signed(claims, key=rsa_key("another's")),
    "a key that is not published": lambda claims: signed(claims, key=rsa_key("another's"), kid="two"),
    "another algorithm of the same key": lambda claims: signed(claims, key=rsa_key("another's"), algorithm="PS256"),
    "the public key as a shared one": hs256_by_the_public_key,
    "the client's secret as a shared one": lambda claims: jwt.encode(dict(claims), CLIENT_SECRET, "HS256", headers={"kid": "one"}),
    "a key that it brings along": lambda claims: signed(claims, key=rsa_key("another's"), jwk=jwk_of(rsa_key("another's"))),
    "a changed byte": lambda claims: signed(claims)[:-20] + "A" * 20,
    "other claims than were signed": lambda claims: ".".join([signed(claims).split(".")[0], unsigned({**claims, "x": 1}).split(".")[1], signed(claims).split(".")[2]]),
    "no token": lambda _: "nonsense",
    "three dots": lambda _: "...",
    "very long": lambda claims: signed({**claims, "x": "x" * 20_000}),
    "another shape": lambda _: "é.é.é",
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGERIES)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_what_the_provider_did_not_sign_is_worth_nothing(forged: str) -> None:
    with pytest.raises(SignatureError):
        check(FORGERIES[forged](SAID))


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"[]",
        b'{"keys": 7}',
        b'{"keys": [7]}',
        published({"kid": "one"}),
        published({**jwk_of(rsa_key(), kid="one"), "use": "enc"}),
        published({**jwk_of(rsa_key(), kid="one"), "alg": "PS256"}),
        published({**jwk_of(rsa_key(), kid="one"), "n": "AQ"}),
        published(jwk_of(rsa_key(), kid="one"), jwk_of(rsa_key("another's"), kid="one")),
        b"[" * 100_000,
    ],
    ids=range(10),
)
def test_keys_that_can_not_be_it_open_nothing(keys: bytes) -> None:
    with pytest.raises(SignatureError):
        check(signed(SAID), keys)


def test_a_shared_key_in_the_providers_set_is_never_one() -> None:
    shared = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    token = jwt.encode(SAID, b"k" * 32, "HS256", headers={"kid": "one"})
    with pytest.raises(SignatureError):
        check(token, published({"kty": "oct", "k": shared, "kid": "one"}))


def test_a_token_that_names_no_key_is_taken_where_there_is_one_only() -> None:
    token = jwt.encode(SAID, rsa_key(), "RS256")
    assert check(token)["sub"] == "1"
    with pytest.raises(SignatureError):
        check(token, published(jwk_of(rsa_key(), kid="one"), jwk_of(rsa_key("another's"), kid="two")))


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": ["n"]},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": [CLIENT_ID, "another"]},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"exp": int((NOW - timedelta(minutes=2)).timestamp())},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int((NOW + timedelta(minutes=2)).timestamp())},
        {"iat": True},
        {"nbf": int((NOW + timedelta(minutes=2)).timestamp())},
        {"nbf": []},
    ],
    ids=str,
)
def test_a_token_for_another_or_of_another_time_is_worth_nothing(claims: dict[str, Any]) -> None:
    said = {name: one for name, one in {**SAID, **claims}.items() if one is not None}
    with pytest.raises(SignatureError):
        check(signed(said))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID},
        {"exp": int((NOW - timedelta(seconds=30)).timestamp())},
        {"iat": int((NOW + timedelta(seconds=30)).timestamp())},
    ],
    ids=str,
)
def test_a_token_for_several_and_clocks_that_differ_are_taken(claims: dict[str, Any]) -> None:
    assert check(signed({**SAID, **claims}))["sub"] == "1"


@given(token=st.text(), keys=st.binary())
def test_whatever_comes_only_the_documented_error_comes_out(token: str, keys: bytes) -> None:
    with pytest.raises(SignatureError):
        check(token, keys)


@given(
    head=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64"]),
        st.none() | st.text() | st.integers() | st.lists(st.text()),
    )
)
def test_whatever_a_token_says_of_itself_only_the_documented_error_comes_out(head: dict[str, Any]) -> None:
    encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    rest = signed(SAID).partition(".")[2]
    with pytest.raises(SignatureError):
        check(f"{encoded}.{rest}x")
