"""Looking into the ledger. Nothing here writes; a mangled record reads as missing, never as an error of ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from infra.clock import from_unix_milliseconds
from infra.ids import CALLBACK, EVENT, JOB
from infra.ledger import keys
from infra.ledger.kept import Kept, mapping
from infra.ledger.parsing import text, whole
from infra.ledger.records import CallbackStatus, EventRecord, JobRecord
from infra.ledger.scripts import LedgerError
from infra.ledger.seal import Seal
from infra.ledger.wire import digest, plain, unsealed

SEARCHED: Final = 2_000  # records; a page that is narrowed looks no further, and says where it stopped
_PAGE: Final = 100
_CURSOR: Final = re.compile(r"([0-9]{1,15})\.([a-z0-9_-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs one queue holds, by where they stand."""

    name: str
    queued: int
    scheduled: int
    started: int
    failed: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an index, which pages go on from; its text is what callers get as a cursor.

    >>> str(Place(1795293671123, "cb_1")), Place.read("1795293671123.cb_1"), Place.read("nonsense")
    ('1795293671123.cb_1', Place(score=1795293671123, member='cb_1'), None)
    """

    score: int
    member: str

    def __str__(self) -> str:
        return f"{self.score}.{self.member}"

    @classmethod
    def read(cls, cursor: str) -> "Place | None":
        """The place that a cursor names, or None where it names none."""
        known = _CURSOR.fullmatch(cursor)
        return None if known is None else cls(int(known[1]), known[2])


class Reading:
    """Jobs, events and callbacks as they stand.

    Everything here raises `LedgerError` where Redis does not answer.
    """

    def __init__(self, redis: Redis, seal: Seal) -> None:
        self._redis = redis
        self._seal = seal

    async def now(self) -> datetime:
        """The moment on Redis's clock."""
        (time,) = await self._fetch([("TIME",)])
        if time is None:
            raise LedgerError("Redis did not tell the time")
        whole_seconds, microseconds = time
        return datetime.fromtimestamp(int(whole_seconds) + int(microseconds) / 1_000_000, UTC)

    async def job(self, job_id: str) -> JobRecord | None:
        """A job as it stands, or None where there is none whose seal holds."""
        (event_id,) = await self._fetch([("HGET", keys.JOB + plain(job_id), "event")])
        (job,) = await self.jobs_of([(job_id, text(event_id) or _event_of(job_id))], positions=True)
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
            if story is not None and digest(kept.get(b"body", b"")) == story.head["digest"]:
                told = story.head
                return EventRecord(
                    id=event_id,
                    source=told["source"],
                    type=told["type"],
                    received_at=from_unix_milliseconds(told["at"]),
                    content_type=told.get("content_type", "application/json"),
                    headers=told.get("headers", {}),
                    body=kept[b"body"],
                    provider_event_id=told.get("id"),
                    metadata=told.get("metadata", {}),
                    tag=told.get("tag"),
                    accepted_by=told.get("accepted_by"),
                    jobs=tuple(jobs),
                    duplicates=whole(kept.get(b"duplicates")),
                    differing_duplicates=whole(kept.get(b"differing")),
                    wait_key=told.get("wait_key"),
                )
        return None

    async def jobs(
        self,
        *,
        source: str | None = None,
        type: str | None = None,  # noqa: A002 - the contract's word
        limit: int = 50,
    ) -> list[JobRecord]:
        """The newest jobs, of one source or type or both; their positions are not told."""
        ids = await self._newest(source, type, limit)
        named = await self._fetch([("HGET", keys.JOB + job_id, "event") for job_id in ids])
        found = await self.jobs_of(
            [
                (job_id, text(event_id) or _event_of(job_id))
                for job_id, event_id in zip(ids, named, strict=True)
            ]
        )
        return [job for job in found if job is not None]

    async def events(
        self,
        *,
        source: str | None = None,
        type: str | None = None,  # noqa: A002 - the contract's word
        limit: int = 50,
    ) -> list[EventRecord]:
        """The newest events, likewise; an event shares its id's end with its first job."""
        found = [await self.event(_event_of(job_id)) for job_id in await self._newest(source, type, limit)]
        return [event for event in found if event is not None]

    async def callbacks(
        self,
        *,
        status: CallbackStatus | None = None,
        source: str | None = None,
        limit: int = 50,
        after: Place | None = None,
    ) -> tuple[list[JobRecord], Place | None]:
        """The jobs of the newest callbacks, and the place behind which there may be more.

        With a status, the newest are those that reached it last. A page may be short though there are more: a call looks at
        `SEARCHED` callbacks at the most.

        Args:
            after: where an earlier page ended.
        """
        index = keys.CALLBACKS if status is None else keys.CALLBACKS_AS + status
        found: list[JobRecord] = []
        ends, place, searched = [after], after, 0
        while searched < SEARCHED:
            places = await self._behind(index, place)
            jobs = await self.called([one.member for one in places])
            for place, job in zip(places, jobs, strict=True):
                if job is None or source not in (None, job.source):
                    continue
                if job.callback is None or status not in (None, job.callback.status):
                    continue
                if len(found) == limit:
                    return found, ends[-1]
                found.append(job)
                ends.append(place)
            if len(places) < _PAGE:
                return found, None
            searched += len(places)
        return found, place

    async def called(self, callback_ids: Sequence[str]) -> list[JobRecord | None]:
        """The jobs that these callbacks tell of; None where there is none whose seal holds, or it has begun another round."""
        ids = [
            JOB + callback_id.removeprefix(CALLBACK).split("-", maxsplit=1)[0] for callback_id in callback_ids
        ]
        named = await self._fetch([("HGET", keys.JOB + plain(job_id), "event") for job_id in ids])
        jobs = await self.jobs_of([
            (job_id, text(event_id) or _event_of(job_id)) for job_id, event_id in zip(ids, named, strict=True)
        ])  # fmt: skip
        return [
            job if job is not None and job.callback is not None and job.callback.id == callback_id else None
            for callback_id, job in zip(callback_ids, jobs, strict=True)
        ]

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

    async def dead_callbacks(self) -> int:
        """How many callbacks were given up and wait for an operator."""
        (count,) = await self._fetch([("ZCARD", keys.CALLBACKS_AS + "dead")])
        return int(count or 0)

    async def ping(self) -> None:
        """Nothing, if Redis answers."""
        await self._fetch([("PING",)])

    async def jobs_of(
        self, ids: Sequence[tuple[str, str]], *, positions: bool = False
    ) -> list[JobRecord | None]:
        """The jobs with these ids and their events' ids, in two round trips; None where there is none whose seal holds.

        Args:
            positions: whether to look for the jobs in their queues.
        """
        first = await self._fetch([command for pair in ids for command in Kept.commands(*pair)])
        kept = [Kept(self._seal, *pair, *first[place * 4 : place * 4 + 4]) for place, pair in enumerate(ids)]
        second = await self._fetch([command for one in kept for command in one.where(positions=positions)])
        return [one.record(*second[place * 4 : place * 4 + 4]) for place, one in enumerate(kept)]

    async def _behind(self, index: str, place: Place | None) -> list[Place]:
        """A page of an index, newest first, and all that have the score of the place that it begins behind."""
        score = "+inf" if place is None else str(place.score)
        ties, older = await self._fetch([
            ("ZRANGE", index, score, score, "BYSCORE", "REV", "WITHSCORES"),
            ("ZRANGE", index, f"({score}", "(0", "BYSCORE", "REV", "LIMIT", "0", str(_PAGE), "WITHSCORES"),
        ])  # fmt: skip
        found = [
            Place(int(float(score)), text(member))
            for page in (ties, older)
            for member, score in mapping(page).items()
        ]
        return [
            one for one in found if place is None or (one.score, one.member) < (place.score, place.member)
        ]

    async def _newest(self, source: str | None, type_: str | None, limit: int) -> list[str]:
        """The ids of the newest jobs, from the indices of the kinds that are asked for."""
        if source is None and type_ is None:
            indices = [keys.JOBS]
        else:
            (kinds,) = await self._fetch([("SMEMBERS", keys.KINDS)])
            indices = [keys.JOBS_OF + kind for kind in map(text, kinds or []) if _is_of(kind, source, type_)]
        newest = ("+inf", "(0", "BYSCORE", "REV", "LIMIT", "0", str(limit), "WITHSCORES")
        pages = await self._fetch([("ZRANGE", index, *newest) for index in indices])
        found = [(float(score), text(member)) for page in pages for member, score in mapping(page).items()]
        return [member for _, member in sorted(found, reverse=True)[:limit]]

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
            raise LedgerError(f"Redis did not answer: {type(error).__name__}") from error
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise LedgerError(f"Redis did not answer: {reply}") from reply
        return [None if isinstance(reply, Exception) else reply for reply in replies]


def _is_of(kind: str, source: str | None, type_: str | None) -> bool:
    """Whether a kind is asked for; no source has a colon in its name, a type may have.

    >>> _is_of("acme:order:paid", "acme", None), _is_of("acme:order:paid", None, "order:paid"), _is_of("acme:x", None, "y")
    (True, True, False)
    """
    of_source, _, of_type = kind.partition(":")
    return source in (None, of_source) and (type_ is None or plain(type_) == of_type)


def _event_of(job_id: str) -> str:
    return EVENT + job_id.removeprefix(JOB)
