"""Documents with public keys, as senders publish them: key sets, one key by its id, certificates.

What is read here was fetched from an address that the provider table pins. Still nothing but one of two errors comes out.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from infra.signatures.errors import SchemeError, SignatureMalformed, SignatureMismatch
from infra.signatures.keys import read_asymmetric_key

_MOST_KEYS = 64


def published_key(document: bytes, key_id: str, now: datetime) -> bytes:
    """The PEM of the key of that id, in a JWK set (RFC 7517) or in Plaid's answer.

    Raises:
        SignatureMismatch: there is no such key, it has expired, or the document can't be read.
    """
    found = _keys_of(document).get(key_id)
    if found is None:
        raise SignatureMismatch("the sender publishes no key of that id")
    pem, expired_at = found
    if expired_at is not None and expired_at <= now.timestamp():
        raise SignatureMismatch("the key has expired")
    return pem


def published_keys(document: bytes, now: datetime) -> list[bytes]:
    """The PEM of every key of such a document that has not expired, for signatures that name none."""
    return [
        pem
        for pem, expired_at in _keys_of(document).values()
        if expired_at is None or expired_at > now.timestamp()
    ]


@lru_cache(maxsize=32)
def _keys_of(document: bytes) -> Mapping[str, tuple[bytes, float | None]]:
    """Key ids with their PEM and the moment of their end; keys of kinds that we don't know are left out."""
    try:
        said = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    listed = said["keys"] if isinstance(said.get("keys"), list) else [said.get("key", said)]
    keys = {}
    for jwk in listed[:_MOST_KEYS]:
        if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str) and jwk.get("use", "sig") == "sig":
            try:
                keys[jwk["kid"]] = (read_asymmetric_key(json.dumps(jwk)), _expiry(jwk))
            except SchemeError:
                continue
    return keys


def _expiry(jwk: Mapping[str, Any]) -> float | None:
    """Plaid's own member: seconds since 1970, or null while the key is in use."""
    expired_at = jwk.get("expired_at")
    return expired_at if isinstance(expired_at, int | float) else None


def certificate_key(document: bytes, *, name_ends: str, now: datetime, roots: bytes | None = None) -> bytes:
    """The PEM of the public key of a document's first certificate; what follows it are those in between.

    Args:
        name_ends: how the subject's common name has to end.
        roots: PEM of certificates, at one of which the chain has to end; None: the chain is not followed, for the document came
            over TLS from the sender's own host.

    Raises:
        SignatureMalformed: it is no certificate.
        SignatureMismatch: it is somebody else's, or now is outside of its time.
    """
    try:
        certificate, pem = _certificate(document)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SignatureMalformed("the certificate can't be read") from None
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not any(name == name_ends.lstrip(".") or name.endswith(name_ends) for name in names):
        raise SignatureMismatch("the certificate is not the sender's")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise SignatureMismatch("the certificate is out of its time")
    if roots is not None:
        _follow_chain(document, roots, now)
    return pem


def _follow_chain(document: bytes, roots: bytes, now: datetime) -> None:
    """Return if the chain of a document's first certificate ends at one of the roots (RFC 5280, as the Web's PKI has it).

    Raises:
        SignatureMismatch: it does not.
    """
    try:
        leaf, *between = x509.load_pem_x509_certificates(document)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (name, *_) = names.get_values_for_type(x509.DNSName)
        store = Store(x509.load_pem_x509_certificates(roots))
        PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(name)).verify(leaf, between)
    except (VerificationError, ValueError, x509.ExtensionNotFound, UnsupportedAlgorithm):
        raise SignatureMismatch("the certificate's chain ends at none that is pinned") from None


@lru_cache(maxsize=32)
def _certificate(document: bytes) -> tuple[x509.Certificate, bytes]:
    certificate = x509.load_pem_x509_certificate(document)
    pem = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return certificate, read_asymmetric_key(pem.decode("ascii"))
