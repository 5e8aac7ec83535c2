"""The family of one: AWS SNS. The signature stands in the body, the certificate at an address that the body names.

Anybody with an AWS account can have SNS sign, so the secret is the topic's ARN: the topic that is trusted.
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import json
import re
from binascii import Error as DecodingError
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hmac import compare_digest
from typing import Any

from infra.clock import rfc3339
from infra.signatures.asymmetric import holds, make
from infra.signatures.body_items import read_object, text_at
from infra.signatures.encodings import DECODERS, ENCODERS
from infra.signatures.errors import SecretMissing, SignatureMalformed, SignatureMismatch, SignatureMissing
from infra.signatures.keys import pinned_roots, private_key, public_key, read_identity, split_identity
from infra.signatures.published import certificate_key
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Covers, Draft, Scheme, Signed, WantedKeys
from infra.signatures.timestamps import Freshness

_TOPIC = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}"
_CERTIFICATE = re.compile(
    r"https://sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?/[A-Za-z0-9._-]{1,128}\.pem", re.ASCII
)
_ALGORITHMS = {"1": "rsa-sha1", "2": "rsa-sha256"}
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_MEMBERS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _SUBSCRIPTION,
    "UnsubscribeConfirmation": _SUBSCRIPTION,
}


@dataclass(frozen=True, kw_only=True)
class SnsMessage(Scheme):
    """A message of AWS SNS, by either version of its signature.

    Args:
        tolerance: how far its moment may lie from now.
    """

    tolerance: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        _ = self._freshness

    @cached_property
    def _freshness(self) -> Freshness:
        return Freshness(unit="iso", past=self.tolerance, place="Timestamp")

    @property
    def covers(self) -> Covers:
        return "fields"

    @property
    def summary(self) -> str:
        return "RSA over the message's members, by the certificate of SNS"

    @property
    def has_timestamp(self) -> bool:
        return True

    @property
    def needs_published_keys(self) -> bool:
        return True

    def key(self, secret: str) -> bytes:
        return read_identity(secret, pattern=_TOPIC, roots=True)

    def wanted_keys(self, request: SignedRequest, keys: Sequence[bytes]) -> WantedKeys | None:
        said = read_object(request.body)
        topic = text_at(said, "TopicArn").encode("utf-8")
        named = [own for identity, own in map(split_identity, keys) if identity == topic]
        if not named:
            raise SignatureMismatch("the topic is not one that the source trusts")
        if all(named):
            return None
        url = text_at(said, "SigningCertURL")
        if not _CERTIFICATE.fullmatch(url):
            raise SignatureMalformed("the certificate stands elsewhere", member="SigningCertURL")
        return WantedKeys(url=url, pin=_CERTIFICATE.pattern)

    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        if not keys:
            raise SecretMissing("the source has no secret")
        said = read_object(request.body)
        algorithm = _ALGORITHMS.get(text_at(said, "SignatureVersion"))
        if algorithm is None:
            raise SignatureMalformed("the signature is of another version", member="SignatureVersion")
        self._freshness.check(text_at(said, "Timestamp").encode("utf-8"), now)
        try:
            signature = DECODERS["base64"](text_at(said, "Signature").encode("utf-8"))
        except DecodingError:
            raise SignatureMalformed("the signature isn't base64", member="Signature") from None
        content, topic = self._content(said), text_at(said, "TopicArn").encode("utf-8")
        for key in keys:
            identity, own = split_identity(key)
            if compare_digest(identity, topic):
                pem = own or self._published(said, published, now, pinned_roots(key))
                if holds(algorithm, public_key(pem), content, signature):
                    return
        raise SignatureMismatch("SNS did not sign this for a topic of the source", member="Signature")

    def _published(
        self, said: dict[str, Any], published: bytes | None, now: datetime, roots: bytes | None
    ) -> bytes:
        if not _CERTIFICATE.fullmatch(text_at(said, "SigningCertURL")):
            raise SignatureMalformed("the certificate stands elsewhere", member="SigningCertURL")
        if published is None:
            raise SignatureMissing("the certificate could not be had")
        return certificate_key(published, name_ends=".amazonaws.com", now=now, roots=roots)

    def signed_content(self, request: SignedRequest) -> bytes | None:
        return self._content(read_object(request.body))

    def _signed(self, draft: Draft, keys: Sequence[bytes]) -> Signed:
        topic, own = split_identity(keys[0])
        if own is None:
            raise ValueError("needs a private key: this secret only says whom to trust")
        try:
            said = read_object(draft.body)
            said |= {
                "TopicArn": topic.decode("ascii"),
                "Timestamp": rfc3339(draft.now),
                "SignatureVersion": "2",
            }
            content = self._content(said)
        except SignatureMalformed as error:
            raise ValueError(f"can't be signed: {error}") from None
        said["Signature"] = ENCODERS["base64"](make("rsa-sha256", private_key(own), content))
        return Signed(headers={}, body=json.dumps(said, ensure_ascii=False).encode("utf-8"), url=draft.url)

    def _content(self, said: dict[str, Any]) -> bytes:
        members = _MEMBERS.get(text_at(said, "Type"))
        if members is None:
            raise SignatureMalformed("the message is of another type", member="Type")
        lines = [f"{name}\n{text_at(said, name)}\n" for name in members if said.get(name) is not None]
        return "".join(lines).encode("utf-8")
