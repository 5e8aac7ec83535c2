"""A JSON Web Token in its compact form (RFC 7515, section 7.1), taken apart strictly before anything of it is believed."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import strict_json
from infra.signatures.encodings import DECODERS, DecodingError
from infra.signatures.errors import SignatureMalformed

_LONGEST_TOKEN = 8192
_KEY_ID = re.compile(r"[A-Za-z0-9._:=-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart; nothing of it is trusted yet."""

    content: bytes
    signature: bytes
    key_id: str | None
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, sent: bytes, algorithm: str) -> "Token":
        """Take it apart.

        Args:
            algorithm: the one that counts.

        Raises:
            SignatureMalformed: no token, or one by another algorithm.
        """
        parts = sent.split(b".", 3)
        if len(sent) > _LONGEST_TOKEN or len(parts) != 3:
            raise SignatureMalformed("the header holds no token")
        try:
            head, claims = (strict_json.loads(DECODERS["base64url"](part)) for part in parts[:2])
            signature = DECODERS["base64url"](parts[2])
        except (DecodingError, strict_json.StrictJSONError):
            raise SignatureMalformed("the token can't be read") from None
        if not isinstance(head, dict) or not isinstance(claims, dict) or "crit" in head:
            raise SignatureMalformed("the token can't be read")
        if head.get("alg") != algorithm:
            raise SignatureMalformed(f"the token isn't signed by {algorithm}")
        key_id = head.get("kid")
        if key_id is not None and not (isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)):
            raise SignatureMalformed("the token's key id is no text that ids have")
        return cls(parts[0] + b"." + parts[1], signature, key_id, claims)


def token_part(data: bytes) -> bytes:
    """One of the three parts, as it is written."""
    return urlsafe_b64encode(data).rstrip(b"=")
