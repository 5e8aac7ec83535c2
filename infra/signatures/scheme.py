"""What every family of signatures offers, so that the rest needs to know none of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from infra.signatures.request import SignedRequest

Covers = Literal["request", "body", "fields", "nothing"]


class Scheme(Protocol):
    """One way to sign a request, with its parameters.

    A scheme turns each secret's text into a key once, at start; `verify` and `sign` take keys.
    """

    @property
    def covers(self) -> Covers:
        """What a valid signature vouches for; a callback URL is taken from nothing less.

        ``request``: whoever holds the secret made the whole request (a bearer token, an API key); ``body``: the
        body's bytes; ``fields``: some of its fields; ``nothing``: only that the sender once knew the secret.
        """

    @property
    def has_timestamp(self) -> bool:
        """Whether a moment is signed, so that a tolerance means something."""

    @property
    def needs_url(self) -> bool:
        """Whether the URL is signed, so that our public URL must be known."""

    def key(self, secret: str) -> bytes:
        """The key in a secret's text.

        Raises:
            SchemeError: empty, or not in the form that the scheme asks for.
        """

    def verify(self, request: SignedRequest, keys: Sequence[bytes], now: datetime) -> None:
        """Return if any of the keys vouches for the request.

        Raises:
            SignatureError: in every other case, whatever was sent.
        """

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
        """The headers that make a request valid.

        Args:
            keys: newest first; all of them sign where the header can carry a list, else the first does.
            message_id: needed where an id is signed.
            url: needed where the URL is signed.

        Raises:
            ValueError: no key, or an id or URL that is needed and missing or malformed.
        """
