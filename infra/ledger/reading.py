"""Looking into the ledger. Nothing here writes; a mangled record reads as missing, never as an error of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from infra.clock import from_unix_milliseconds
from infra.ids import CALLBACK, EVENT, JOB
from infra.ledger import keys
from infra.ledger.kept import Kept, mapping
from infra.ledger.parsing import act_of, object_in, text, whole
from infra.ledger.records import Act, EventRecord, JobRecord
from infra.ledger.scripts import BATCH, LedgerError, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import Story, digest, plain, seen_key, unsealed
from infra.redis_troubles import in_words
from infra.remembered import Remembered

_ATTEMPTS_READ: Final = 1000
_LOG_LINES_READ: Final = 200
_REMEMBERED: Final = 500  # jobs
_SMALL: Final = 8 * 1024  # bytes
_POSITION_SEARCHED: Final = 10_000  # entries of a queue; further back a job's position is not told


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs one queue holds, by where they stand."""

    name: str
    queued: int
    scheduled: int
    started: int
    failed: int


class Reading:
    """Jobs, events and callbacks as they stand.

    Everything here raises `LedgerError` where Redis does not answer.
    """

    def __init__(self, redis: Redis, seal: Seal) -> None:
        self._redis = redis
        self._seal = seal
        self._scripts = Scripts(redis)
        self._remembered: Remembered[JobRecord | None] | None = None

    def dedicated(self) -> "Reading":
        """The same, whose jobs are read over a connection of its own, one batch at a time, and remembered; to be closed."""
        made = Reading(self._redis, self._seal)
        made._scripts = self._scripts.dedicated()
        made._remembered = Remembered(most=_REMEMBERED, fits=_is_small)
        return made

    async def aclose(self) -> None:
        """Close the connection, if it is its own."""
        await self._scripts.aclose()

    async def holds(self, id_: str) -> bool:
        """Whether an event, a job, a callback, a batch or a bulk replay with this id is kept here; its seal is not looked at."""
        kind, _, suffix = plain(id_).partition("_")
        own = suffix.partition("-")[0]  # a callback of a later round names its round behind that
        places = {"rep": [keys.REPLAY + plain(id_)], "bat": [keys.BATCH + plain(id_)]}
        found = await self._fetch(
            [("EXISTS", *places.get(kind, [keys.JOB + JOB + own, keys.EVENT + EVENT + own]))]
        )
        return bool(found[0])

    async def knows(self, source: str, provider_event_id: str) -> bool:
        """Whether an event with that id would be a duplicate."""
        (found,) = await self._fetch([("EXISTS", keys.SEEN + seen_key(source, provider_event_id))])
        return bool(found)

    async def now(self) -> datetime:
        """The moment on Redis's clock."""
        (time,) = await self._fetch([("TIME",)])
        if time is None:
            raise LedgerError("Redis did not tell the time")
        whole_seconds, microseconds = time
        return datetime.fromtimestamp(int(whole_seconds) + int(microseconds) / 1_000_000, UTC)

    async def job(self, job_id: str) -> JobRecord | None:
        """A job as it stands, or None where there is none whose seal holds."""
        (job,) = await self.jobs_of([job_id], positions=True)
        return job

    async def event(self, event_id: str) -> EventRecord | None:
        """An event as it was accepted, or None where there is none whose seal holds."""
        (flat,) = await self._fetch([("HGETALL", keys.EVENT + plain(event_id))])
        kept = mapping(flat)
        jobs = sorted(text(name)[4:] for name in kept if name.startswith(b"job:"))
        for job_id in jobs:
            story = unsealed(
                self._seal, job_id, event_id, kept.get(b"head"), kept.get(b"job:" + job_id.encode())
            )
            body = kept.get(b"body", b"")
            if story is not None and digest(body) == story.head["digest"]:
                counts = kept.get(b"duplicates"), kept.get(b"differing")
                return EventRecord(**told_of(event_id, story, jobs, counts, size=len(body)), body=body)
        return None

    async def bodies(self, event_ids: Sequence[str]) -> list[bytes]:
        """What stands as the bodies of some events, in one round trip; their seals are not looked at."""
        found = await self._fetch([("HGET", keys.EVENT + plain(event_id), "body") for event_id in event_ids])
        return [body or b"" for body in found]

    async def called(self, callback_ids: Sequence[str], *, lean: bool = False) -> list[JobRecord | None]:
        """The jobs that these callbacks tell of, in the round of each; None where there is none whose seal holds."""
        ids = [callback_id.removeprefix(CALLBACK).partition("-") for callback_id in callback_ids]
        jobs = await self.jobs_of(
            [JOB + stem for stem, _, _ in ids],
            lean=lean,
            rounds=[whole(plain(number).encode(), 1) for _, _, number in ids],
        )
        return [
            job if job is not None and job.callback is not None and job.callback.id == callback_id else None
            for callback_id, job in zip(callback_ids, jobs, strict=True)
        ]

    async def acts(self, job_id: str) -> tuple[Act, ...]:
        """What was done to a job by hand, oldest first."""
        (lines,) = await self._fetch([("LRANGE", keys.ACTS + plain(job_id), "0", "-1")])
        return tuple(map(act_of, lines or []))

    async def queues(self) -> list[QueueCounts]:
        """Every queue that ever held a job, and its depth."""
        (members,) = await self._fetch([("SMEMBERS", keys.QUEUES)])
        names = sorted(text(key).removeprefix(keys.QUEUE) for key in members or [])
        commands: list[tuple[str, ...]] = []
        for name in names:
            commands += [
                ("LLEN", keys.QUEUE + name),
                ("ZCARD", keys.SCHEDULED + name),
                ("ZCARD", keys.STARTED + name),
                ("ZCARD", keys.FAILED + name),
            ]
        counts = [count or 0 for count in await self._fetch(commands)]
        return [QueueCounts(name, *counts[place * 4 : place * 4 + 4]) for place, name in enumerate(names)]

    async def quarantined(self) -> dict[str, str]:
        """What was put aside, by id, with the reason as JSON text."""
        (flat,) = await self._fetch([("HGETALL", keys.QUARANTINE)])
        return {text(name): text(reason) for name, reason in mapping(flat).items()}

    async def why_aside(self, job_id: str) -> str | None:
        """Why a job was put aside, in words; None where it was not, or where that is not known any more."""
        (said,) = await self._fetch([("HGET", keys.QUARANTINE, plain(job_id))])
        reason = (object_in(said) or {}).get("reason")
        return reason if isinstance(reason, str) else None

    async def dead_callbacks(self) -> int:
        """How many callbacks were given up and wait for an operator."""
        (count,) = await self._fetch([("ZCARD", keys.CALLBACKS_AS + "dead")])
        return int(count or 0)

    async def ping(self) -> None:
        """Nothing, if Redis answers."""
        await self._fetch([("PING",)])

    async def jobs_of(
        self,
        ids: Sequence[str],
        *,
        lean: bool = False,
        positions: bool = False,
        rounds: Sequence[int | None] | None = None,
    ) -> list[JobRecord | None]:
        """The jobs with these ids, `BATCH` a round trip; None where there is none whose seal holds.

        Args:
            lean: with the last attempt alone, and without the log, as lists show them.
            positions: whether to look for the jobs in their queues.
            rounds: which of each job's rounds is asked for; None: the present ones.
        """
        extent = [
            1 if lean else _ATTEMPTS_READ,
            0 if lean else _LOG_LINES_READ,
            _POSITION_SEARCHED if positions else 0,
        ]
        asked = list(zip(ids, rounds or [None] * len(ids), strict=True))
        found: list[JobRecord | None] = []
        for first in range(0, len(asked), BATCH):
            page = asked[first : first + BATCH]
            arguments = [part for job_id, round_ in page for part in (plain(job_id), round_ or "")]
            replies = await self._scripts.run("look", *extent, *arguments)
            for (job_id, round_), reply in zip(page, replies, strict=True):
                make = partial(self._job, job_id, round_, reply)
                known = None if lean or round_ is not None else self._remembered
                found.append(make() if known is None else known.of(job_id, reply, make))
        return found

    def _job(self, job_id: str, round_: int | None, reply: Sequence[Any]) -> JobRecord | None:
        if not reply:
            return None
        event_id, record, head, birth, results, lines, *where = reply
        kept = Kept(self._seal, job_id, text(event_id), record, (head, birth), results, lines, round=round_)
        return kept.record(*where)

    async def _fetch(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """The replies of some read commands in one round trip; None for a key of the wrong kind."""
        if not commands:
            return []
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    cast("Any", pipeline).execute_command(*command)
                replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise LedgerError(f"Redis did not answer: {in_words(error)}") from error
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise LedgerError(f"Redis did not answer: {reply}") from reply
        return [None if isinstance(reply, Exception) else reply for reply in replies]


def _is_small(reply: Any, _: JobRecord | None) -> bool:
    return len(msgspec.msgpack.encode(reply)) <= _SMALL


def told_of(
    event_id: str, story: Story, jobs: Sequence[str], counts: Sequence[bytes | None], *, size: int
) -> dict[str, Any]:
    """The fields of an `EventSummary`.

    Args:
        counts: its duplicates, and those that differ.
    """
    told = story.head
    return {
        "id": event_id,
        "source": told["source"],
        "type": told["type"],
        "received_at": from_unix_milliseconds(told["at"]),
        "content_type": told.get("content_type", "application/json"),
        "headers": told.get("headers", {}),
        "size": size,
        "provider_event_id": told.get("id"),
        "metadata": told.get("metadata", {}),
        "tag": told.get("tag"),
        "accepted_by": told.get("accepted_by"),
        "jobs": tuple(jobs),
        "duplicates": whole(counts[0]),
        "differing_duplicates": whole(counts[1]),
        "wait_key": told.get("wait_key"),
        "replay_of": told.get("replay_of"),
        "client": told.get("client"),
    }
