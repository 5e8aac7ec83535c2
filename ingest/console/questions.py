"""What somebody is sent to the identity provider with: kept in their own browser until they come back, and good for once.

The cookie holds the state alone, signed; nonce and verifier follow from it by ``HOOKLINE_SECRET_KEY``, so that no web process has
to remember anything, and whichever of them is asked can go on.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from itsdangerous import BadSignature

from infra.clock import Clock
from infra.ledger import Desk
from ingest.console.provider import Question
from ingest.console.sessions import SKEW, ClockSigner

COOKIE: Final = "hookline_console_oidc"
LIFETIME: Final = timedelta(minutes=10)

_LONGEST: Final = 1024  # characters of a cookie


class Questions:
    """Makes questions, and knows them again.

    Args:
        secret_keys: newest first; the newest signs.
    """

    def __init__(self, secret_keys: Sequence[str], desk: Desk, clock: Clock) -> None:
        self._key = hashlib.blake2s(secret_keys[0].encode(), person=b"hl.oidc", digest_size=32).digest()
        self._signer = ClockSigner([self._key], clock)
        self._desk = desk
        self._clock = clock

    def ask(self, wanted: str) -> tuple[Question, str]:
        """A new question, and the cookie by which it is known again.

        Args:
            wanted: where somebody wants to go then.
        """
        state = secrets.token_hex(16)
        return self._of(state), self._signer.sign(f"{state}|{wanted}").decode("ascii")

    async def asked(self, state: str, cookie: str) -> tuple[Question, str] | None:
        """The question that was asked of this browser, and where it wanted to go. None: no such, too long ago, or answered before.

        Raises:
            LedgerError: it can't be told whether it was answered.
        """
        if not state.isascii() or len(cookie) > _LONGEST:
            return None
        try:
            kept, asked_at = self._signer.unsign(cookie, return_timestamp=True)
            known, _, wanted = kept.decode("ascii").partition("|")
        except (BadSignature, ValueError, OverflowError, OSError):
            return None
        if not hmac.compare_digest(known, state) or not -SKEW <= self._clock.now() - asked_at <= LIFETIME:
            return None
        first = await self._desk.sign_out(f"oidc {state}", remembered=LIFETIME + 2 * SKEW)
        return (self._of(state), wanted) if first else None

    def _of(self, state: str) -> Question:
        nonce, verifier = (
            hmac.new(self._key, f"{purpose} {state}".encode(), "sha256").hexdigest()
            for purpose in ("nonce", "verifier")
        )
        return Question(state=state, nonce=nonce, verifier=verifier)
