"""Looking at the ledger as a whole, for who operates it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from infra.clock import unix_milliseconds
from infra.ids import EVENT, JOB
from infra.ledger import keys
from infra.ledger.parsing import rq_time, text, whole
from infra.ledger.reading import Reading
from infra.ledger.records import JobRecord

MOST_RUNNING: Final = 50  # jobs that are told of

_TOLD: Final = ("hostname", "queues", "last_heartbeat", "hookline_version", "slots", "birth")
_SCANNED: Final = 5_000  # keys that one step of a search through all keys looks at
_IGNORED_READ: Final = 100  # of the newest jobs that nobody had a handler for
_ENOUGH: Final = 1_000  # jobs, before what one of them takes can be told


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker whose lease runs, as its last renewal told of it.

    Args:
        busy: how many jobs it holds.
        seen_at: when it renewed its lease.
        draining: whether an operator has asked it to stop.
        version: of Hookline.
        slots: how many jobs it may hold; None where that is not known, as `started_at` may be.
    """

    name: str
    host: str
    queues: tuple[str, ...]
    busy: int = 0
    seen_at: datetime | None = None
    draining: bool = False
    version: str = ""
    slots: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """How much is kept.

    Args:
        came: how many of the jobs are younger than a day.
        goes: how many are past retention within the next day.
    """

    jobs: int
    came: int
    goes: int

    @property
    def grows(self) -> bool:
        """Whether there are enough to tell, and more come than go."""
        return self.jobs >= _ENOUGH and self.came > self.goes


class Overview(Reading):
    """`Reading`, and what is true of no single record."""

    async def workers(self) -> list[LiveWorker]:
        """The workers whose lease runs, by Redis's clock."""
        now = unix_milliseconds(await self.now())
        (members,) = await self._fetch([("ZRANGEBYSCORE", keys.LEASES, f"({now}", "+inf")])
        names = [text(member) for member in members or []]
        records = await self._fetch([
            ("HMGET", keys.WORKER + name, *_TOLD) for name in names
        ])  # fmt: skip
        held = await self._fetch([("SCARD", keys.RUNNING + name) for name in names])
        drained = await self._fetch([("HEXISTS", keys.HELD + name, "drain") for name in names])
        return [
            _worker(name, record or [None] * len(_TOLD), busy=busy or 0, draining=bool(drains))
            for name, record, busy, drains in zip(names, records, held, drained, strict=True)
        ]

    async def running(self, workers: Sequence[str]) -> list[tuple[str, JobRecord]]:
        """The jobs that these workers hold, the oldest before the others; at most `MOST_RUNNING`."""
        held = await self._fetch([("SMEMBERS", keys.RUNNING + worker) for worker in workers])
        by_job = {
            text(job_id): worker
            for worker, members in zip(workers, held, strict=True)
            for job_id in members or []
        }
        ids = sorted(by_job)[:MOST_RUNNING]
        jobs = [job for job in await self.jobs_of(ids, lean=True) if job is not None]
        return [(by_job[job.id], job) for job in jobs]

    async def waiting_since(self, queue: str) -> datetime | None:
        """When the job at a queue's head was put there; None where nothing waits, or its record does not tell."""
        (job_id,) = await self._fetch([("LINDEX", keys.QUEUE + queue, "0")])
        (moment,) = await self._fetch([("HGET", keys.JOB + text(job_id), "enqueued_at")])
        return rq_time(moment)

    async def volume(self, *, retention: timedelta) -> Volume:
        """How much is kept, and how that changes."""
        now, day = await self.now(), timedelta(days=1)
        since, past = unix_milliseconds(now - day), unix_milliseconds(now + day - retention)
        counts = await self._fetch([
            ("ZCARD", keys.JOBS),
            ("ZCOUNT", keys.JOBS, f"({since}", "+inf"),
            ("ZCOUNT", keys.JOBS, "(0", str(past)),
        ])  # fmt: skip
        return Volume(*(int(count or 0) for count in counts))

    async def ignored(self, *, within: timedelta) -> list[tuple[str, str]]:
        """Source and type of what no worker had a handler for, as far as the newest of it tells."""
        since = unix_milliseconds(await self.now() - within)
        (members,) = await self._fetch([
            ("ZRANGE", keys.IGNORED, "+inf", str(since), "BYSCORE", "REV", "LIMIT", "0", str(_IGNORED_READ))
        ])  # fmt: skip
        jobs = await self.jobs_of([text(member) for member in members or []], lean=True)
        return sorted({(job.source, job.type) for job in jobs if job is not None})

    async def corrupt(self) -> list[str]:
        """The keys of the wrong kind that were moved out of the way. Looks at every key's name, so it may take a while."""
        found: set[str] = set()
        cursor = "0"
        while True:
            (step,) = await self._fetch(
                [("SCAN", cursor, "MATCH", f"{keys.CORRUPT}*", "COUNT", str(_SCANNED))]
            )
            if step is None:  # this user of Redis may not
                return sorted(found)
            cursor = str(int(step[0]))
            found.update(map(text, step[1]))
            if cursor == "0":
                return sorted(found)

    async def sealed_by_others(self, *, newest: int = 10) -> bool:
        """Whether the newest events are there and none of our keys has sealed any: somebody has another secret key."""
        (jobs,) = await self._fetch([("ZREVRANGE", keys.JOBS, "0", str(newest - 1))])
        events = [EVENT + text(job_id).removeprefix(JOB) for job_id in jobs or []]
        there = await self._fetch([("EXISTS", keys.EVENT + event_id) for event_id in events])
        return any(there) and not [event_id for event_id in events if await self.event(event_id)]


def _worker(name: str, record: Sequence[bytes | None], *, busy: int, draining: bool) -> LiveWorker:
    host, queues, seen, version, slots, began = record
    return LiveWorker(
        name,
        text(host),
        tuple(filter(None, text(queues).split(","))),
        busy,
        rq_time(seen),
        draining,
        text(version),
        whole(slots) or None,
        rq_time(began),
    )
