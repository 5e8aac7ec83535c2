"""The family of one: Microsoft Graph's notifications that bring resource data, by their tokens (RFC 7519) and their ``clientState``.

One body may hold items for several applications and tenants; ``validationTokens`` has a token for each pair. Sources:
https://learn.microsoft.com/en-us/graph/change-notifications-with-resource-data (validating the authenticity of notifications) and
https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens (validating tokens).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from infra.signatures.asymmetric import holds, make
from infra.signatures.body_items import items_of, read_object, text_at
from infra.signatures.compact_token import Token, token_part
from infra.signatures.errors import (
    SecretMissing,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    TimestampOutOfTolerance,
)
from infra.signatures.keys import private_key, public_key, read_identity, split_identity
from infra.signatures.parameters import check_keys_url
from infra.signatures.published import published_key
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers, Draft, Scheme, Signed, WantedKeys

PUBLISHER: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"  # Microsoft Graph Change Tracking, in every tenant
_TOKENS: Final = "validationTokens"
_MOST_TOKENS: Final = 32
_GUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IDENTITY: Final = rf"{_GUID}:[\x21-\x7e]{{1,128}}"
_ISSUERS: Final = ("https://login.microsoftonline.com/{tenant}/v2.0", "https://sts.windows.net/{tenant}/")
_ALGORITHM: Final = "rsa-sha256"
_LIFETIME: Final = timedelta(hours=1)  # of the tokens that we sign


@dataclass(frozen=True, kw_only=True)
class GraphNotification(Scheme):
    """A notification of Microsoft Graph.

    A secret is ``application:clientState``, the application by its id. Every item has to carry the ``clientState`` of one; every
    token that was sent has to hold; an item with ``encryptedContent`` needs one of its own tenant.

    Args:
        keys_url: where Microsoft publishes its keys.
    """

    keys_url: str

    def __post_init__(self) -> None:
        check_keys_url(self.keys_url)

    @property
    def covers(self) -> Covers:
        return "request"  # a static key, which every item brings: see `infra.signatures.static`

    @property
    def summary(self) -> str:
        return "static key in each item's clientState, and JWT by RS256 in validationTokens"

    @property
    def needs_published_keys(self) -> bool:
        return True

    def key(self, secret: str) -> bytes:
        return read_identity(secret, pattern=_IDENTITY)

    def wanted_keys(self, request: SignedRequest, keys: Sequence[bytes]) -> WantedKeys | None:
        said = read_object(request.body)
        _check_states(items_of(said, "value"), keys)  # or anybody could have Microsoft asked
        tokens = _tokens_of(said)
        if not tokens or all(split_identity(key)[1] for key in keys):
            return None
        return WantedKeys(url=self.keys_url, pin=self.keys_url, key_id=tokens[0].key_id)

    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        said = read_object(request.body)
        items = items_of(said, "value")
        _check_states(items, keys)
        tenants = {_tenant_of(token, keys, now, published) for token in _tokens_of(said)}
        for item in items:
            if item.get("encryptedContent") is not None and text_at(item, "tenantId") not in tenants:
                raise SignatureMissing("no token speaks for the tenant of an item with data", member=_TOKENS)

    def signed_content(self, request: SignedRequest) -> None:  # noqa: ARG002
        return None

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        application, state, own = _taken_apart(keys[0])
        try:
            said = read_object(draft.body)
            items = items_of(said, "value")
        except (SignatureMalformed, SignatureMissing) as error:
            raise ValueError(f"can't be signed: {error}") from None
        for item in items:
            item["clientState"] = state.decode("ascii")
        tenants = dict.fromkeys(text_at(item, "tenantId") for item in items if "encryptedContent" in item)
        if tenants:
            if own is None:
                raise ValueError("needs a private key: this secret only says whom to trust")
            said[_TOKENS] = [_token(application, tenant, own, draft.now) for tenant in tenants]
        return Signed(headers={}, body=json.dumps(said, ensure_ascii=False).encode("utf-8"), url=draft.url)


def _taken_apart(key: bytes) -> tuple[str, bytes, bytes | None]:
    """The application, its ``clientState``, and a key of its own, if the secret brought one."""
    identity, own = split_identity(key)
    application, _, state = identity.partition(b":")
    return application.decode("ascii"), state, own


def _check_states(items: Sequence[dict[str, Any]], keys: Sequence[bytes]) -> None:
    """Every item has to carry the ``clientState`` of a secret.

    Raises:
        SignatureMismatch: one does not.
    """
    states = [_taken_apart(key)[1] for key in keys]
    for item in items:
        sent = text_at(item, "clientState").encode("utf-8")
        if not any(compare_digest(sent, state) for state in states):
            raise SignatureMismatch("an item has another clientState", member="clientState")


def _tokens_of(said: Mapping[str, Any]) -> list[Token]:
    """The tokens, of which nothing is believed yet.

    Raises:
        SignatureMalformed: what stands there are none, or too many.
    """
    sent = said.get(_TOKENS) or []
    if (
        not isinstance(sent, list)
        or len(sent) > _MOST_TOKENS
        or not all(isinstance(one, str) for one in sent)
    ):
        raise SignatureMalformed("what stands there are no tokens, or too many", member=_TOKENS)
    return [Token.read(one.encode("utf-8"), "RS256") for one in sent]


def _tenant_of(token: Token, keys: Sequence[bytes], now: datetime, published: bytes | None) -> str:
    """The tenant for which a token speaks.

    Raises:
        SignatureError: it does not hold: another's signature, issuer, publisher or application, or out of its time.
    """
    for key in keys:
        application, _, own = _taken_apart(key)
        if token.claims.get("aud") == application:
            break
    else:
        raise SignatureMismatch("a token is for another application", claim="aud")
    if own is None and (published is None or token.key_id is None):
        raise SignatureMissing("Microsoft's keys could not be had")
    pem = own or published_key(published or b"", token.key_id or "", now)
    if not holds(_ALGORITHM, public_key(pem), token.content, token.signature):
        raise SignatureMismatch("Microsoft did not sign a token", member=_TOKENS)
    return _checked(token.claims, now.timestamp())


def _checked(claims: Mapping[str, Any], now: float) -> str:
    """The tenant that a token names whose signature holds."""
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or claims.get("iss") not in [
        issuer.format(tenant=tenant) for issuer in _ISSUERS
    ]:
        raise SignatureMismatch("a token is from another issuer", claim="iss")
    if claims.get("azp", claims.get("appid")) != PUBLISHER:
        raise SignatureMismatch("a token was not made for Graph's notifications", claim="azp")
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (begins, ends)):
        raise SignatureMalformed("a moment of a token isn't a number", claim="exp")
    if not begins <= now < ends:
        raise TimestampOutOfTolerance("a token is out of its time", claim="exp")
    return tenant


def _token(application: str, tenant: str, own: bytes, now: datetime) -> str:
    """A token as Microsoft's second version has it."""
    issued = int(now.timestamp())
    claims = {
        "aud": application,
        "iss": _ISSUERS[0].format(tenant=tenant),
        "azp": PUBLISHER,
        "tid": tenant,
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(_LIFETIME.total_seconds()),
    }
    head = {"typ": "JWT", "alg": "RS256", "kid": "hookline"}
    content = b".".join(token_part(json.dumps(part).encode()) for part in (head, claims))
    return (content + b"." + token_part(make(_ALGORITHM, private_key(own), content))).decode("ascii")
