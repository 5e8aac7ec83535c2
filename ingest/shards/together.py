"""What a web process asks of all shards as if they were one."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from infra.ledger import Batches, LedgerError, Workers
from infra.ledger.batches import BatchRecord
from infra.ledger.records import JobRecord
from infra.ledger.workers import Told
from ingest.api.readiness import Readiness
from ingest.live.watch import Watch
from ingest.shards.homes import Homes

_PATIENCE: Final = (
    0.5  # seconds; manifests are looked at often, and a shard's workers handle what the others' do
)
_PATIENCE_READY: Final = 2.0


class AllWorkers:
    """What the workers of all shards handle."""

    def __init__(self, each: Sequence[Workers]) -> None:
        self._each = each

    async def told(self) -> Told:
        """What those handle whose shards answer.

        Raises:
            LedgerError: none does.
        """
        found = await asyncio.gather(*[self._told(workers) for workers in self._each])
        told = [one for one in found if one is not None]
        if not told:
            raise LedgerError("no shard answers")
        return Told(
            live={worker: entries for one in told for worker, entries in one.live.items()},
            remembered=tuple(entry for one in told for entry in one.remembered),
        )

    async def _told(self, workers: Workers) -> Told | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await workers.told()
        except (LedgerError, TimeoutError):
            return None


class AllJobs:
    """Looks at single jobs, wherever they are."""

    def __init__(self, homes: Homes, each: Sequence[Watch]) -> None:
        self._homes = homes
        self._each = each

    async def job(self, job_id: str) -> JobRecord | None:
        """As `Watch.job`."""
        home = await self._homes.of(job_id)
        return None if home is None else await self._each[home].job(job_id)

    async def ended(self, job_id: str, *, seconds: float) -> JobRecord | None:
        """As `Watch.ended`."""
        home = await self._homes.of(job_id)
        return None if home is None else await self._each[home].ended(job_id, seconds=seconds)


class AllBatches:
    """Batches whose jobs may be anywhere; what they were submitted as is kept where the first job is."""

    def __init__(self, homes: Homes, each: Sequence[Batches]) -> None:
        self._homes = homes
        self._each = each

    async def keep(self, batch_id: str, job_ids: Sequence[str], *, at: datetime, until: datetime) -> None:
        """As `Batches.keep`."""
        home = await self._homes.of(job_ids[0])
        await self._each[home or 0].keep(batch_id, job_ids, at=at, until=until)

    async def batch(self, batch_id: str) -> BatchRecord | None:
        """As `Batches.batch`."""
        home = await self._homes.of(batch_id)
        if home is None:
            return None
        others = [batches for shard, batches in enumerate(self._each) if shard != home]
        return await self._each[home].batch(batch_id, elsewhere=others)


class AllReady:
    """Why some shard is not ready, and which."""

    def __init__(self, each: Sequence[Readiness]) -> None:
        self._each = each

    async def reasons(self) -> list[str]:
        """Empty when all are."""
        found = await asyncio.gather(*[self._reasons(readiness) for readiness in self._each])
        return [f"shard {shard}: {reason}" for shard, reasons in enumerate(found) for reason in reasons]

    async def _reasons(self, readiness: Readiness) -> list[str]:
        try:
            async with asyncio.timeout(_PATIENCE_READY):
                return await readiness.reasons()
        except (LedgerError, TimeoutError):
            return ["Redis does not answer"]
