"""What every family of signatures offers, so that the rest needs to know none of them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from infra.signatures.request import SignedRequest

Covers = Literal["request", "body", "fields", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedKeys:
    """A document with public keys or a certificate, which has to be fetched before a request can be verified.

    Args:
        url: one that the provider table, or the operator, pins.
        pin: what pins it, a pattern or the address itself; fetches are counted by it.
        question: a JSON body to POST; None: a GET.
        key_id: the key that is looked for; a document without it is fetched anew.
    """

    url: str
    pin: str
    question: bytes | None = field(default=None, repr=False)
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request as it has to be sent. The headers are those that the signature needs, and no others."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request before it is signed."""

    body: bytes = field(repr=False)
    now: datetime
    message_id: str | None
    method: str
    url: str | None = field(repr=False)


class Scheme(Protocol):
    """One way to sign a request, with its parameters.

    A scheme turns each secret's text into a key once, at start; `verify` and `sign` take keys. A key is bytes that say
    what the secret said, in one spelling.
    """

    @property
    @abstractmethod
    def covers(self) -> Covers:
        """What a valid signature vouches for; a callback URL is taken from nothing less.

        ``request``: whoever holds the secret made the whole request (a bearer token, an API key); ``body``: the
        body's bytes; ``fields``: some of its fields; ``nothing``: only that the sender once knew the secret.
        """

    @property
    @abstractmethod
    def summary(self) -> str:
        """What a sender has to set up, in words."""

    @property
    def has_timestamp(self) -> bool:
        """Whether a moment is signed, so that a tolerance means something."""
        return False

    @property
    def form(self) -> bool:
        """Whether it reads the signature from the body as from a form."""
        return False

    @property
    def needs_url(self) -> bool:
        """Whether the URL is signed, so that our public URL must be known."""
        return False

    @property
    def needs_secret(self) -> bool:
        """Whether a source without a secret refuses everything."""
        return True

    @property
    def needs_published_keys(self) -> bool:
        """Whether `verify` may need a document that has to be fetched first; then `wanted_keys` says which."""
        return False

    @abstractmethod
    def key(self, secret: str) -> bytes:
        """The key in a secret's text.

        Raises:
            SchemeError: empty, or not in the form that the scheme asks for.
        """

    def wanted_keys(self, request: SignedRequest, keys: Sequence[bytes]) -> WantedKeys | None:  # noqa: ARG002
        """The document without which this request can't be verified; None if there is no need of one.

        Raises:
            SignatureError: the request names none that could be trusted.
        """
        return None

    @abstractmethod
    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        """Return if any of the keys vouches for the request.

        Args:
            published: the document that `wanted_keys` asked for; None if it could not be had.

        Raises:
            SignatureError: in every other case, whatever was sent.
        """

    @abstractmethod
    def signed_content(self, request: SignedRequest) -> bytes | None:
        """The bytes that were signed, of a request that `verify` let through.

        None if they don't tell one event from another: a static key, or a body that isn't covered.
        """

    def sign(
        self,
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        message_id: str | None = None,
        method: str = "POST",
        url: str | None = None,
    ) -> dict[str, str]:
        """The headers of `sign_request`: all that is needed where the signature stands in headers."""
        signed = self.sign_request(body, keys, now=now, message_id=message_id, method=method, url=url)
        return dict(signed.headers)

    def sign_request(
        self,
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        message_id: str | None = None,
        method: str = "POST",
        url: str | None = None,
    ) -> Signed:
        """The request that is valid, wherever its signature stands.

        Args:
            keys: newest first; all of them sign where the signature can be a list, else the first does.
            message_id: needed where an id is signed.
            url: needed where the URL is signed, or carries the key.

        Raises:
            ValueError: no key, a public one where a private one is needed, a body that can't carry the signature, or an
                id or URL that is needed and missing or malformed.
        """
        if self.needs_secret and not keys:
            raise ValueError("needs a key")
        if self.needs_url and url is None:
            raise ValueError("needs the url, for it is signed")
        return self._signed(Draft(body=body, now=now, message_id=message_id, method=method, url=url), keys)

    @abstractmethod
    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        """What `sign_request` returns, of a draft that has what the scheme needs."""
