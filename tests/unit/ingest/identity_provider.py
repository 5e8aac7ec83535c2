"""A stand-in for an identity provider: it publishes itself and its keys, and gives real tokens for codes."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://id.example.com"
CLIENT_ID, CLIENT_SECRET = "hookline", "s3cret-of-the-console"
SETTINGS = {
    "HOOKLINE_CONSOLE_PASSWORD": "",
    "HOOKLINE_CONSOLE_OIDC_ISSUER": ISSUER,
    "HOOKLINE_CONSOLE_OIDC_CLIENT_ID": CLIENT_ID,
    "HOOKLINE_CONSOLE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
    "HOOKLINE_CONSOLE_OIDC_OPERATORS": "ada@example.com,groups=operators",
    "HOOKLINE_CONSOLE_OIDC_VIEWERS": "@example.com",
}
ADA = {"sub": "1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}


@cache
def rsa_key(name: str = "the provider's") -> rsa.RSAPrivateKey:
    """One key for each name, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk_of(key: rsa.RSAPrivateKey, **more: str) -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "use": "sig", **more}


@dataclass
class Standin:
    """The provider; each thing that it says can be changed.

    Args:
        described: over its own description.
        claims: over those of Ada.
        sign: makes the token of its claims.
        asked: what was asked at its token endpoint.
    """

    now: datetime
    issuer: str = ISSUER
    described: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[Mapping[str, Any]], str] = field(default_factory=lambda: signed)
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk_of(rsa_key(), kid="one")])
    status: int = 200
    asked: list[httpx.Request] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def visit(self, address: str) -> str:
        """Somebody comes with a question and says who they are. Returns where they are sent back to."""
        asked = dict(parse_qsl(urlsplit(address).query, strict_parsing=True))
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}&iss={self.issuer}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        status, said = self.said(request)
        return _answered(status, said)

    def said(self, request: httpx.Request) -> tuple[int, Mapping[str, Any]]:
        """The status and the document that it answers a request of ours with."""
        match request.url.path:
            case "/token":
                return self._token(request)
            case "/.well-known/openid-configuration":
                return self.status, self._description()
            case "/keys":
                return self.status, {"keys": self.keys}
            case _:
                return 404, {}

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/logout",
            **self.described,
        }

    def _token(self, request: httpx.Request) -> tuple[int, Mapping[str, Any]]:
        self.asked.append(request)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or not _proves(form, asked):
            return 400, {"error": "invalid_grant"}
        at = int(self.now.timestamp())
        lasts = int(timedelta(minutes=5).total_seconds())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": at, "exp": at + lasts, "nonce": asked["nonce"]}
        claims = {name: one for name, one in {**said, **ADA, **self.claims}.items() if one is not None}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(claims)}


def signed(claims: Mapping[str, Any], *, key: Any = None, algorithm: str = "RS256", **head: Any) -> str:
    """A token, as the provider makes it."""
    return jwt.encode(dict(claims), key or rsa_key(), algorithm, headers={"kid": "one", **head})


def unsigned(claims: Mapping[str, Any], *, alg: str = "none") -> str:
    """A token that nobody signed."""
    parts = ({"alg": alg, "kid": "one", "typ": "JWT"}, dict(claims))
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def _answered(status: int, said: Mapping[str, Any]) -> httpx.Response:
    """An answer that is read as it comes."""

    async def parts() -> AsyncIterator[bytes]:
        yield json.dumps(said).encode()

    return httpx.Response(status, content=parts())


def _proves(form: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """PKCE: who brings the code knows what its question was asked with."""
    digest = sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked["code_challenge_method"] == "S256" and challenge == asked["code_challenge"]
