"""Signatures: verify what comes in, sign what goes out. One file a family; the providers are data."""

from infra.signatures.errors import (
    SchemeError,
    SecretMissing,
    SignatureError,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    TimestampOutOfTolerance,
)
from infra.signatures.hmac_template import HmacTemplate
from infra.signatures.providers import Provider, providers
from infra.signatures.request import Headers, SignedRequest
from infra.signatures.scheme import Covers, Scheme
from infra.signatures.standard_webhooks import new_whsec, standard_webhooks_headers, whsec_key
from infra.signatures.static import StaticKey

__all__ = [
    "Covers",
    "Headers",
    "HmacTemplate",
    "Provider",
    "Scheme",
    "SchemeError",
    "SecretMissing",
    "SignatureError",
    "SignatureMalformed",
    "SignatureMismatch",
    "SignatureMissing",
    "SignedRequest",
    "StaticKey",
    "TimestampOutOfTolerance",
    "new_whsec",
    "providers",
    "standard_webhooks_headers",
    "whsec_key",
]
