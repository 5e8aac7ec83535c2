"""Standard Webhooks as we send them: the headers of a callback, and the secrets behind them.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache

from infra.signatures.callback_keys import CallbackKey
from infra.signatures.errors import SchemeError
from infra.signatures.providers import providers
from infra.signatures.scheme import Scheme

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix, not a secret
_SECRET_BYTES = 32  # the specification asks for 24 to 64


def standard_webhooks_headers(
    secrets: Sequence[str],
    *,
    message_id: str,
    timestamp: datetime,
    body: bytes,
    private_keys: Sequence[CallbackKey] = (),
) -> dict[str, str]:
    """``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, with one ``v1`` for each secret, one ``v1a`` for each key.

    Args:
        secrets: ``whsec_…``, newest first; at least one.
        message_id: the same in every attempt; no dot in it.
        timestamp: aware; when this attempt is made.
        body: the bytes that are sent.

    Raises:
        ValueError: no secret, one that is not ``whsec_`` and base64, or an id that can't be signed.

    >>> from datetime import UTC
    >>> headers = standard_webhooks_headers(
    ...     ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...     timestamp=datetime.fromtimestamp(1614265330, UTC), body=b'{"test": 2432232314}')
    >>> headers["webhook-signature"]
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    keys = [whsec_key(secret) for secret in secrets]
    headers = _scheme().sign(body, keys, now=timestamp, message_id=message_id)
    if private_keys:
        content = f"{message_id}.{headers['webhook-timestamp']}.".encode() + body
        signatures = [headers["webhook-signature"], *(key.signature(content) for key in private_keys)]
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def whsec_key(secret: str) -> bytes:
    """The key in a ``whsec_…`` secret of ours.

    Raises:
        SchemeError: it doesn't begin with ``whsec_``, or no base64 follows.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise SchemeError("secret", f"needs {SECRET_PREFIX} and base64")
    return _scheme().key(secret)


def new_whsec(random_bytes: Callable[[int], bytes]) -> str:
    """A new secret of 32 bytes; `random_bytes` is `secrets.token_bytes` outside of tests.

    >>> new_whsec(bytes)
    'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return SECRET_PREFIX + b64encode(random_bytes(_SECRET_BYTES)).decode("ascii")


@cache
def _scheme() -> Scheme:
    return providers()["standard-webhooks"].build_scheme("v1")
