"""Signatures: verify what comes in, sign what goes out. One file a family; the providers are data."""

from infra.signatures.asymmetric import Asymmetric
from infra.signatures.body_signature import BodySignature
from infra.signatures.callback_keys import CallbackKey, callback_keys_of, new_whsk
from infra.signatures.callback_secrets import CallbackSecrets, callback_secrets_of, secrets_by_key
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
from infra.signatures.identity_token import identity_of, key_id_of
from infra.signatures.json_web_token import JsonWebToken
from infra.signatures.key_fetching import Fetcher, FetchError, HTTPFetcher, PublishedKeys
from infra.signatures.keyed_hash import KeyedHash
from infra.signatures.providers import Batch, Provider, providers
from infra.signatures.request import Headers, SignedRequest
from infra.signatures.scheme import Covers, Scheme, Signed, WantedKeys
from infra.signatures.sns import SnsMessage
from infra.signatures.standard_webhooks import new_whsec, standard_webhooks_headers, whsec_key
from infra.signatures.static import SecretInURL, StaticKey
from infra.signatures.unsigned import Unsigned

__all__ = [
    "Asymmetric",
    "Batch",
    "BodySignature",
    "CallbackKey",
    "CallbackSecrets",
    "Covers",
    "FetchError",
    "Fetcher",
    "HTTPFetcher",
    "Headers",
    "HmacTemplate",
    "JsonWebToken",
    "KeyedHash",
    "Provider",
    "PublishedKeys",
    "Scheme",
    "SchemeError",
    "SecretInURL",
    "SecretMissing",
    "SignatureError",
    "SignatureMalformed",
    "SignatureMismatch",
    "SignatureMissing",
    "Signed",
    "SignedRequest",
    "SnsMessage",
    "StaticKey",
    "TimestampOutOfTolerance",
    "Unsigned",
    "WantedKeys",
    "callback_keys_of",
    "callback_secrets_of",
    "identity_of",
    "key_id_of",
    "new_whsec",
    "new_whsk",
    "providers",
    "secrets_by_key",
    "standard_webhooks_headers",
    "whsec_key",
]
