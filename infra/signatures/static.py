"""The family of static keys: a bearer token, an API key in a header of any name, user and password, a secret in the URL.

It covers the ``request``. The key travels inside TLS with everything else and is bound to no part of it, so there is no part
that it vouches for less than for another: whoever holds it made the whole request, as with any bearer token or API key. (An
HMAC over the body is narrower: a proxy may add a header to a request whose signature still holds.) What a static key does
not give is a signed content: two requests with the same key are two events, unless an id says that they are one.
"""

from abc import abstractmethod
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hmac import compare_digest
from urllib.parse import quote_plus

from infra.signatures.errors import (
    SchemeError,
    SecretMissing,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
)
from infra.signatures.keys import read_shared_key
from infra.signatures.parameters import header_name
from infra.signatures.request import SignedRequest, form_fields
from infra.signatures.scheme import Covers, Draft, Scheme, Signed

_MOST_PARAMETERS = 100


@dataclass(frozen=True, kw_only=True)
class _Static(Scheme):
    """A secret that is sent as it is."""

    @property
    def covers(self) -> Covers:
        return "request"

    def key(self, secret: str) -> bytes:
        return read_shared_key(secret)

    def verify(
        self,
        request: SignedRequest,
        keys: Sequence[bytes],
        now: datetime,  # noqa: ARG002 - a key has no age
        published: bytes | None = None,  # noqa: ARG002
    ) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        sent = self._sent(request)
        for key in keys:
            if compare_digest(self._spelled(key), sent):
                return
        raise SignatureMismatch("no secret of the source is the one that was sent", scheme=self.summary)

    def signed_content(self, request: SignedRequest) -> None:  # noqa: ARG002 - a static key signs nothing
        return None

    @abstractmethod
    def _sent(self, request: SignedRequest) -> bytes:
        """What was sent as the secret."""

    def _spelled(self, key: bytes) -> bytes:
        return key


@dataclass(frozen=True, kw_only=True)
class StaticKey(_Static):
    """A secret in a header.

    Args:
        header: the header that carries it.
        auth_scheme: the word before it, such as ``Bearer``, in any case (RFC 9110, section 11.1); empty for none. With
            ``Basic`` the secret is ``user:password`` (RFC 7617).

    >>> from infra.signatures.request import Headers
    >>> scheme = StaticKey(header="X-Make-ApiKey")
    >>> request = SignedRequest(headers=Headers.of({"x-make-apikey": "open sesame"}), body=b"")
    >>> scheme.verify(request, [scheme.key("open sesame")], datetime.now())
    """

    header: str
    auth_scheme: str = ""

    def __post_init__(self) -> None:
        _ = self._header  # touched here, so that a fault shows at start

    @cached_property
    def _header(self) -> bytes:
        return header_name("header", self.header)

    @cached_property
    def _auth_scheme(self) -> bytes:
        return self.auth_scheme.encode("ascii").lower()

    @property
    def summary(self) -> str:
        return f"static key in {self.header}"

    def key(self, secret: str) -> bytes:
        key = super().key(secret)
        if self._auth_scheme == b"basic" and b":" not in key:
            raise SchemeError("secret", "needs user:password")
        return key

    def _sent(self, request: SignedRequest) -> bytes:
        sent = request.headers.only(self._header)
        if not self._auth_scheme:
            return sent
        word, _, credential = sent.partition(b" ")
        if word.lower() != self._auth_scheme:
            raise SignatureMalformed(f"the header doesn't say {self.auth_scheme}", header=self.header)
        return credential

    def _spelled(self, key: bytes) -> bytes:
        return b64encode(key) if self._auth_scheme == b"basic" else key

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        credential = self._spelled(keys[0]).decode("utf-8", "surrogateescape")
        spoken = f"{self.auth_scheme} {credential}" if self.auth_scheme else credential
        return Signed(headers={self.header: spoken}, body=draft.body, url=draft.url)


@dataclass(frozen=True, kw_only=True)
class SecretInURL(_Static):
    """A secret in the URL's query, for senders that can do nothing else. Logs of proxies may keep it.

    Args:
        parameter: its name.
    """

    parameter: str = "token"

    @property
    def summary(self) -> str:
        return f"static key in ?{self.parameter}="

    def _sent(self, request: SignedRequest) -> bytes:
        pairs = form_fields(request.query, most=_MOST_PARAMETERS)
        sent = [value for name, value in pairs if name == self.parameter.encode("utf-8")]
        if not sent:
            raise SignatureMissing("the URL's parameter is absent", parameter=self.parameter)
        if len(sent) > 1:
            raise SignatureMalformed("the URL's parameter is sent more than once", parameter=self.parameter)
        return sent[0]

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        if draft.url is None:
            raise ValueError("needs the url, for the key stands in it")
        mark = "&" if "?" in draft.url else "?"
        url = f"{draft.url}{mark}{self.parameter}={quote_plus(keys[0])}"
        return Signed(headers={}, body=draft.body, url=url)
