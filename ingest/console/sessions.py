"""Who is signed in: a signed cookie that expires, and in the ledger those that were ended before that.

The cookie's text has more than one spelling, as every token of itsdangerous has, so a session is ended by its id.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from infra.clock import Clock
from infra.ledger import Desk
from ingest.console.people import People, Person

COOKIE: Final = "hookline_console"

_LONGEST: Final = 512  # characters of a cookie
SKEW: Final = timedelta(minutes=1)  # between the clocks of web processes


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in.

    Args:
        csrf: what every form of theirs carries.
    """

    id: str
    person: Person
    csrf: str = field(repr=False)


class Sessions:
    """Begins, reads and ends sessions.

    Args:
        secret_keys: newest first; the newest signs, all are accepted.
        lifetime: of a session, however busy it is.
    """

    def __init__(
        self, secret_keys: Sequence[str], people: People, desk: Desk, *, lifetime: timedelta, clock: Clock
    ) -> None:
        keys = [
            hashlib.blake2s(key.encode(), person=b"hl.sess", digest_size=32).digest() for key in secret_keys
        ]
        self._signer = ClockSigner(keys[::-1], clock)
        self._key = keys[0]
        self._people = people
        self._desk = desk
        self._clock = clock
        self.lifetime = lifetime

    def begin(self, person: Person) -> str:
        """A new session's cookie; never one that was there before somebody signed in."""
        named = f"{secrets.token_hex(16)}:{self._people.proof_of(person)}:{person.key}"
        return self._signer.sign(base64_encode(named)).decode("ascii")

    async def read(self, cookie: str) -> Session | None:
        """Whose cookie it is, if it is ours, has not expired, was not ended, and they may still come in.

        Raises:
            LedgerError: it can't be told whether it was ended.
        """
        session = self._signed(cookie)
        if session is None or await self._desk.is_signed_out(session.id):
            return None
        return session

    async def end(self, session: Session) -> None:
        """It counts no more, wherever its cookie is kept."""
        await self._desk.sign_out(session.id, remembered=self.lifetime + 2 * SKEW)

    def _signed(self, cookie: str) -> Session | None:
        if len(cookie) > _LONGEST:
            return None
        try:
            named, begun = self._signer.unsign(cookie, return_timestamp=True)
            id_, proof, key = base64_decode(named).decode("utf-8").split(":", 2)
        except (BadData, ValueError, OverflowError, OSError):
            return None
        person = self._people.known(key)
        age = self._clock.now() - begun
        if person is None or proof != self._people.proof_of(person) or not -SKEW <= age <= self.lifetime:
            return None
        csrf = hmac.new(self._key, f"csrf {id_}".encode(), "sha256").hexdigest()[:32]
        return Session(id_, person, csrf)


class ClockSigner(TimestampSigner):
    """Takes the time from a clock of ours. Its keys are given oldest first."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        super().__init__(keys, digest_method=hashlib.sha256, key_derivation="none")
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now().timestamp())
