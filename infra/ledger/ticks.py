"""When recurring handlers were due last, so that a time that was missed is made up for, and none is twice."""

from datetime import datetime

from redis.asyncio import Redis

from infra.clock import unix_milliseconds
from infra.ledger import keys
from infra.ledger.parsing import moment
from infra.ledger.reading import Reading
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal


class Ticks(Reading):
    """One moment for each schedule, which only moves forward. Everything here raises `LedgerError` as `Reading` does."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def last(self, schedule: str) -> datetime | None:
        """When a schedule was due last; None where nobody has noted it yet."""
        (kept,) = await self._fetch([("HGET", keys.TICKS, schedule)])
        return moment(kept)

    async def note(self, schedule: str, due: datetime) -> None:
        """It was due then, and its job is recorded; a later moment stays."""
        await self._scripts.run("tick", schedule, unix_milliseconds(due))
