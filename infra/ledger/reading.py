"""Looking into the ledger. Nothing here writes; a mangled record reads as missing, never as an error of ours."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.ids import CALLBACK, EVENT, JOB
from infra.ledger import keys
from infra.ledger.records import TERMINAL_STATUSES, CallbackRecord, EventRecord, JobRecord, JobStatus
from infra.ledger.scripts import LedgerError
from infra.ledger.seal import Seal
from infra.ledger.wire import attempt_record, callback_record, progress_of, result_of, rq_time, unsealed

POSITION_SEARCHED = 10_000  # entries of a queue; further back a job's position is not told
JOBS_SEARCHED = 10_000  # jobs of an index, the newest; a list that is narrowed looks no further back
_PAGE = 100
_SCANNED = 5_000  # keys that one step of a search through all keys looks at

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs one queue holds, by where they stand."""

    name: str
    queued: int
    scheduled: int
    started: int
    failed: int


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker whose lease runs, as its last renewal told of it."""

    name: str
    host: str
    queues: tuple[str, ...]


class Reading:
    """Jobs, events and callbacks as they stand."""

    def __init__(self, redis: Redis, seal: Seal) -> None:
        self._redis = redis
        self._seal = seal

    async def now(self) -> datetime:
        """The moment on Redis's clock."""
        (time,) = await self._fetch([("TIME",)])
        if time is None:
            raise LedgerError("Redis did not tell the time")
        seconds, microseconds = time
        return datetime.fromtimestamp(int(seconds) + int(microseconds) / 1_000_000, UTC)

    async def job(self, job_id: str) -> JobRecord | None:
        """A job as it stands, or None where there is none whose seal holds."""
        (event_id,) = await self._fetch([("HGET", keys.JOB + job_id, "event")])
        return await self.job_of(job_id, event_id.decode("ascii", "replace") if event_id else _event_of(job_id))

    async def event(self, event_id: str) -> EventRecord | None:
        """An event as it was accepted, or None where there is none whose seal holds."""
        (flat,) = await self._fetch([("HGETALL", keys.EVENT + event_id)])
        kept = _mapping(flat)
        jobs = sorted(name.decode()[4:] for name in kept if name.startswith(b"job:"))
        for job_id in jobs:
            known = unsealed(self._seal, job_id, event_id, kept.get(b"head"), kept.get(b"body"), kept[b"job:" + job_id.encode()])
            if known is not None:
                head = known[0]
                return EventRecord(
                    id=event_id,
                    source=head["source"],
                    type=head["type"],
                    received_at=from_unix_milliseconds(head["at"]),
                    content_type=head["content_type"],
                    headers=head["headers"],
                    body=kept[b"body"],
                    provider_event_id=head["provider_event_id"],
                    metadata=head["metadata"],
                    tag=head["tag"],
                    accepted_by=head["accepted_by"],
                    jobs=tuple(jobs),
                    duplicates=int(kept.get(b"duplicates", b"0")),
                    differing_duplicates=int(kept.get(b"differing", b"0")),
                )
        return None

    async def jobs(
        self, *, source: str | None = None, type: str | None = None, status: JobStatus | None = None, limit: int = 50  # noqa: A002
    ) -> list[JobRecord]:
        """The newest jobs that fit, of the newest `JOBS_SEARCHED`."""

        async def fitting(job_id: str) -> JobRecord | None:
            job = await self.job(job_id)
            return job if job is not None and source in (None, job.source) and status in (None, job.status) else None

        return await self._search(source, type, fitting, limit)

    async def events(self, *, source: str | None = None, type: str | None = None, limit: int = 50) -> list[EventRecord]:  # noqa: A002
        """The newest events that fit; an event shares its id's end with its first job."""

        async def fitting(job_id: str) -> EventRecord | None:
            event = await self.event(_event_of(job_id))
            return event if event is not None and source in (None, event.source) else None

        return await self._search(source, type, fitting, limit)

    async def queues(self) -> list[QueueCounts]:
        """Every queue that ever held a job, and its depth."""
        (members,) = await self._fetch([("SMEMBERS", keys.QUEUES)])
        names = sorted(key.decode("utf-8", "replace").removeprefix(keys.QUEUE) for key in members or [])
        commands: list[tuple[str, ...]] = []
        for name in names:
            commands += [("LLEN", keys.QUEUE + name), ("ZCARD", keys.SCHEDULED + name), ("ZCARD", keys.STARTED + name), ("ZCARD", keys.FAILED + name)]
        counts = [count or 0 for count in await self._fetch(commands)]
        return [QueueCounts(name, *counts[place * 4 : place * 4 + 4]) for place, name in enumerate(names)]

    async def waiting_since(self, queue: str) -> datetime | None:
        """When the job at a queue's head was put there; None where nothing waits, or its record does not tell."""
        (job_id,) = await self._fetch([("LINDEX", keys.QUEUE + queue, "0")])
        if job_id is None:
            return None
        (moment,) = await self._fetch([("HGET", keys.JOB + job_id.decode("ascii", "replace"), "enqueued_at")])
        return rq_time(moment)

    async def workers(self) -> list[LiveWorker]:
        """The workers whose lease runs, by Redis's clock."""
        now = unix_milliseconds(await self.now())
        (members,) = await self._fetch([("ZRANGEBYSCORE", keys.LEASES, f"({now}", "+inf")])
        names = [name.decode("utf-8", "replace") for name in members or []]
        records = await self._fetch([("HMGET", keys.WORKER + name, "hostname", "queues") for name in names])
        told = [[(text or b"").decode("utf-8", "replace") for text in record or (None, None)] for record in records]
        return [LiveWorker(name, host, tuple(filter(None, queues.split(",")))) for name, (host, queues) in zip(names, told, strict=True)]

    async def corrupt(self) -> list[str]:
        """The keys of the wrong kind that were moved out of the way. Looks at the name of every key, so it may take a while."""
        found: list[str] = []
        cursor = 0
        while True:
            (step,) = await self._fetch([("SCAN", str(cursor), "MATCH", keys.CORRUPT + "*", "COUNT", str(_SCANNED))])
            cursor, members = int(step[0]), step[1]
            found += [key.decode("utf-8", "replace") for key in members]
            if cursor == 0:
                return sorted(found)

    async def quarantined(self) -> dict[str, str]:
        """What was put aside, by id, with the reason as JSON text."""
        (flat,) = await self._fetch([("HGETALL", keys.QUARANTINE)])
        return {name.decode("utf-8", "replace"): reason.decode("utf-8", "replace") for name, reason in _mapping(flat).items()}

    async def dead_callbacks(self) -> int:
        """How many callbacks were given up and wait for an operator."""
        (count,) = await self._fetch([("ZCARD", keys.CALLBACKS_AS + "dead")])
        return int(count or 0)

    async def ping(self) -> None:
        """Raises LedgerError where Redis does not answer."""
        await self._fetch([("PING",)])

    async def _search(
        self, source: str | None, type_: str | None, fitting: Callable[[str], Awaitable[_T | None]], limit: int
    ) -> list[_T]:
        """What fits of the narrowest index, the newest first, page by page."""
        index = keys.JOBS
        if type_ is not None:
            index = keys.JOBS_OF_TYPE + type_
        elif source is not None:
            index = keys.JOBS_OF_SOURCE + source
        found: dict[str, _T] = {}
        for start in range(0, JOBS_SEARCHED, _PAGE):
            (members,) = await self._fetch([("ZREVRANGE", index, str(start), str(start + _PAGE - 1))])
            for job_id in [member.decode("ascii", "replace") for member in members or []]:
                if job_id not in found and (record := await fitting(job_id)) is not None:
                    found[job_id] = record
                if len(found) >= limit:
                    return list(found.values())
            if not members:
                break
        return list(found.values())

    async def job_of(self, job_id: str, event_id: str) -> JobRecord | None:
        """The same for whoever knows the event's id."""
        replies = await self._fetch([
            ("HGETALL", keys.JOB + job_id),
            ("HMGET", keys.EVENT + event_id, "head", "body", f"job:{job_id}"),
            ("XREVRANGE", keys.RESULTS + job_id, "+", "-"),
            ("LRANGE", keys.LOG + job_id, "-200", "-1"),
        ])  # fmt: skip
        record, (head, body, birth) = _mapping(replies[0]), replies[1] or (None, None, None)
        known = unsealed(self._seal, job_id, event_id, head, body, birth)
        if known is None or not record:
            return None
        told, born = known
        entries = [(entry_id, _mapping(flat)) for entry_id, flat in replies[2] or []]
        status = _status(record)
        queue = record.get(b"origin", b"").decode("utf-8", "replace")
        position, due, callback = await self._places(job_id, record, status, queue, born)
        latest = entries[0][1] if entries else {}
        attempts = tuple(reversed([attempt_record(entry_id, entry) for entry_id, entry in entries]))
        return JobRecord(
            id=job_id,
            event_id=event_id,
            source=told["source"],
            type=told["type"],
            handler=latest.get(b"handler", b"").decode() or None,
            status=status,
            queue=queue,
            position=position,
            attempts=attempts,
            attempt=_whole(record.get(b"attempt")),
            crashes=_whole(record.get(b"crashes")),
            max_attempts=_whole(latest.get(b"of")) or None,
            next_attempt_at=due,
            result=result_of(latest) if status is JobStatus.FINISHED else None,
            error=attempts[-1].error if attempts and status is not JobStatus.FINISHED else None,
            progress=progress_of(record.get(b"meta")),
            logs=tuple(replies[3] and [_line(line) for line in replies[3]] or ()),
            metadata=told["metadata"],
            callback=callback,
            created_at=rq_time(record.get(b"created_at")) or from_unix_milliseconds(told["at"]),
            started_at=rq_time(record.get(b"started_at")),
            ended_at=rq_time(record.get(b"ended_at")) if status in TERMINAL_STATUSES else None,
        )

    async def _places(
        self, job_id: str, record: Mapping[bytes, bytes], status: JobStatus, queue: str, born: Mapping[str, Any]
    ) -> tuple[int | None, datetime | None, CallbackRecord | None]:
        """Where a job waits, when it is due, and its callback."""
        rounds = _whole(record.get(b"round")) or 1
        callback_id = CALLBACK + job_id.removeprefix(JOB) + (f"-{rounds}" if rounds > 1 else "")
        place, score, kept, due = await self._fetch([
            ("LPOS", keys.QUEUE + queue, job_id, "MAXLEN", str(POSITION_SEARCHED)),
            ("ZSCORE", keys.SCHEDULED + queue, job_id),
            ("HGETALL", keys.CALLBACK + callback_id),
            ("ZSCORE", keys.OUTBOX, callback_id),
        ])  # fmt: skip
        callback = None
        if born["url"] is not None and kept:
            callback = callback_record(callback_id, _mapping(kept), url=born["url"], due=None if due is None else float(due))
        return (
            place + 1 if status is JobStatus.QUEUED and place is not None else None,
            datetime.fromtimestamp(float(score), UTC) if status is JobStatus.SCHEDULED and score is not None else None,
            callback,
        )

    async def _fetch(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """The replies of some read commands in one round trip; None for a key of the wrong kind."""
        if not commands:
            return []
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    cast(Any, pipeline).execute_command(*command)
                replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise LedgerError(f"Redis did not answer: {type(error).__name__}") from error
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise LedgerError(f"Redis did not answer: {reply}") from reply
        return [None if isinstance(reply, Exception) else reply for reply in replies]


def _event_of(job_id: str) -> str:
    return EVENT + job_id.removeprefix(JOB)


def _status(record: Mapping[bytes, bytes]) -> JobStatus:
    if record.get(b"outcome") == b"ignored":
        return JobStatus.IGNORED
    try:
        return JobStatus(record.get(b"status", b"").decode("ascii", "replace"))
    except ValueError:
        return JobStatus.QUEUED  # mangled: the next claim or sweep rebuilds it


def _mapping(reply: Any) -> Mapping[bytes, bytes]:
    """A hash, whichever way the client hands it over."""
    if isinstance(reply, Mapping):
        return reply
    pairs = list(reply or [])
    return dict(zip(pairs[::2], pairs[1::2], strict=False))


def _whole(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _line(text: bytes) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"message": text.decode("utf-8", "replace")}
