"""Keys in the forms that secrets have, and how they become bytes in one spelling.

A shared key is its bytes. A public or private key is its PEM, whatever form it was given in: PEM, base64 of the same, hex or
``whpk_``/``whsk_`` for ed25519, a JWK. Where keys are published, a secret names whom to trust instead (an *identity*: an e-mail
address, a topic), and may bring a PEM behind it: a key of its own, for a sender that publishes none; or certificates, at one of which
the chain of the sender's certificate has to end.
"""

import json
import re
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from infra.signatures.encodings import DECODERS, DecodingError, base64_of_any_padding
from infra.signatures.errors import SchemeError

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

KEY_ENCODINGS = ("text", "base64", "hex")
_PRIVATE = (Ed25519PrivateKey, EllipticCurvePrivateKey, RSAPrivateKey)
_PUBLIC = (Ed25519PublicKey, EllipticCurvePublicKey, RSAPublicKey)
_PEM = "-----BEGIN "
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_LEAST_RSA_BITS = 2048
_ED25519_BYTES = 32


def read_shared_key(secret: str, *, prefix: str = "", encoding: str = "text") -> bytes:
    """The key in a secret's text.

    Args:
        prefix: what stands before the key, and may be missing.
        encoding: ``text``, ``base64`` (padding may be missing) or ``hex``.

    Raises:
        SchemeError: empty, or not in that encoding.

    >>> read_shared_key("whsec_Zm9vYg", prefix="whsec_", encoding="base64")
    b'foob'
    """
    key = secret.strip().removeprefix(prefix).encode("utf-8", "surrogateescape")
    try:
        if encoding == "base64":
            key = base64_of_any_padding(key)
        elif encoding == "hex":
            key = DECODERS["hex"](key)
    except DecodingError:
        raise SchemeError("secret", f"needs {encoding} after {prefix}".removesuffix(" after ")) from None
    if not key:
        raise SchemeError("secret", "is empty")
    return key


def read_asymmetric_key(secret: str) -> bytes:
    """The PEM of a public or private key, whatever form it is given in.

    Raises:
        SchemeError: no key in a form that is known, or one that is too weak.

    >>> read_asymmetric_key("89cd7489bf665a36667ba46dfd521ca6713fd2f9ad842835340b244e98355f2a").splitlines()[0]
    b'-----BEGIN PUBLIC KEY-----'
    """
    text = secret.strip()
    if not text:
        raise SchemeError("secret", "is empty")
    for read in (_from_pem, _from_jwk, _from_ed25519, _from_der):
        try:
            key = read(text)
        except (ValueError, TypeError, UnsupportedAlgorithm, PyJWTError, RecursionError):
            continue
        if key is not None:
            return _pem(_strong(key))
    raise SchemeError("secret", "needs a key as PEM, base64 of its DER, hex or whpk_…")


def read_identity(secret: str, *, pattern: str, needed: bool = True, roots: bool = False) -> bytes:
    """Whom to trust, and the key or the certificates that they brought, if any: as `split_identity` and `pinned_roots` take apart.

    Args:
        pattern: a regular expression for the whole of an identity.
        needed: False: a key alone will do.
        roots: whether certificates mean something.

    Raises:
        SchemeError: it is no identity, or what follows is no key.

    >>> read_identity("arn:aws:sns:eu-west-1:123456789012:orders", pattern="arn:.+")
    b'arn:aws:sns:eu-west-1:123456789012:orders'
    """
    identity, marker, pem = secret.strip().partition(_PEM)
    identity = identity.strip()
    if not (identity or marker):
        raise SchemeError("secret", "is empty")
    if (identity or needed or not marker) and not re.fullmatch(pattern, identity, re.ASCII):
        raise SchemeError("secret", f"needs text that matches {pattern}")
    if not marker:
        return identity.encode("ascii")
    read = _read_roots if roots and (marker + pem).startswith(_CERTIFICATE) else read_asymmetric_key
    return identity.encode("ascii") + b"\n" + read(marker + pem)


def split_identity(key: bytes) -> tuple[bytes, bytes | None]:
    """The identity, and the PEM of a key of its own."""
    identity, separator, own = key.partition(b"\n")
    return identity, own if separator and pinned_roots(key) is None else None


def pinned_roots(key: bytes) -> bytes | None:
    """The PEM of the certificates that an identity brought."""
    brought = key.partition(b"\n")[2]
    return brought if brought.startswith(_CERTIFICATE.encode()) else None


@lru_cache(maxsize=256)
def public_key(pem: bytes) -> PublicKey:
    """The public key of a PEM of ours, also of a private one."""
    if b"PRIVATE" in pem[:40]:
        return private_key(pem).public_key()
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, _PUBLIC):
        raise SchemeError("secret", "is a key of another kind")
    return key


@lru_cache(maxsize=64)
def private_key(pem: bytes) -> PrivateKey:
    """The private key of a PEM of ours.

    Raises:
        ValueError: it is a public one.
    """
    if b"PRIVATE" not in pem[:40]:
        raise ValueError("needs the private key: this one can only verify")
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, _PRIVATE):
        raise SchemeError("secret", "is a key of another kind")
    return key


def _read_roots(text: str) -> bytes:
    """The PEM of all certificates in a text."""
    try:
        found = x509.load_pem_x509_certificates(text.replace("\\n", "\n").encode("utf-8"))
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)
    except (ValueError, UnsupportedAlgorithm):
        raise SchemeError("secret", "has certificates that can't be read") from None


def _from_pem(text: str) -> object | None:
    if not text.startswith(_PEM):
        return None
    data = text.replace("\\n", "\n").encode("utf-8")  # some platforms keep a variable on one line
    if "PRIVATE KEY" in text:
        return serialization.load_pem_private_key(data, password=None)
    return serialization.load_pem_public_key(data)


def _from_jwk(text: str) -> object | None:
    if not text.startswith("{"):
        return None
    key: object = PyJWK.from_dict(json.loads(text)).key
    return key


def _from_ed25519(text: str) -> object | None:
    if text.startswith("whpk_"):
        return Ed25519PublicKey.from_public_bytes(base64_of_any_padding(text[5:].encode()))
    if text.startswith("whsk_"):  # the seed, alone or with the public key behind it
        return Ed25519PrivateKey.from_private_bytes(base64_of_any_padding(text[5:].encode())[:_ED25519_BYTES])
    if len(text) == 2 * _ED25519_BYTES:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    return None


def _from_der(text: str) -> object:
    der = base64_of_any_padding("".join(text.split()).encode())
    try:
        return serialization.load_der_public_key(der)
    except ValueError:
        return serialization.load_der_private_key(der, password=None)


def _strong(key: object) -> PublicKey | PrivateKey:
    if not isinstance(key, (*_PUBLIC, *_PRIVATE)):
        raise SchemeError("secret", "needs a key for ed25519, ECDSA or RSA")
    if isinstance(key, RSAPublicKey | RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        raise SchemeError("secret", f"needs an RSA key of {_LEAST_RSA_BITS} bits or more")
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey) and not isinstance(
        key.curve, SECP256R1
    ):
        raise SchemeError("secret", "needs an elliptic curve key on P-256")
    return key


def _pem(key: PublicKey | PrivateKey) -> bytes:
    if isinstance(key, _PRIVATE):
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
