"""The ed25519 keys that sign callbacks, for receivers that should be able to verify and not to forge.

Sources: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (``v1a``, ``whsk_``,
``whpk_``), RFC 8037 (the JWK), RFC 7638 (its ``kid``).
"""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.settings import Settings, SettingsError
from infra.signatures.encodings import DecodingError, base64_of_any_padding
from infra.signatures.errors import SchemeError

PRIVATE_PREFIX, PUBLIC_PREFIX = "whsk_", "whpk_"
_SEED_BYTES = 32


class CallbackKey:
    """One key: it signs, and tells its public half.

    Args:
        private_key: ``whsk_`` and base64 of the seed, or of the seed and the public key behind it.

    Raises:
        SchemeError: it is no such key, or its public half belongs to another.

    >>> key = CallbackKey("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
    >>> key.public_key
    'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4='
    >>> key.jwk["kty"], key.jwk["crv"], key.jwk["x"]
    ('OKP', 'Ed25519', '1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4')
    """

    def __init__(self, private_key: str) -> None:
        try:
            kept = base64_of_any_padding(private_key.removeprefix(PRIVATE_PREFIX).encode())
        except DecodingError:
            kept = b""
        if not private_key.startswith(PRIVATE_PREFIX) or len(kept) not in (_SEED_BYTES, 2 * _SEED_BYTES):
            raise SchemeError("secret", f"needs {PRIVATE_PREFIX} and an ed25519 key in base64")
        self._key = Ed25519PrivateKey.from_private_bytes(kept[:_SEED_BYTES])
        self._public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if kept[_SEED_BYTES:] not in (b"", self._public):
            raise SchemeError("secret", "has the public key of another private key behind it")

    @property
    def public_key(self) -> str:
        """What receivers verify with: ``whpk_…``."""
        return PUBLIC_PREFIX + b64encode(self._public).decode("ascii")

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JSON Web Key."""
        needed = {"crv": "Ed25519", "kty": "OKP", "x": _unpadded(self._public)}
        thumbprint = sha256(json.dumps(needed, separators=(",", ":"), sort_keys=True).encode()).digest()
        return {**needed, "kid": _unpadded(thumbprint), "use": "sig", "alg": "EdDSA"}

    def signature(self, content: bytes) -> str:
        """One item of ``webhook-signature``."""
        return "v1a," + b64encode(self._key.sign(content)).decode("ascii")


def new_whsk(random_bytes: Callable[[int], bytes]) -> str:
    """A new private key; `random_bytes` is `secrets.token_bytes` outside of tests.

    >>> CallbackKey(new_whsk(bytes)).public_key
    'whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik='
    """
    seed = random_bytes(_SEED_BYTES)
    public = (
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    return PRIVATE_PREFIX + b64encode(seed + public).decode("ascii")


def callback_keys_of(settings: Settings) -> list[CallbackKey]:
    """The keys of ``HOOKLINE_CALLBACK_PRIVATE_KEY``.

    Raises:
        SettingsError: one of them is none.
    """
    try:
        return [CallbackKey(key) for key in settings.callback_private_keys]
    except SchemeError as error:
        raise SettingsError(f"HOOKLINE_CALLBACK_PRIVATE_KEY: {error}") from None


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")
