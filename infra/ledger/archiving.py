"""What is past retention, handed out to be archived, and let go once it is.

One of all workers archives at a time, under a lease. A job goes only while it is as it was when it was handed out: whatever was done to it
meanwhile keeps it, and it is handed out again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from infra.durations import milliseconds
from infra.ids import CALLBACK, EVENT, JOB
from infra.ledger import keys
from infra.ledger.histories import Histories, History
from infra.ledger.kept import mapping
from infra.ledger.parsing import moment, text, whole
from infra.ledger.reading import told_of
from infra.ledger.records import EventRecord
from infra.ledger.scripts import BATCH, Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.steering import Origin
from infra.ledger.wire import digest, plain, unsealed

LEASE: Final = timedelta(minutes=2)
REMEMBERED: Final = timedelta(days=1)

_BIRTH: Final = b"job:"
_MOST_ROUNDS: Final = 100  # of a job


class Expired(NamedTuple):
    """A job that is past its retention.

    Args:
        version: another one after whatever is done to the job.
    """

    job_id: str
    event_id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The texts that a seal covers, as they stand: an event's head, and the births of its jobs behind their seals."""

    head: str
    births: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that the ledger holds of one event.

    Args:
        history: None where no seal of ours holds.
        raw: what no seal vouches for, as it stands: fields by key.
    """

    event_id: str
    history: History | None = None
    sealed: Sealed | None = None
    raw: Mapping[str, Mapping[str, bytes]]

    @property
    def body(self) -> bytes:
        """The event's, whether a seal holds or not."""
        return self._told.get("body", b"") if self.history is None else self.history.event.body

    @property
    def job_ids(self) -> set[str]:
        """Of all jobs that anything here tells of, and of its first, whose id follows from its own."""
        found = {JOB + self.event_id.removeprefix(EVENT)}
        found |= {name.removeprefix("job:") for name in self._told if name.startswith("job:")}
        found |= {key.removeprefix(keys.JOB) for key in self.raw if key.startswith(keys.JOB)}
        return found if self.history is None else found.union(self.history.event.jobs)

    @property
    def _told(self) -> Mapping[str, bytes]:
        return self.raw.get(keys.EVENT + self.event_id, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStanding:
    """How archiving goes.

    Args:
        archived: jobs, since the ledger began.
        done_at: when it last went through.
        failing_since: None: it does not fail.
        error: why it fails.
    """

    archived: int
    done_at: datetime | None
    failing_since: datetime | None
    error: str


ASKED_OF_ARCHIVE: Final = (
    ("HMGET", keys.ARCHIVE, "wanted", "done", "failing", "error"),
    ("HMGET", keys.COUNTS, "archived"),
)


def archive_standing(replies: Sequence[Any]) -> ArchiveStanding | None:
    """What the answers to `ASKED_OF_ARCHIVE` tell; None where there is no archive."""
    said, counts = replies
    wanted, done, failing, error = said or [None] * 4
    if wanted is None:
        return None
    return ArchiveStanding(
        archived=whole((counts or [None])[0]),
        done_at=moment(done),
        failing_since=moment(failing),
        error=text(error),
    )


class Archiving(Histories):
    """Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(
        self, redis: Redis, seal: Seal, scripts: Scripts, *, retention: timedelta, dead_retention: timedelta
    ) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts
        self._keep = (milliseconds(retention), milliseconds(dead_retention))

    # -- the lease -------------------------------------------------------------------------------------------------

    async def hold(self, who: str) -> bool:
        """Whether nobody else archives or erases; then nobody else does for `LEASE`, or until it `went` somehow.

        From now on, and until `REMEMBERED` after the last call, nothing goes unarchived.
        """
        return await self._note(who, length=LEASE)

    async def hold_to_erase(self, who: str) -> bool:
        """The same, for who erases, until `leave`."""
        return await self._note(who, "erases", length=LEASE)

    async def renew(self, who: str) -> bool:
        """Go on, for another `LEASE`. False: it is another's, or was in between, and whatever was read before may be erased."""
        return await self._note(who, "renews", length=LEASE)

    async def leave(self, who: str) -> None:
        """Who erases is done."""
        await self._note(who, "renews", length=timedelta(0))

    async def went(self, who: str, *, error: str | None) -> None:
        """Say how it went, and leave.

        Args:
            error: None: well.
        """
        outcome = ("done", "") if error is None else ("failed", plain(error))
        await self._note(who, *outcome, length=timedelta(0))

    async def _note(self, who: str, outcome: str = "", error: str = "", *, length: timedelta) -> bool:
        told = (who, milliseconds(length), milliseconds(REMEMBERED), outcome, error)
        return bool(await self._scripts.run("archiving", *told))

    async def standing(self) -> ArchiveStanding | None:
        """How it goes; None where there is no archive."""
        return archive_standing(await self._fetch(ASKED_OF_ARCHIVE))

    # -- what goes -------------------------------------------------------------------------------------------------

    async def expired(self) -> tuple[list[Expired], bool]:
        """The next jobs that are past retention, and whether all of them have now been handed out once."""
        ended, *told = await self._scripts.run("expired", BATCH, *self._keep)
        found = [Expired(*map(text, told[first : first + 3])) for first in range(0, len(told), 3)]
        return found, bool(ended)

    async def let_go(self, jobs: Sequence[Expired]) -> int:
        """Remove jobs that the archive has. Returns how many went: those are left to which something was done."""
        gone = 0
        for first in range(0, len(jobs), BATCH):
            told: list[Argument] = [
                part for job in jobs[first : first + BATCH] for part in (job.job_id, job.version)
            ]
            gone += await self._scripts.run("let_go", *self._keep, *told)
        return gone

    async def dossier(self, event_id: str, jobs: Sequence[str]) -> Dossier | None:
        """All that is held of an event; None where nothing is.

        Args:
            jobs: of it, whose records are taken along as they are where no seal holds.
        """
        history = await self.history(event_id, whole=True)
        known = {job.rounds[-1].id for job in history.jobs} if history else set()
        event = mapping((await self._fetch([("HGETALL", keys.EVENT + event_id)]))[0])
        raw = {} if history or not event else {keys.EVENT + event_id: _named(event)}
        for job_id in jobs:
            if job_id not in known:
                raw |= await self._as_it_stands(job_id)
        if history is None and not raw:
            return None
        sealed = None if history is None else self._sealed(event_id, event)
        return Dossier(event_id=event_id, history=history, sealed=sealed, raw=raw)

    async def _as_it_stands(self, job_id: str) -> dict[str, dict[str, bytes]]:
        """The keys of a job, but for what its steps kept: an entry of a list by its place, one of a stream by its id and its field."""
        record, results, log, acts = await self._fetch(
            [
                ("HGETALL", keys.JOB + job_id),
                ("XRANGE", keys.RESULTS + job_id, "-", "+"),
                ("LRANGE", keys.LOG + job_id, "0", "-1"),
                ("LRANGE", keys.ACTS + job_id, "0", "-1"),
            ]
        )
        hash_ = mapping(record)
        rounds = min(whole(hash_.get(b"round"), 1), _MOST_ROUNDS)
        stem = keys.CALLBACK + CALLBACK + job_id.removeprefix(JOB)
        callbacks = [stem, *(f"{stem}-{number}" for number in range(2, rounds + 1))]
        found = {
            keys.JOB + job_id: _named(hash_),
            keys.RESULTS + job_id: {
                f"{text(entry)} {text(name)}": value
                for entry, fields in results or []
                for name, value in mapping(fields).items()
            },
            keys.LOG + job_id: {str(place): line for place, line in enumerate(log or [])},
            keys.ACTS + job_id: {str(place): line for place, line in enumerate(acts or [])},
        }
        replies = await self._fetch([("HGETALL", name) for name in callbacks])
        found |= {name: _named(mapping(reply)) for name, reply in zip(callbacks, replies, strict=True)}
        return {name: fields for name, fields in found.items() if fields}

    def vouched(self, dossier: Dossier) -> tuple[EventRecord, Origin] | None:
        """The event and what a replay is made of, as far as a seal of ours vouches for both; None where none does."""
        sealed, history = dossier.sealed, dossier.history
        if sealed is None or history is None:
            return None
        event_id, body, head = dossier.event_id, history.event.body, sealed.head.encode()
        for job_id, birth in sealed.births.items():
            story = unsealed(self._seal, job_id, event_id, head, birth.encode())
            if story is not None and story.head["digest"] == digest(body):
                told = told_of(event_id, story, sorted(sealed.births), (None, None), size=len(body))
                return EventRecord(**told, body=body), Origin(event_id, head, story)
        return None

    def _sealed(self, event_id: str, kept: Mapping[bytes, bytes]) -> Sealed:
        """What of it a seal vouches for. Head and births are ASCII, for a seal covers what `wire` wrote."""
        head = kept.get(b"head", b"")
        births = {
            job_id: birth.decode("ascii")
            for name, birth in kept.items()
            if name.startswith(_BIRTH)
            and unsealed(self._seal, job_id := text(name)[len(_BIRTH) :], event_id, head, birth) is not None
        }
        return Sealed(head=head.decode("ascii") if births else "", births=births)


def _named(hash_: Mapping[bytes, bytes]) -> dict[str, bytes]:
    return {text(name): value for name, value in hash_.items()}
