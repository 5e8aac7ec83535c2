"""The operators' desk: who did what at the console, and which sessions count no more."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis

from infra import strict_json
from infra.clock import from_unix_milliseconds
from infra.durations import milliseconds
from infra.ledger import keys
from infra.ledger.reading import Reading
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal

AUDIT_KEPT: Final = 1_000

_LONGEST: Final = 200  # characters of one field


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that a person did at the console.

    Args:
        on: the id of what it was done to, or its name.
        client: the address that the request came from.
    """

    at: datetime
    by: str
    act: str
    on: str
    client: str


class Desk(Reading):
    """What the console itself keeps. Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def note(self, *, by: str, act: str, on: str, client: str) -> None:
        """Note what somebody did; the last `AUDIT_KEPT` deeds are kept."""
        told = (one[:_LONGEST] for one in (by, act, on, client))
        await self._scripts.run("audit", *told, AUDIT_KEPT)

    async def deeds(self, limit: int = 100) -> list[Deed]:
        """The newest first."""
        (lines,) = await self._fetch([("LRANGE", keys.AUDIT, "0", str(limit - 1))])
        return [deed for line in lines or [] if (deed := _deed(line)) is not None]

    async def sign_out(self, session: str, *, remembered: timedelta) -> bool:
        """A session counts no more.

        Args:
            remembered: for so long, on Redis's clock: no less than any web's clock lets a session live.

        Returns:
            False where it had been ended before.
        """
        return bool(await self._scripts.run("sign_out", session, milliseconds(remembered)))

    async def is_signed_out(self, session: str) -> bool:
        """Whether somebody has ended it."""
        (score,) = await self._fetch([("ZSCORE", keys.SIGNED_OUT, session)])
        return score is not None


def _deed(line: bytes) -> Deed | None:
    """None where it can't be read."""
    try:
        told: Any = strict_json.loads(line)
        words = {name: str(told[name]) for name in ("by", "act", "on")}
        return Deed(at=from_unix_milliseconds(int(told["at"])), client=str(told["from"]), **words)
    except (strict_json.StrictJSONError, KeyError, TypeError, ValueError, OverflowError):
        return None
