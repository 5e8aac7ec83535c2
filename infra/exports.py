"""Signed exports: what is known of one event as one JSON document, for a support ticket; who has the key can see that it is whole.

The signature covers the document as canonical JSON (sorted keys, no spaces, ASCII), so that it survives being laid out anew. It is
an HMAC-SHA256 with a key derived from ``HOOKLINE_SECRET_KEY``; with ``HOOKLINE_CALLBACK_PRIVATE_KEY`` there is an
ed25519 signature too, which anyone can verify with the public keys of ``/.well-known/jwks.json``.

HooklineError
└── ExportError (ValueError)   it is no export of ours, or was changed
"""

import hmac
import json
from collections.abc import Sequence
from hashlib import blake2s
from typing import Any, Final

from infra.errors import HooklineError
from infra.signatures import CallbackKey

FORMAT: Final = "hookline-export-1"


class ExportError(HooklineError, ValueError):
    """It is no export of ours, or was changed."""


class Exports:
    """Signs documents, and says whether one is as it was signed.

    Args:
        secret_keys: newest first; the newest signs, all are accepted.
        private_keys: those that sign callbacks.

    Raises:
        ValueError: there is no secret key.

    >>> exports = Exports(["a key"])
    >>> signed = exports.sign({"event": {"id": "evt_1"}})
    >>> exports.verify(json.loads(json.dumps(signed, indent=4)))
    {'event': {'id': 'evt_1'}}
    >>> signed["document"]["event"]["id"] = "evt_2"
    >>> exports.verify(signed)
    Traceback (most recent call last):
        ...
    infra.exports.ExportError: no signature of ours holds: it was changed, or signed with another key
    """

    def __init__(self, secret_keys: Sequence[str], private_keys: Sequence[CallbackKey] = ()) -> None:
        if not secret_keys:
            raise ValueError("exports need at least one secret key")
        self._keys = [
            blake2s(key.encode(), person=b"hl.exprt", digest_size=32).digest() for key in secret_keys
        ]
        self._private_keys = private_keys

    def sign(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document in an envelope with its signatures."""
        content = _canonical(document)
        signatures = [_hmac(self._keys[0], content)]
        signatures += [key.signature(content) for key in self._private_keys]
        return {"format": FORMAT, "document": document, "signatures": signatures}

    def verify(self, signed: Any) -> dict[str, Any]:
        """The document, if one of our signatures holds.

        Raises:
            ExportError: in every other case.
        """
        if not isinstance(signed, dict) or signed.get("format") != FORMAT:
            raise ExportError(f"this is no {FORMAT}")
        document, signatures = signed.get("document"), signed.get("signatures")
        if not isinstance(document, dict) or not isinstance(signatures, list):
            raise ExportError(f"this is no {FORMAT}")
        content = _canonical(document)
        ours = [_hmac(key, content) for key in self._keys]
        ours += [key.signature(content) for key in self._private_keys]
        given = [str(signature).encode("utf-8", "replace") for signature in signatures]
        if not any(hmac.compare_digest(own.encode(), one) for own in ours for one in given):
            raise ExportError("no signature of ours holds: it was changed, or signed with another key")
        return document


def _hmac(key: bytes, content: bytes) -> str:
    return "hs256," + hmac.digest(key, content, "sha256").hex()


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
