"""The family of signatures by a private key: ed25519, ECDSA on P-256, RSA.

The public key is the source's secret, or one of those that the sender publishes at `keys_url`, or stands in a certificate
whose address a header names (PayPal); then the secret fills ``{secret}`` in the template, and only addresses that the table
pins are fetched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from infra.signatures.errors import SchemeError, SignatureMalformed, SignatureMissing
from infra.signatures.keys import (
    PrivateKey,
    PublicKey,
    pinned_roots,
    private_key,
    public_key,
    read_asymmetric_key,
    read_identity,
    split_identity,
)
from infra.signatures.parameters import check_keys_url, header_name, one_of, texts
from infra.signatures.published import certificate_key, published_key, published_keys
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import WantedKeys
from infra.signatures.template_scheme import TemplateScheme

_PSS = PSS(mgf=MGF1(SHA256()), salt_length=PSS.DIGEST_LENGTH)
_KINDS: dict[str, tuple[type, type]] = {
    "ed25519": (Ed25519PublicKey, Ed25519PrivateKey),
    "ecdsa-sha256": (EllipticCurvePublicKey, EllipticCurvePrivateKey),
    "rsa-sha256": (RSAPublicKey, RSAPrivateKey),
    "rsa-pss-sha256": (RSAPublicKey, RSAPrivateKey),
    "rsa-sha1": (RSAPublicKey, RSAPrivateKey),
}


def holds(algorithm: str, key: PublicKey, content: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's, by this algorithm and no other."""
    try:
        match algorithm, key:
            case "ed25519", Ed25519PublicKey():
                key.verify(signature, content)
            case "ecdsa-sha256", EllipticCurvePublicKey():
                key.verify(signature, content, ECDSA(SHA256()))
            case "rsa-sha256", RSAPublicKey():
                key.verify(signature, content, PKCS1v15(), SHA256())
            case "rsa-pss-sha256", RSAPublicKey():
                key.verify(signature, content, _PSS, SHA256())
            case "rsa-sha1", RSAPublicKey():  # SNS's first version; still not forged by collisions
                key.verify(signature, content, PKCS1v15(), SHA1())  # noqa: S303
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def make(algorithm: str, key: PrivateKey, content: bytes) -> bytes:
    """The signature.

    Raises:
        ValueError: a key of another kind.
    """
    match algorithm, key:
        case "ed25519", Ed25519PrivateKey():
            return key.sign(content)
        case "ecdsa-sha256", EllipticCurvePrivateKey():
            return key.sign(content, ECDSA(SHA256()))
        case "rsa-sha256", RSAPrivateKey():
            return key.sign(content, PKCS1v15(), SHA256())
        case "rsa-pss-sha256", RSAPrivateKey():
            return key.sign(content, _PSS, SHA256())
        case "rsa-sha1", RSAPrivateKey():
            return key.sign(content, PKCS1v15(), SHA1())  # noqa: S303
    raise ValueError("needs a key of another kind")


@dataclass(frozen=True, kw_only=True)
class Asymmetric(TemplateScheme):
    """A signature by a private key; the arguments of `TemplateScheme`, and these.

    Args:
        algorithm: ``ed25519``, ``ecdsa-sha256`` (P-256, DER), ``rsa-sha256`` (PKCS #1 v1.5), ``rsa-pss-sha256``.
        keys_url: where the sender publishes its keys, as a JWK set.
        key_id_header: the header that names one of them; None: any of them counts.
        certificate_header: the header that names the certificate's address; the secret is then no key.
        certificate_url: a regular expression for the whole of that address.
        certificate_name: how the certificate's common name has to end.

    Raises:
        SchemeError: parameters that don't fit each other.
    """

    algorithm: str = "ed25519"
    keys_url: str | None = None
    key_id_header: str | None = None
    certificate_header: str | None = None
    certificate_url: str = ""
    certificate_name: str = ""

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, _KINDS)
        check_keys_url(self.keys_url)
        if self.key_id_header is not None and self.keys_url is None:
            raise SchemeError("key_id_header", "means nothing without keys_url")
        _ = self._key_id_header
        if self.certificate_header is not None:
            header_name("certificate_header", self.certificate_header)
            if not (self.certificate_url.startswith("https://") and self.certificate_name):
                raise SchemeError("certificate_url", "needs https://, and a certificate_name")
        super().__post_init__()

    @property
    def _size(self) -> int | None:
        return 64 if self.algorithm == "ed25519" else None

    @cached_property
    def _pinned(self) -> re.Pattern[str]:
        return re.compile(self.certificate_url, re.ASCII)

    @cached_property
    def _key_id_header(self) -> bytes | None:
        return None if self.key_id_header is None else header_name("key_id_header", self.key_id_header)

    @property
    def needs_secret(self) -> bool:
        return self.keys_url is None

    @property
    def needs_published_keys(self) -> bool:
        return self.certificate_header is not None or self.keys_url is not None

    @property
    def summary(self) -> str:
        return f"{self.algorithm} of {' or '.join(texts(self.signed))} in {texts(self.header)[0]}"

    def key(self, secret: str) -> bytes:
        if self.certificate_header is not None:
            return read_identity(secret, pattern=r"[A-Za-z0-9-]+", roots=True)
        key = read_asymmetric_key(secret)
        if not isinstance(public_key(key), _KINDS[self.algorithm][0]):
            raise SchemeError("secret", f"needs a key for {self.algorithm}")
        return key

    def wanted_keys(self, request: SignedRequest, keys: Sequence[bytes]) -> WantedKeys | None:
        if self.keys_url is not None:
            return WantedKeys(url=self.keys_url, pin=self.keys_url, key_id=self._key_id(request))
        if self.certificate_header is None or all(split_identity(key)[1] for key in keys):
            return None
        url = request.headers.only(header_name("certificate_header", self.certificate_header))
        text = url.decode("latin-1")
        if not self._pinned.fullmatch(text):
            raise SignatureMalformed("the certificate stands elsewhere", header=self.certificate_header)
        return WantedKeys(url=text, pin=self.certificate_url)

    def verify(
        self, request: SignedRequest, keys: Sequence[bytes], now: datetime, published: bytes | None = None
    ) -> None:
        if self.keys_url is not None:
            keys = [*keys, *self._published(request, published, now)]
        elif self.certificate_header is not None:
            keys = [self._with_certificate(key, published, now) for key in keys]
        super().verify(request, keys, now)

    def _key_id(self, request: SignedRequest) -> str | None:
        if self._key_id_header is None:
            return None
        return request.headers.only(self._key_id_header).decode("latin-1")

    def _published(self, request: SignedRequest, published: bytes | None, now: datetime) -> list[bytes]:
        """The sender's keys that may have made this signature."""
        if published is None:
            raise SignatureMissing("the sender's keys could not be had")
        key_id = self._key_id(request)
        found = published_keys(published, now) if key_id is None else [published_key(published, key_id, now)]
        kind = _KINDS[self.algorithm][0]
        return [key for key in found if isinstance(public_key(key), kind)]

    def _with_certificate(self, key: bytes, published: bytes | None, now: datetime) -> bytes:
        """An identity with the key that speaks for it."""
        identity, own = split_identity(key)
        if own is not None:
            return key
        if published is None:
            raise SignatureMissing("the certificate could not be had")
        found = certificate_key(published, name_ends=self.certificate_name, now=now, roots=pinned_roots(key))
        return identity + b"\n" + found

    def _secret(self, key: bytes) -> bytes:
        return split_identity(key)[0] if self.certificate_header is not None else b""

    def _holds(self, key: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:
        trusted = public_key(self._pem(key))
        return any(holds(self.algorithm, trusted, content, signature) for signature in signatures)

    def _make(self, key: bytes, content: bytes) -> bytes:
        return make(self.algorithm, private_key(self._pem(key)), content)

    def _pem(self, key: bytes) -> bytes:
        return (split_identity(key)[1] or b"") if self.certificate_header is not None else key
