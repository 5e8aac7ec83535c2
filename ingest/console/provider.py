"""The identity provider, by OpenID Connect: where people are sent, and what it says of those who come back.

Its documents and keys are fetched through a guarded client, kept as `infra.signatures.PublishedKeys` keeps them, and each is
looked at before it is believed. Sources: OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (``iss``).

HooklineError
└── ProviderError       nobody can be let in by it
    └── ProviderAway    because it does not answer, or not in a way that can be used
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeGuard
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx

from infra.clock import Clock
from infra.egress import EgressError, EgressPolicy, guarded_client
from infra.errors import HooklineError
from infra.settings import Settings, SettingsError
from infra.signatures import (
    HTTPFetcher,
    PublishedKeys,
    SignatureError,
    WantedKeys,
    identity_of,
    key_id_of,
)

_DOCUMENT: Final = "/.well-known/openid-configuration"
_LARGEST: Final = 64 * 1024  # bytes of an answer
_SECONDS: Final = 10.0
_BASIC: Final = "client_secret_basic"


class ProviderError(HooklineError):
    """Nobody can be let in by what it says."""


class ProviderAway(ProviderError):
    """It does not answer, or not in a way that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """With what somebody is sent to the provider, and has to come back.

    Args:
        verifier: which the provider is told of as its hash, and gets with the code.
    """

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class Provider:
    """One provider.

    Args:
        back: the address of ours that it sends people back to.
        home: where it may send them once they have signed out there.
        connect: makes a client that calls only what may be called.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        back: str,
        home: str,
        connect: Callable[[], httpx.AsyncClient],
        clock: Clock,
    ) -> None:
        if settings.console_oidc_issuer is None or settings.console_oidc_client_id is None:
            raise SettingsError("HOOKLINE_CONSOLE_OIDC_CLIENT_ID: needed with HOOKLINE_CONSOLE_OIDC_ISSUER")
        self._issuer = settings.console_oidc_issuer
        self._client_id = settings.console_oidc_client_id
        self._secret = settings.console_oidc_client_secret
        self._scopes = settings.console_oidc_scopes
        self._back = back
        self._home = home
        self._connect = connect
        self._published = PublishedKeys(HTTPFetcher(connect), clock)
        self._clock = clock

    @classmethod
    def of(
        cls, settings: Settings, *, clock: Clock, connect: Callable[[], httpx.AsyncClient] | None = None
    ) -> "Provider | None":
        """The one that the settings name, if they do.

        Args:
            connect: over the guarded transport when left out.

        Raises:
            SettingsError: something that it needs is missing.
        """
        if settings.console_oidc_issuer is None:
            return None
        if settings.public_url is None:
            raise SettingsError("HOOKLINE_PUBLIC_URL: needed with HOOKLINE_CONSOLE_OIDC_ISSUER")
        if not (settings.console_oidc_operators or settings.console_oidc_viewers):
            raise SettingsError("HOOKLINE_CONSOLE_OIDC_OPERATORS: needed, or HOOKLINE_CONSOLE_OIDC_VIEWERS, with HOOKLINE_CONSOLE_OIDC_ISSUER")  # fmt: skip
        policy = EgressPolicy(allow=settings.console_oidc_allow)
        return cls(
            settings,
            back=f"{settings.public_url}/console/oidc/return",
            home=f"{settings.public_url}/console/login",
            connect=(lambda: guarded_client(policy)) if connect is None else connect,
            clock=clock,
        )

    @property
    def host(self) -> str:
        """What people know it by."""
        return urlsplit(self._issuer).netloc

    async def address(self, question: Question) -> str:
        """Where somebody is sent to say who they are.

        Raises:
            ProviderAway: it can't be told.
        """
        challenge = base64.urlsafe_b64encode(sha256(question.verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._back,
            "scope": " ".join(dict.fromkeys(("openid", *self._scopes))),
            "state": question.state,
            "nonce": question.nonce,
            "code_challenge": challenge.decode("ascii"),
            "code_challenge_method": "S256",
        }
        return _with_query((await self._description())["authorization_endpoint"], asked)

    async def farewell(self) -> str | None:
        """Where somebody may sign out there too, if it has such a place and can be asked."""
        try:
            end = (await self._description()).get("end_session_endpoint")
        except ProviderError:
            return None
        if not self._is_callable(end):
            return None
        return _with_query(end, {"client_id": self._client_id, "post_logout_redirect_uri": self._home})

    async def claims(self, code: str, question: Question, *, issuer: str | None) -> Mapping[str, Any]:
        """What it says of whoever brought that code.

        Args:
            issuer: who sent them, where the answer says so.

        Raises:
            ProviderError: nothing that can be believed.
        """
        if issuer not in (None, self._issuer):
            raise ProviderError("the answer is another provider's")
        described = await self._description()
        token = await self._token(described, code, question)
        try:
            wanted = WantedKeys(url=described["jwks_uri"], pin=self._issuer, key_id=key_id_of(token))
            published = await self._published.document(wanted)
            if published is None:
                raise ProviderAway("its keys can't be had")
            return identity_of(
                token,
                published,
                issuer=self._issuer,
                client_id=self._client_id,
                nonce=question.nonce,
                now=self._clock.now(),
            )
        except SignatureError as error:
            raise ProviderError(str(error)) from error

    async def stop(self) -> None:
        """Give up what is under way."""
        await self._published.stop()

    async def _description(self) -> Mapping[str, Any]:
        """What it publishes of itself, which has to be its own."""
        url = self._issuer.rstrip("/") + _DOCUMENT
        document = await self._published.document(WantedKeys(url=url, pin=self._issuer))
        said = _json(document or b"")
        if said.get("issuer") != self._issuer:
            raise ProviderAway(f"no document of {self._issuer} at {url}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not self._is_callable(said.get(name)):
                raise ProviderAway(f"its document has no {name}")
        return said

    def _is_callable(self, url: object) -> TypeGuard[str]:
        """Whether it is an address, and no less safe than the issuer's own."""
        return isinstance(url, str) and url.startswith(("https://", f"{urlsplit(self._issuer).scheme}://"))

    async def _token(self, described: Mapping[str, Any], code: str, question: Question) -> str:
        """The ID token, for the code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": question.verifier,
        }
        headers = {"Accept": "application/json"}
        if self._secret is not None and _BASIC in _ways(described):
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        else:
            form["client_id"] = self._client_id
            form |= {} if self._secret is None else {"client_secret": self._secret}
        token = _json(await self._post(described["token_endpoint"], form, headers)).get("id_token")
        if not isinstance(token, str):
            raise ProviderError("it gives no token for the code")
        return token

    async def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        received = bytearray()
        try:
            async with (
                self._connect() as client,
                client.stream("POST", url, data=dict(form), headers=headers, timeout=_SECONDS) as answer,
            ):
                async for part in answer.aiter_raw():
                    received += part
                    if len(received) > _LARGEST:
                        raise ProviderAway("its answer is too large")
        except (EgressError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderAway(f"it does not answer: {str(error) or type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            reason = str(_json(bytes(received)).get("error", ""))[:100]
            raise ProviderError(f"it answers {answer.status_code} {reason}".rstrip())
        return bytes(received)


def _ways(described: Mapping[str, Any]) -> list[Any]:
    """How the provider lets us prove who we are; by what it says, or does not say."""
    ways = described.get("token_endpoint_auth_methods_supported")
    return ways if isinstance(ways, list) else [_BASIC]


def _with_query(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"


def _json(content: bytes) -> Mapping[str, Any]:
    """An object; an empty one for anything else."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
