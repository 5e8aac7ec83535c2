"""A few of the requests that were refused, for an hour, so that somebody can be told why."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from infra.clock import unix_milliseconds
from infra.ledger import keys
from infra.ledger.reading import Reading
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import plain

SAMPLES_KEPT: Final = 20  # of a source
KEPT_FOR: Final = timedelta(hours=1)


class Refusals(Reading):
    """Samples by source, as whoever keeps them writes them. Everything here raises `LedgerError` as `Reading` does."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def keep(self, source: str, sample: bytes) -> None:
        """Keep one more; the oldest goes."""
        milliseconds = KEPT_FOR // timedelta(milliseconds=1)
        await self._scripts.run("refuse", source, sample, SAMPLES_KEPT, milliseconds)

    async def counts(self, sources: Sequence[str]) -> list[int]:
        """How many there are of each of these sources: `SAMPLES_KEPT` at the most."""
        since = unix_milliseconds(await self.now() - KEPT_FOR)
        asked = [("ZCOUNT", keys.REFUSED + plain(source), str(since), "+inf") for source in sources]
        return [int(count or 0) for count in await self._fetch(asked)]

    async def newest(self, source: str) -> list[bytes]:
        """Those of a source, newest first."""
        since = unix_milliseconds(await self.now() - KEPT_FOR)
        (samples,) = await self._fetch(
            [("ZREVRANGEBYSCORE", keys.REFUSED + plain(source), "+inf", str(since))]
        )
        return list(samples or [])
