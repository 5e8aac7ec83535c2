"""The seal of a record: what a worker acts on is what a trusted process wrote.

Whoever can write to Redis could otherwise change which job runs on what, or where its result goes. A keyed
BLAKE2s covers the job's id, the event's id, its head (source, type, the body's digest, headers, metadata) and the job's
birth (queue, callback URL). It is made when a job is made, and checked when it is claimed, with the body, and whenever it
is read, before its callback is sent above all. The key is derived from ``HOOKLINE_SECRET_KEY`` and never stored.
"""

import hmac
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import blake2s

SEAL_LENGTH = 22


class Seal:
    """Makes and checks seals; the first key seals, all are accepted.

    >>> old, new = Seal(["old"]), Seal(["new", "old"])
    >>> parts = (b"job_1", b"evt_1", b'{"digest":"00"}', b"{}")
    >>> new.holds(old.make(*parts), *parts), old.holds(new.make(*parts), *parts)
    (True, False)
    >>> new.holds(new.make(*parts), b"job_1", b"evt_1", b'{"digest":"01"}', b"{}")
    False
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys:
            raise ValueError("a seal needs at least one secret key")
        keys = [blake2s(key.encode(), person=b"hl.seal", digest_size=32).digest() for key in secret_keys]
        self._begun = [blake2s(key=key, digest_size=16) for key in keys]

    def make(self, *parts: bytes) -> bytes:
        """The seal over these parts, in this order: 22 characters of base64."""
        return _seal(self._begun[0], parts)

    def holds(self, seal: bytes, *parts: bytes) -> bool:
        """Whether one of the keys made this seal over these parts."""
        matches = [hmac.compare_digest(seal, _seal(begun, parts)) for begun in self._begun]
        return any(matches)

    def each(self, *parts: bytes) -> list[bytes]:
        """The seal over these parts under every key, that of the newest first."""
        return [_seal(begun, parts) for begun in self._begun]


def _seal(begun: blake2s, parts: Sequence[bytes]) -> bytes:
    state = begun.copy()
    state.update(b"".join([piece for part in parts for piece in (len(part).to_bytes(8), part)]))
    return b2a_base64(state.digest())[:SEAL_LENGTH]
