"""Looking at the ledger as a whole, for who operates it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.clock import unix_milliseconds
from infra.ids import EVENT, JOB
from infra.ledger import keys
from infra.ledger.parsing import rq_time, text
from infra.ledger.reading import Reading

_SCANNED: Final = 5_000  # keys that one step of a search through all keys looks at


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker whose lease runs, as its last renewal told of it."""

    name: str
    host: str
    queues: tuple[str, ...]


class Overview(Reading):
    """`Reading`, and what is true of no single record."""

    async def workers(self) -> list[LiveWorker]:
        """The workers whose lease runs, by Redis's clock."""
        now = unix_milliseconds(await self.now())
        (members,) = await self._fetch([("ZRANGEBYSCORE", keys.LEASES, f"({now}", "+inf")])
        names = [text(member) for member in members or []]
        records = await self._fetch([("HMGET", keys.WORKER + name, "hostname", "queues") for name in names])
        found = []
        for name, record in zip(names, records, strict=True):
            host, queues = record or (None, None)
            found.append(LiveWorker(name, text(host), tuple(filter(None, text(queues).split(",")))))
        return found

    async def waiting_since(self, queue: str) -> datetime | None:
        """When the job at a queue's head was put there; None where nothing waits, or its record does not tell."""
        (job_id,) = await self._fetch([("LINDEX", keys.QUEUE + queue, "0")])
        (moment,) = await self._fetch([("HGET", keys.JOB + text(job_id), "enqueued_at")])
        return rq_time(moment)

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
