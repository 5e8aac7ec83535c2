"""ID tokens of OpenID Connect: who somebody is, by the word of a provider that we trust.

The algorithm is one of the provider's key, never the token's own word; one that a shared secret makes is none. Sources: OpenID
Connect Core 1.0, sections 2 and 3.1.3.7; RFC 8725, section 3.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from infra.signatures.errors import SignatureMalformed, SignatureMismatch, TimestampOutOfTolerance

SIGNED_BY: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
SKEW: Final = timedelta(minutes=1)  # between the provider's clock and ours

_LONGEST: Final = 16 * 1024  # characters
_NEEDED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")
_TIMES_ARE_OURS: Final = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


def key_id_of(token: str) -> str | None:
    """The id of the key that a token names; None where it names none. Nothing of it is believed yet.

    Raises:
        SignatureMalformed: it is no token.
    """
    named = _head(token).get("kid")
    return named if isinstance(named, str) else None


def identity_of(
    token: str, published: bytes, *, issuer: str, client_id: str, nonce: str, now: datetime
) -> Mapping[str, Any]:
    """What the provider says of somebody, once everything that vouches for it holds.

    Args:
        token: as it came.
        published: the provider's key set (RFC 7517).
        nonce: what we sent somebody there with.

    Raises:
        SignatureMalformed, SignatureMismatch, TimestampOutOfTolerance: it is worth nothing.
    """
    head = _head(token)
    algorithm = head.get("alg")
    if algorithm not in SIGNED_BY:
        raise SignatureMalformed("the token's algorithm is none that is taken")
    key = _key(published, key_id_of(token), str(algorithm))
    options: Any = {"require": list(_NEEDED), **_TIMES_ARE_OURS}
    try:
        claims = jwt.decode(
            token, key, algorithms=[str(algorithm)], audience=client_id, issuer=issuer, options=options
        )
    except (PyJWTError, ValueError, TypeError) as error:
        raise SignatureMismatch(f"the token does not hold ({type(error).__name__})") from None
    _check_recipient(claims, client_id)
    if not compare_digest(str(claims["nonce"]).encode("utf-8", "replace"), nonce.encode()):
        raise SignatureMismatch("the token answers another question")
    _check_times(claims, now)
    return claims


def _head(token: str) -> Mapping[str, Any]:
    if len(token) > _LONGEST:
        raise SignatureMalformed("the token is too long")
    try:
        return jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, TypeError, RecursionError):
        raise SignatureMalformed("it is no token") from None


def _key(published: bytes, key_id: str | None, algorithm: str) -> jwt.PyJWK:
    """The key that is meant; where the token names none, the only one of its kind."""
    fitting = [jwk for jwk in _keys_of(published) if key_id is None or jwk.get("kid") == key_id]
    keys = [key for jwk in fitting if (key := _usable(jwk, algorithm)) is not None]
    if len(keys) != 1:
        raise SignatureMismatch("the provider publishes no such key")
    return keys[0]


def _keys_of(published: bytes) -> list[Mapping[str, Any]]:
    try:
        listed = json.loads(published)["keys"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return []
    return [jwk for jwk in listed if isinstance(jwk, dict)] if isinstance(listed, list) else []


def _usable(jwk: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """The key, if it is public, for signatures, and of that algorithm."""
    if jwk.get("kty") == "oct" or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(dict(jwk), algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None


def _check_recipient(claims: Mapping[str, Any], client_id: str) -> None:
    """It was made for us, and given to nobody else."""
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise SignatureMismatch("the token was made for another")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    times = {name: claims.get(name, 0) for name in ("exp", "iat", "nbf")}
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in times.values()):
        raise SignatureMalformed("a time of the token is none")
    at, skew = now.timestamp(), SKEW.total_seconds()
    if not times["exp"] > at - skew:
        raise TimestampOutOfTolerance("the token has expired")
    if not max(times["iat"], times["nbf"]) < at + skew:
        raise TimestampOutOfTolerance("the token is from the future")
