"""The live stream, read: what changed, in order, and where in it a job stood so.

Every script that changes something adds one entry to it, a JSON list of changes (``docs/ledger.md``). An entry that is still
there proves that nothing behind it was trimmed. So whoever reads on begins with the entry that was read last; where it is
gone, there is a gap.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.ids import CALLBACK, JOB, is_id
from infra.ledger import keys
from infra.ledger.parsing import progress_in
from infra.ledger.reading import Reading
from infra.ledger.records import CallbackStatus, JobRecord, JobStatus, Progress
from infra.ledger.scripts import LedgerError

_PAGE: Final = 20  # entries, of up to a hundred changes each
_TRIES: Final = 5
_WHOLE: Final = 1 << 31  # the place behind the last change of an entry
_POSITION: Final = re.compile(r"([1-9][0-9]{0,15})-([0-9]{1,15})(?:-([0-9]{1,6}))?", re.ASCII)


class Position(NamedTuple):
    """A place in the stream: behind one change of an entry, or behind all of them. Positions have an order.

    Its text is what watchers get as the id of an event.

    >>> str(Position(1795293671123, 0, 2)), str(Position(1795293671123, 0))
    ('1795293671123-0-2', '1795293671123-0')
    >>> Position.read("1795293671123-0-2"), Position.read("0-0"), Position.read("1-1; x")
    (Position(milliseconds=1795293671123, sequence=0, place=2), None, None)
    """

    milliseconds: int
    sequence: int
    place: int = _WHOLE

    def __str__(self) -> str:
        return self.entry if self.place == _WHOLE else f"{self.entry}-{self.place}"

    @property
    def entry(self) -> str:
        """The id of the entry, as Redis has it."""
        return f"{self.milliseconds}-{self.sequence}"

    @classmethod
    def read(cls, sent: str) -> "Position | None":
        """The place that a text names, or None where it names none."""
        known = _POSITION.fullmatch(sent)
        if known is None:
            return None
        return cls(int(known[1]), int(known[2]), _WHOLE if known[3] is None else int(known[3]))


BEGINNING: Final = Position(0, 0)  # of a stream that has no entry yet


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the changes of one job are told apart by."""

    event_id: str | None = None
    source: str | None = None
    type: str | None = None
    queue: str | None = None
    tag: str | None = None

    @classmethod
    def of(cls, job: JobRecord) -> "About":
        """What the job's record tells."""
        return cls(event_id=job.event_id, source=job.source, type=job.type, queue=job.queue, tag=job.tag)


class CallbackChange(msgspec.Struct, frozen=True):
    """Where a callback stands now."""

    id: str
    status: CallbackStatus


class LogLine(msgspec.Struct, frozen=True):
    """A line of a handler's log."""

    at: str
    level: str
    message: str


class Change(msgspec.Struct, frozen=True):
    """One thing that changed: a job's status, its progress, its log or its callback.

    Args:
        about: None where the change does not tell it.
    """

    position: Position
    job_id: str
    what: JobStatus | Progress | LogLine | CallbackChange
    about: About | None = None


class Page(NamedTuple):
    """Some changes in their order, and where the next ones begin."""

    changes: list[Change]
    end: Position


class Snapshot(NamedTuple):
    """A job, and the place in the stream at which it stood so; None where there is no job whose seal holds."""

    job: JobRecord | None
    position: Position


class Live:
    """Reads the stream over the ledger's client; `follow` over one of its own, which it waits with.

    Everything here but `follow` raises `LedgerError` where Redis does not answer.
    """

    def __init__(self, redis: Redis, reading: Reading) -> None:
        self._redis = redis
        self._reading = reading

    async def end(self) -> Position:
        """Behind everything that has changed so far."""
        try:
            newest = await cast("Any", self._redis).xrevrange(keys.LIVE, count=1)
        except (RedisError, OSError) as error:
            raise LedgerError(f"Redis did not answer: {type(error).__name__}") from error
        return _place_of(newest[0][0]) if newest else BEGINNING

    async def between(self, after: Position, upto: Position) -> list[Change] | None:
        """What changed behind one place, up to another; None where some of it is not kept any more."""
        found: list[Change] = []
        while after < upto:
            try:
                page = await _page(self._redis, after, upto.entry)
            except (RedisError, OSError) as error:
                raise LedgerError(f"Redis did not answer: {type(error).__name__}") from error
            if page is None:
                return None
            found += page.changes
            if page.end <= after:
                break
            after = page.end
        return [change for change in found if change.position <= upto]

    async def snapshot(self, job_id: str) -> Snapshot:
        """A job as it stands. Where it changes faster than it can be read, the place is too early rather than too late."""
        at = await self.end()
        for _ in range(_TRIES):
            job, end = await self._reading.job(job_id), await self.end()
            changes = await self.between(at, end)
            if changes is not None and all(change.job_id != job_id for change in changes):
                return Snapshot(job, end)
            at = end
        return Snapshot(await self._reading.job(job_id), at)

    async def about(self, job_ids: Sequence[str]) -> dict[str, About]:
        """What is known of some jobs; nothing of one that is gone."""
        jobs = await self._reading.jobs_of(job_ids, lean=True)
        return {job.id: About.of(job) for job in jobs if job is not None}

    async def follow(self, client: Redis, after: Position, *, seconds: float) -> Page | None:
        """Wait for changes behind a place; None where some of them are not kept any more.

        Args:
            client: whose answers may take as long as they like.
            seconds: for so long at the most; then the page is empty.

        Raises:
            RedisError, OSError: the connection is broken.
        """
        waiting = cast("Any", client)
        if not await waiting.xread({keys.LIVE: after.entry}, count=1, block=round(seconds * 1000)):
            return Page([], after)
        return await _page(client, after, "+")


async def _page(client: Redis, after: Position, upto: str) -> Page | None:
    entries = await cast("Any", client).xrange(keys.LIVE, after.entry, upto, count=_PAGE)
    if after != BEGINNING and (not entries or _place_of(entries[0][0]).entry != after.entry):
        return None
    found = [change for entry in entries for change in changes_of(*entry) if change.position > after]
    return Page(found, _place_of(entries[-1][0]) if entries else after)


def _place_of(entry_id: bytes) -> Position:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return Position(int(milliseconds), int(sequence))


def changes_of(entry_id: bytes, entry: Mapping[bytes, bytes]) -> list[Change]:
    """The changes of one entry. What can't be read is passed over; it has its place all the same.

    >>> told = b'[{"job_id":"job_01k00000000000000000000000","status":"started"},{"job_id":7}]'
    >>> [str(change.position) + " " + change.what for change in changes_of(b"5-0", {b"changes": told})]
    ['5-0-0 started']
    """
    told = _read(entry.get(b"changes", b""))
    milliseconds, sequence, _ = _place_of(entry_id)
    found = []
    for place, said in enumerate(told if isinstance(told, list) else []):
        if not isinstance(said, dict) or not is_id(str(said.get("job_id")), JOB):
            continue
        what = _what(said)
        if what is not None:
            found.append(Change(Position(milliseconds, sequence, place), said["job_id"], what, _about(said)))
    return found


def _read(changes: bytes) -> Any:
    try:
        return msgspec.json.decode(changes)
    except msgspec.DecodeError:  # what Python writes and JSON lacks, or a lone surrogate
        pass
    try:
        return json.loads(changes)
    except (ValueError, RecursionError):
        return None


def _what(said: Mapping[str, Any]) -> JobStatus | Progress | LogLine | CallbackChange | None:
    try:
        if "status" in said:
            return JobStatus(said["status"])
        if "progress" in said:
            return progress_in(said)
        if "log" in said:
            line = said["log"]
            return LogLine(str(line["at"]), str(line["level"]), str(line["message"]))
        callback = said["callback"]
        if not is_id(str(callback["id"]), CALLBACK):
            return None
        return CallbackChange(str(callback["id"]), CallbackStatus(callback["status"]))
    except (ValueError, TypeError, KeyError):
        return None


def _about(said: Mapping[str, Any]) -> About | None:
    if "source" not in said:
        return None
    known = {name: said.get(name) for name in About.__struct_fields__}
    return About(**{name: value for name, value in known.items() if isinstance(value, str)})
