"""The family of signatures that stand in the body: an HMAC over some of its members (Adyen, Mailgun), or the secret itself
in every item (Microsoft Graph). The body, JSON or a form, has to be parsed before anything in it can be trusted, and it is
parsed strictly.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

from infra.signatures.body_items import items_of, read_fields, read_object, text_at, with_text_at
from infra.signatures.encodings import DECODERS, ENCODERS, DecodingError
from infra.signatures.errors import (
    SchemeError,
    SecretMissing,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
)
from infra.signatures.keys import KEY_ENCODINGS, read_shared_key
from infra.signatures.parameters import one_of
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers, Draft, Scheme, Signed
from infra.signatures.timestamps import Freshness

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class BodySignature(Scheme):
    """A signature in the body, or in each item of it.

    Args:
        signature: the path of the signature, in the body or in an item; of a form, the field's name.
        form: whether the body is a form.
        items: the member that lists the items; None: the body is the one item.
        fields: the paths of what is signed, in their order; none: the signature is the secret itself.
        join: what stands between them; what is missing is empty.
        timestamp, tolerance: the path of the moment among them, in seconds, and how far it may lie from now.
        event_fields: whether the fields say what happened; False: they are random text, which vouches for ``nothing``.
        encoding, key_encoding: of the HMAC-SHA256, ``hex`` or ``base64``, and of the key.

    Raises:
        SchemeError: parameters that don't fit each other.
    """

    signature: str
    form: bool = False
    items: str | None = None
    fields: Sequence[str] = ()
    join: str = ""
    timestamp: str | None = None
    tolerance: timedelta = timedelta(minutes=5)
    event_fields: bool = True
    encoding: str = "hex"
    key_encoding: str = "text"

    def __post_init__(self) -> None:
        one_of("encoding", self.encoding, DECODERS)
        one_of("key_encoding", self.key_encoding, KEY_ENCODINGS)
        if self.timestamp is not None and self.timestamp not in self.fields:
            raise SchemeError("timestamp", "proves nothing unless it is one of the fields")
        _ = self._freshness

    @cached_property
    def _freshness(self) -> Freshness:
        return Freshness(past=self.tolerance, place=self.timestamp or "")

    @property
    def covers(self) -> Covers:
        if not self.fields:
            return "request"  # a static key: see `infra.signatures.static`
        return "fields" if self.event_fields else "nothing"

    @property
    def summary(self) -> str:
        what = "HMAC-SHA256" if self.fields else "static key"
        return f"{what} in the body's {'.'.join(filter(None, (self.items, self.signature)))}"

    @property
    def has_timestamp(self) -> bool:
        return self.timestamp is not None

    def key(self, secret: str) -> bytes:
        return read_shared_key(secret, encoding=self.key_encoding)

    def verify(
        self,
        request: SignedRequest,
        keys: Sequence[bytes],
        now: datetime,
        published: bytes | None = None,  # noqa: ARG002
    ) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        for item in self._items(request):
            self._verify_item(item, keys, now)

    def _verify_item(self, item: dict[str, Any], keys: Sequence[bytes], now: datetime) -> None:
        sent = text_at(item, self.signature).encode("utf-8")
        if not sent:
            raise SignatureMissing("the body, or an item of it, has no signature", member=self.signature)
        if self.timestamp is not None:
            self._freshness.check(text_at(item, self.timestamp).encode("utf-8"), now)
        if self.fields:
            try:
                sent = DECODERS[self.encoding](sent)
            except (DecodingError, ValueError):
                raise SignatureMalformed(f"the signature isn't {self.encoding}") from None
        content = self._content(item)
        expected = [hmac.digest(key, content, "sha256") if self.fields else key for key in keys]
        if not any(hmac.compare_digest(one, sent) for one in expected):
            raise SignatureMismatch("no secret of the source makes this signature", member=self.signature)

    def signed_content(self, request: SignedRequest) -> bytes | None:
        if self.covers != "fields":
            return None
        return b"\n".join(self._content(item) for item in self._items(request))

    def _items(self, request: SignedRequest) -> list[dict[str, Any]]:
        if self.form:
            return [read_fields(request.body, request.headers.get("content-type") or "")]
        return items_of(read_object(request.body), self.items)

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        try:
            said = read_fields(draft.body, _FORM) if self.form else read_object(draft.body)
            items = items_of(said, self.items)
        except (SignatureMalformed, SignatureMissing) as error:
            raise ValueError(f"can't be signed: {error}") from None
        for item in items:
            if self.timestamp is not None:
                with_text_at(item, self.timestamp, self._freshness.write(draft.now))
            with_text_at(item, self.signature, self._make(item, keys[0]))
        if self.form:
            return Signed(
                headers={"Content-Type": _FORM}, body=urlencode(said).encode("ascii"), url=draft.url
            )
        return Signed(headers={}, body=json.dumps(said, ensure_ascii=False).encode("utf-8"), url=draft.url)

    def _make(self, item: dict[str, Any], key: bytes) -> str:
        if not self.fields:
            return key.decode("utf-8", "surrogateescape")
        return ENCODERS[self.encoding](hmac.digest(key, self._content(item), "sha256"))

    def _content(self, item: dict[str, Any]) -> bytes:
        return self.join.join(text_at(item, path) for path in self.fields).encode("utf-8")
