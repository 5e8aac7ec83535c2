"""Every scheme of the provider table, with secrets in the forms that they ask for, and a body of the shape that they sign."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.signatures import Scheme, Signed, providers

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/some"
SPELLED_OUT = {"hmac", "keyed-hash", "asymmetric", "jwt", "body-signature", "static"}  # by a source
GENERIC = SPELLED_OUT | {"bearer", "basic", "url-secret", "none"}
JSON = {"id": "evt_1", "type": "row.added", "Type": "Notification", "Message": "hello", "MessageId": "m1"}


@cache
def pem(algorithm: str, generation: int) -> str:
    """A private key; another one for another generation."""
    made: Any
    if algorithm == "ed25519":
        made = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([generation]) * 32)
    elif algorithm.upper().startswith("E"):
        made = ec.derive_private_key(1000 + generation, ec.SECP256R1())
    else:
        made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True)
class Case:
    """A scheme of a provider."""

    provider: str
    name: str

    @property
    def scheme(self) -> Scheme:
        return _built(self.provider, self.name)

    @property
    def parameters(self) -> Any:
        return providers()[self.provider].schemes[self.name]

    def secret(self, generation: int = 0) -> str:
        """A secret in the form that the scheme asks for."""
        algorithm = self.parameters.get("algorithm", "")
        if self.provider == "aws-sns":
            return "arn:aws:sns:us-east-1:123456789012:orders " + pem("rsa", generation)
        if self.provider == "paypal":
            return "4JH86294D6297924G " + pem("rsa", generation)
        if self.provider == "google-pubsub":
            return "push@project.iam.gserviceaccount.com " + pem("rsa", generation)
        if self.parameters["family"] == "graph":
            return f"8e460676-ae3f-4b1e-8790-ee0fb5d6148{generation}:state-{generation} " + pem(
                "rsa", generation
            )
        if self.parameters["family"] == "asymmetric" or algorithm.startswith(("ES", "RS")):
            return pem(algorithm, generation)
        if self.parameters.get("key_encoding") == "base64":
            return base64.b64encode(bytes([65 + generation]) * 24).decode()
        if self.parameters.get("key_encoding") == "hex":
            return f"{generation + 10:02x}" * 32
        return f"user-{generation}:secret-{generation}"

    @cache  # noqa: B019 - as many cases as the table has schemes
    def keys(self, generation: int = 0) -> list[bytes]:
        return [self.scheme.key(self.secret(generation))]

    def send(self, body: bytes | None = None, *, at: datetime = NOW, generation: int = 0) -> Signed:
        body = sample_body(self) if body is None else body
        return self.scheme.sign_request(body, self.keys(generation), now=at, message_id="msg_1", url=URL)


@cache
def _built(provider: str, name: str) -> Scheme:
    return providers()[provider].build_scheme(name)


def sample_body(case: Case) -> bytes:
    if case.parameters.get("form"):
        return b"event=row.added&token=" + b"t" * 50
    if case.parameters["family"] == "body" and case.parameters.get("items"):
        item: dict[str, Any] = {"NotificationRequestItem": {"eventCode": "AUTHORISATION"}}
        return json.dumps({case.parameters["items"]: [item, json.loads(json.dumps(item))]}).encode()
    if case.parameters["family"] == "graph":
        one = {"id": "n1", "changeType": "created", "tenantId": "t1", "encryptedContent": {"data": "…"}}
        return json.dumps({"value": [one, {**one, "tenantId": "t2"}]}).encode()
    if case.parameters["family"] == "body":
        return json.dumps({**JSON, "signature": {"token": "t" * 50}}).encode()
    if case.parameters.get("timestamp_json"):
        return json.dumps({**JSON, "webhookTimestamp": int(NOW.timestamp() * 1000)}).encode()
    return json.dumps(JSON).encode()


CASES = [
    Case(provider.name, name)
    for provider in providers().values()
    if not provider.parameters or provider.name in ("plaid", "google-pubsub")
    for name in provider.schemes
]
SIGNED_CASES = [case for case in CASES if case.scheme.needs_secret]


def each(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.provider}-{case.name}")
