"""Senders that sign by certificate, where the source pins the roots: the chain has to end at one of them."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.signatures import Headers, SchemeError, SignatureMismatch, SignedRequest, providers

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEBHOOK = "4JH86294D6297924G"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
BODY = b'{"id": "WH-1"}'


class Issued(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey | RSAPrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def issued(
    name: str, by: Issued | None = None, *, leaf: bool = False, until: datetime = NOW + timedelta(1)
) -> Issued:
    """A certificate with the extensions that the Web's have; without `by` a root."""
    key = generate_rsa_key(65537, 2048) if leaf else generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = subject if by is None else by.certificate.subject
    signer = key if by is None else by.key
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(1))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_usage(leaf=leaf), critical=True)
    )
    if leaf:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return Issued(made.sign(signer, SHA256()), key)


def _usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf, key_cert_sign=not leaf, crl_sign=not leaf, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


@cache
def chain(host: str) -> tuple[Issued, Issued, Issued]:
    """A root, one in between, and the sender's."""
    root = issued("Root")
    between = issued("Between", root)
    return root, between, issued(host, between, leaf=True)


def own_pem(leaf: Issued) -> str:
    return leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def from_paypal(secret: str, document: str) -> None:
    """Verify what the sender's key has signed, with that document behind the certificate's address."""
    scheme = providers()["paypal"].build_scheme()
    leaf = chain("messages.paypal.com")[2]
    sent = scheme.sign(BODY, [scheme.key(f"{WEBHOOK} {own_pem(leaf)}")], now=NOW, message_id="m1")
    sent["Paypal-Cert-Url"] = "https://api.paypal.com/v1/notifications/certs/CERT-1"
    verify(scheme, SignedRequest(headers=Headers.of(sent), body=BODY), f"{WEBHOOK}\n{secret}", document)


def from_sns(secret: str, document: str) -> None:
    scheme = providers()["aws-sns"].build_scheme()
    leaf = chain("sns.amazonaws.com")[2]
    message = {
        "Type": "Notification", "MessageId": "m1", "Message": "hello",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
    }  # fmt: skip
    key = scheme.key(f"{TOPIC} {own_pem(leaf)}")
    made = scheme.sign_request(json.dumps(message).encode(), [key], now=NOW)
    verify(scheme, SignedRequest(headers=Headers(), body=made.body), f"{TOPIC}\n{secret}", document)


def verify(scheme: Any, request: SignedRequest, secret: str, document: str) -> None:
    keys = [scheme.key(secret)]
    assert scheme.wanted_keys(request, keys) is not None, "roots are no key: the certificate is fetched"
    scheme.verify(request, keys, NOW, document.encode())


SENDERS = pytest.mark.parametrize(
    ("send", "host"), [(from_paypal, "messages.paypal.com"), (from_sns, "sns.amazonaws.com")]
)


@SENDERS
def test_a_chain_that_ends_at_a_pinned_root_holds(send: Any, host: str) -> None:
    root, between, leaf = chain(host)
    send(root.pem, leaf.pem + between.pem)
    send(issued("Another").pem + root.pem, leaf.pem + between.pem)


@SENDERS
def test_one_in_between_may_be_pinned_where_the_document_has_the_sender_alone(send: Any, host: str) -> None:
    _, between, leaf = chain(host)
    send(between.pem, leaf.pem)


@SENDERS
def test_a_chain_that_ends_elsewhere_is_refused(send: Any, host: str) -> None:
    root, between, leaf = chain(host)
    forged = issued(host, issued("Between", issued("Root")), leaf=True)
    for pinned, document in (
        (issued("Root").pem, leaf.pem + between.pem),
        (root.pem, leaf.pem),
        (root.pem, forged.pem + between.pem),
        (root.pem, issued(host, leaf=True).pem),
        (issued("Root", until=NOW - timedelta(hours=1)).pem, leaf.pem + between.pem),
        (root.pem, leaf.pem + issued("Between", root, until=NOW - timedelta(hours=1)).pem),
    ):
        with pytest.raises(SignatureMismatch, match="chain"):
            send(pinned, document)


@SENDERS
def test_without_roots_the_chain_is_not_followed(send: Any, host: str) -> None:
    send("", issued(host, leaf=True)._replace(certificate=chain(host)[2].certificate).pem)


@pytest.mark.parametrize("provider", ["paypal", "aws-sns"])
def test_certificates_that_are_none_stop_the_start(provider: str) -> None:
    identity = WEBHOOK if provider == "paypal" else TOPIC
    with pytest.raises(SchemeError, match="certificates that can't be read"):
        providers()[provider].build_scheme().key(
            f"{identity}\n-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----"
        )


def test_where_keys_are_published_as_keys_certificates_mean_nothing() -> None:
    root = issued("Root")
    with pytest.raises(SchemeError, match="needs a key"):
        providers()["google-pubsub"].build_scheme().key(f"push@project.iam.gserviceaccount.com\n{root.pem}")
