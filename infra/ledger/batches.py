"""Batches: jobs that were submitted together, to be looked at as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from redis.asyncio import Redis

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.durations import milliseconds
from infra.ledger import keys
from infra.ledger.reading import Reading
from infra.ledger.records import JobRecord
from infra.ledger.seal import SEAL_LENGTH, Seal
from infra.ledger.wire import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch as it was submitted, and its jobs as they stand.

    Args:
        jobs: in their order; those that are past their retention are missing.
        size: how many they were.
    """

    id: str
    created_at: datetime
    jobs: tuple[JobRecord, ...]
    size: int


class _Kept(msgspec.Struct, frozen=True):
    at: int
    jobs: list[str]


class Batches(Reading):
    """Keeps batches. Everything here raises `LedgerError` as `Reading` does; it may be repeated.

    Args:
        retention: how long one is kept after its last job was to begin.
    """

    def __init__(self, redis: Redis, seal: Seal, *, retention: timedelta) -> None:
        super().__init__(redis, seal)
        self._retention = retention

    async def keep(self, batch_id: str, job_ids: Sequence[str], *, at: datetime, until: datetime) -> None:
        """Note a batch of jobs that are recorded already.

        Args:
            until: when the last of them is to begin.
        """
        told = msgspec.json.encode(_Kept(unix_milliseconds(at), list(job_ids)))
        sealed = self._seal.make(*_parts(batch_id, told)) + told
        await self._scripts.run("batch", batch_id, sealed, milliseconds(until - at + self._retention))

    async def batch(self, batch_id: str, *, elsewhere: Sequence[Reading] = ()) -> BatchRecord | None:
        """One as it stands; None where there is none whose seal holds, or none any more.

        Args:
            elsewhere: other ledgers that may have some of its jobs.
        """
        (value,) = await self._fetch([("GET", keys.BATCH + plain(batch_id))])
        sealed, told = (value or b"")[:SEAL_LENGTH], (value or b"")[SEAL_LENGTH:]
        if not self._seal.holds(sealed, *_parts(plain(batch_id), told)):
            return None
        kept = msgspec.json.decode(told, type=_Kept)
        found = await self.jobs_of(kept.jobs, lean=True)
        for other in elsewhere:
            there = await other.jobs_of(kept.jobs, lean=True)
            found = [job or further for job, further in zip(found, there, strict=True)]
        return BatchRecord(
            id=batch_id,
            created_at=from_unix_milliseconds(kept.at),
            jobs=tuple(job for job in found if job is not None),
            size=len(kept.jobs),
        )


def _parts(batch_id: str, told: bytes) -> tuple[bytes, ...]:
    return b"batch", batch_id.encode(), told
