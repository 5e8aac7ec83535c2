"""The family of JSON Web Tokens (RFC 7519) in a header: one algorithm, pinned; the token's own word for it counts for nothing.

- Times are compared with our clock without leeway: ``exp`` and ``nbf`` where they are, ``iat`` where a tolerance is set.
- It covers the ``body`` if a claim holds the body's SHA-256, else ``nothing``.
- The key is the secret; or, where `keys_url` is set, the one of the token's ``kid`` that the sender publishes there. Then the
  secret names whom to trust, and fills ``{secret}``.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import PyJWTError

from infra.signatures.compact_token import Token, token_part
from infra.signatures.errors import (
    SchemeError,
    SecretMissing,
    SignatureError,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    TimestampOutOfTolerance,
)
from infra.signatures.keys import (
    private_key,
    public_key,
    read_asymmetric_key,
    read_identity,
    read_shared_key,
    split_identity,
)
from infra.signatures.parameters import check_keys_url, header_name, one_of
from infra.signatures.published import published_key
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers, Draft, Scheme, Signed, WantedKeys

_ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "PS256", "ES256")
_LIFETIME = timedelta(minutes=5)  # of the tokens that we sign


@dataclass(frozen=True, kw_only=True)
class JsonWebToken(Scheme):
    """A token that vouches for a request.

    Args:
        header: the header that carries it.
        auth_scheme: ``required``, ``optional`` or ``none``: whether ``Bearer`` stands before it.
        algorithm: ``HS256``, ``HS384``, ``HS512``, ``RS256``, ``PS256`` or ``ES256``.
        claims: what claims have to be; several values: one of them. ``{url}`` stands for the URL that was called,
            ``{secret}`` for the secret.
        required: claims that have to be there, such as ``exp``.
        body_claim, body_encoding: the claim with the body's SHA-256, as ``hex`` or ``base64url``.
        tolerance: how old ``iat`` may be; None: it doesn't count.
        keys_url: where the sender publishes its keys.
        keys_question: ``plaid``: they are asked for one by one, with the secret's two halves.
        identity: a regular expression for the secret where keys are published.

    Raises:
        SchemeError: parameters that don't fit each other.
    """

    header: str
    algorithm: str
    auth_scheme: str = "none"
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False)
    required: Sequence[str] = ()
    body_claim: str | None = None
    body_encoding: str = "hex"
    tolerance: timedelta | None = None
    keys_url: str | None = None
    keys_question: str | None = None
    identity: str = r"\S+"

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, _ALGORITHMS)
        one_of("auth_scheme", self.auth_scheme, ("none", "optional", "required"))
        one_of("body_encoding", self.body_encoding, ("hex", "base64url"))
        if self.keys_question is not None:
            one_of("keys_question", self.keys_question, ("plaid",))
        check_keys_url(self.keys_url)
        if self.keys_url is not None and self.keys_question is None and not self.claims:
            raise SchemeError("claims", "is needed with keys_url: its keys may sign for others too")
        if self.tolerance is not None and self.tolerance <= timedelta(0):
            raise SchemeError("tolerance", "must be more than 0s")
        _ = self._header

    @cached_property
    def _header(self) -> bytes:
        return header_name("header", self.header)

    @cached_property
    def _algorithm(self) -> Algorithm:
        return get_default_algorithms()[self.algorithm]

    @property
    def _names_whom_to_trust(self) -> bool:
        """Whether a secret is more than the way to the keys."""
        return "{secret}" in self.claims.values()

    @property
    def _is_shared(self) -> bool:
        return self.algorithm.startswith("HS")

    @property
    def covers(self) -> Covers:
        return "nothing" if self.body_claim is None else "body"

    @property
    def summary(self) -> str:
        return f"JWT by {self.algorithm} in {self.header}"

    @property
    def has_timestamp(self) -> bool:
        return self.tolerance is not None

    @property
    def needs_url(self) -> bool:
        return "{url}" in self.claims.values()

    @property
    def needs_secret(self) -> bool:
        return self.keys_url is None or self.keys_question is not None or self._names_whom_to_trust

    @property
    def needs_published_keys(self) -> bool:
        return self.keys_url is not None

    def key(self, secret: str) -> bytes:
        if self.keys_url is not None:
            return read_identity(secret, pattern=self.identity, needed=self._names_whom_to_trust)
        if self._is_shared:
            return read_shared_key(secret)
        key = read_asymmetric_key(secret)
        if self._prepared(key) is None:
            raise SchemeError("secret", f"needs a key for {self.algorithm}")
        return key

    def wanted_keys(self, request: SignedRequest, keys: Sequence[bytes]) -> WantedKeys | None:
        keys = self._known(keys)
        if self.keys_url is None or not keys or all(split_identity(key)[1] for key in keys):
            return None
        key_id = Token.read(self._sent(request), self.algorithm).key_id
        question = None
        if self.keys_question is not None:
            client_id, _, secret = split_identity(keys[0])[0].decode("utf-8", "replace").partition(":")
            question = json.dumps({"client_id": client_id, "secret": secret, "key_id": key_id}).encode()
        return WantedKeys(url=self.keys_url, pin=self.keys_url, question=question, key_id=key_id)

    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        keys = self._known(keys)
        if not keys:
            raise SecretMissing("the source has no secret")
        token = Token.read(self._sent(request), self.algorithm)
        fault: SignatureError | None = None
        for key in keys:
            try:
                identity, trusted = self._trusted(key, token, published, now)
                if not self._algorithm.verify(token.content, trusted, token.signature):
                    continue
                self._check(token.claims, request, identity, now)
            except SignatureError as error:
                fault = error
            else:
                return
        raise fault or SignatureMismatch("no key of the source made this token", header=self.header)

    def signed_content(self, request: SignedRequest) -> bytes | None:
        return Token.read(self._sent(request), self.algorithm).content if self.body_claim else None

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        identity, own = self._taken_apart(self._known(keys)[0])
        if own is None:
            raise ValueError("needs the private key: this secret only says whom to trust")
        issued = int(draft.now.timestamp())
        claims: dict[str, Any] = {
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(_LIFETIME.total_seconds()),
        }
        if draft.message_id is not None:
            claims["jti"] = draft.message_id
        for name, expected in self.claims.items():
            claims[name] = self._filled(expected, draft.url, identity)[0]
        if self.body_claim is not None:
            claims[self.body_claim] = self._body_hash(draft.body)
        head = {"alg": self.algorithm, "typ": "JWT"} | ({"kid": "hookline"} if self.keys_url else {})
        content = b".".join(token_part(json.dumps(part).encode()) for part in (head, claims))
        key = own if self._is_shared else private_key(own)
        token = content + b"." + token_part(self._algorithm.sign(content, key))
        word = "" if self.auth_scheme == "none" else "Bearer "
        headers = {self.header: word + token.decode("ascii")}
        return Signed(headers=headers, body=draft.body, url=draft.url)

    def _sent(self, request: SignedRequest) -> bytes:
        sent = request.headers.only(self._header)
        word, separator, token = sent.partition(b" ")
        bearer = bool(separator) and word.lower() == b"bearer"
        if bearer != (self.auth_scheme == "required") and self.auth_scheme != "optional":
            raise SignatureMalformed("Bearer is missing, or has no place here", header=self.header)
        return token if bearer else sent

    def _known(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """The keys; where none is needed, one that says nothing."""
        return keys or (() if self.needs_secret else (b"",))

    def _taken_apart(self, key: bytes) -> tuple[bytes, bytes | None]:
        return split_identity(key) if self.keys_url is not None else (b"", key)

    def _trusted(self, key: bytes, token: Token, published: bytes | None, now: datetime) -> tuple[bytes, Any]:
        """Whom the secret names, and the key that speaks for them."""
        identity, pem = self._taken_apart(key)
        if self._is_shared:
            return identity, pem
        if pem is None:
            if published is None or token.key_id is None:
                raise SignatureMissing("the sender's keys could not be had")
            pem = published_key(published, token.key_id, now)
        trusted = self._prepared(pem)
        if trusted is None:
            raise SignatureMismatch("the key is of another kind than the algorithm")
        return identity, trusted

    def _prepared(self, pem: bytes) -> Any | None:
        """The public key as the algorithm takes it; None if it is of another kind."""
        try:
            return self._algorithm.prepare_key(public_key(pem))
        except (PyJWTError, TypeError, ValueError):
            return None

    def _check(
        self, claims: Mapping[str, Any], request: SignedRequest, identity: bytes, now: datetime
    ) -> None:
        """What a token says whose signature holds."""
        for name in self.required:
            if name not in claims:
                raise SignatureMissing("the token lacks a claim", claim=name)
        for name, expected in self.claims.items():
            said = claims.get(name)
            wanted = self._filled(expected, request.url, identity)
            if said is None or not any(type(one) is type(said) and one == said for one in wanted):
                raise SignatureMismatch("a claim of the token says something else", claim=name)
        self._check_times(claims, now.timestamp())
        if self.body_claim is not None:
            said = claims.get(self.body_claim)
            expected_hash = self._body_hash(request.body).encode()
            if not isinstance(said, str) or not hmac.compare_digest(
                said.rstrip("=").encode("utf-8", "replace"), expected_hash.rstrip(b"=")
            ):
                raise SignatureMismatch("the token is for another body", claim=self.body_claim)

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        limits: dict[str, Callable[[float], bool]] = {
            "exp": lambda moment: now < moment,
            "nbf": lambda moment: moment <= now,
        }
        if self.tolerance is not None:
            oldest = self.tolerance.total_seconds()
            limits["iat"] = lambda moment: -oldest <= now - moment <= oldest
            if "iat" not in claims:
                raise SignatureMissing("the token lacks a claim", claim="iat")
        for name, holds in limits.items():
            if name not in claims:
                continue
            moment = claims[name]
            if not isinstance(moment, int | float) or isinstance(moment, bool):
                raise SignatureMalformed("a moment of the token isn't a number", claim=name)
            if not holds(moment):
                raise TimestampOutOfTolerance("the token is out of its time", claim=name)

    def _filled(self, expected: Any, url: str | None, identity: bytes) -> list[Any]:
        values = expected if isinstance(expected, list | tuple) else [expected]
        known = {"{url}": url, "{secret}": identity.decode("utf-8", "replace")}
        return [known.get(value, value) if isinstance(value, str) else value for value in values]

    def _body_hash(self, body: bytes) -> str:
        digest = sha256(body).digest()
        return digest.hex() if self.body_encoding == "hex" else urlsafe_b64encode(digest).decode("ascii")
