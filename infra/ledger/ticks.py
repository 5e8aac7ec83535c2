"""When recurring handlers were due last, so that a time that was missed is made up for, and none is twice; and when they are next."""

from datetime import datetime

import msgspec
from redis.asyncio import Redis

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.parsing import moment
from infra.ledger.reading import Reading
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import dumps


class Recurrence(msgspec.Struct, frozen=True, kw_only=True):
    """A recurring handler, as a worker tells of it.

    Args:
        type: of its events; their source is `infra.routes.SCHEDULE_SOURCE`.
        schedule: how it was written, such as ``every 15m``.
        due: its next times, as it was when it was told; in ms since 1970.
    """

    handler: str
    type: str
    schedule: str
    due: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What its last time is noted under."""
        return f"{self.handler} {self.schedule}"

    @property
    def next(self) -> tuple[datetime, ...]:
        """Its next times."""
        return tuple(from_unix_milliseconds(one) for one in self.due)


class Ticks(Reading):
    """One moment for each schedule, which only moves forward. Everything here raises `LedgerError` as `Reading` does."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def last(self, schedule: str) -> datetime | None:
        """When a schedule was due last; None where nobody has noted it yet."""
        (kept,) = await self._fetch([("HGET", keys.TICKS, schedule)])
        return moment(kept)

    async def note(self, told: Recurrence, due: datetime) -> None:
        """It was due then, and its job is recorded; a later moment stays."""
        facts = dumps(msgspec.to_builtins(told))
        await self._scripts.run("tick", told.name, unix_milliseconds(due), told.handler, facts)

    async def recurring(self) -> list[Recurrence]:
        """Every recurring handler that a worker ever told of, by name."""
        (flat,) = await self._fetch([("HGETALL", keys.SCHEDULES)])
        found = [_recurrence(told) for told in mapping(flat).values()]
        return sorted((one for one in found if one is not None), key=lambda one: one.handler)


def _recurrence(told: bytes) -> Recurrence | None:
    """None where it can't be read."""
    try:
        found = msgspec.json.decode(told, type=Recurrence)
        found.next  # noqa: B018 - they may be no moments
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None
    else:
        return found
