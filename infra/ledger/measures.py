"""The numbers behind ``GET /metrics``: what all processes have counted, and how things stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from redis.asyncio import Redis

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.durations import milliseconds
from infra.ledger import keys
from infra.ledger.archiving import ASKED_OF_ARCHIVE, ArchiveStanding, archive_standing
from infra.ledger.kept import mapping
from infra.ledger.parsing import rq_time, text, whole
from infra.ledger.pauses import Pause, pauses_of
from infra.ledger.reading import Reading
from infra.ledger.records import CallbackStatus
from infra.ledger.scripts import Argument, Scripts
from infra.ledger.seal import Seal

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
MOST_ADDED: Final = 500  # fields, a call
MOST_FIELDS: Final = 50_000

_REMEMBERED: Final = timedelta(
    minutes=10
)  # the last call of each process, so that its repetition does not count


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """One queue now.

    Args:
        parked: behind an ordering key, or for a limit.
        oldest: how long the job at its head has waited; none where nothing waits.
    """

    name: str
    queued: int
    scheduled: int
    started: int
    parked: int
    failed: int
    oldest: timedelta


class Pulse(NamedTuple):
    """What became of events in one span of time.

    Args:
        open: how many jobs had not ended when it was looked at last; None: nobody looked.
    """

    received: int = 0
    finished: int = 0
    failed: int = 0
    open: int | None = None


NO_PULSE: Final = Pulse()


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole ledger now.

    Args:
        workers: whose lease runs.
        callbacks: how many there are in each status that waits for somebody.
        overdue: for how long the callback that has waited longest could have been sent.
        quarantined: how many records were ever put aside.
        pauses: the queues and handlers that are paused.
        archive: how archiving goes; None: there is no archive.
    """

    queues: tuple[QueueStanding, ...]
    workers: int
    callbacks: Mapping[CallbackStatus, int]
    overdue: timedelta
    quarantined: int
    pauses: Sequence[Pause] = ()
    archive: ArchiveStanding | None = None


class Measures(Reading):
    """Numbers, by fields that `infra.metrics` names. Everything here raises `LedgerError` as `Reading` does."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def add(
        self, process: str, sequence: int, numbers: Mapping[str, int], pulse: Pulse = NO_PULSE
    ) -> None:
        """Add what a process has counted; repeated with the same sequence, it adds nothing.

        Args:
            numbers: at most `MOST_ADDED`, all of them above zero.
            pulse: what of it counts for the present minute and hour.
        """
        added: list[Argument] = [part for pair in numbers.items() for part in pair]
        remembered = milliseconds(_REMEMBERED)
        await self._scripts.run("measure", process, sequence, remembered, MOST_FIELDS, *pulse[:3], *added)

    async def minutes(self, count: int = 60) -> list[Pulse]:
        """The last minutes, the present one last; at most two hours of them."""
        return await self._pulses(count, span=HOUR, part=timedelta(minutes=1), mark="h")

    async def hours(self, count: int = 168) -> list[Pulse]:
        """The last hours, the present one last; at most eight days of them."""
        return await self._pulses(count, span=DAY, part=HOUR, mark="d")

    async def _pulses(self, count: int, *, span: timedelta, part: timedelta, mark: str) -> list[Pulse]:
        """What was counted in each part, kept span by span."""
        long, short = milliseconds(span), milliseconds(part)
        last = unix_milliseconds(await self.now()) // short
        parts = range(last - count + 1, last + 1)
        spans = range(parts[0] * short // long, last * short // long + 1)
        found = await self._fetch([("HGETALL", f"{keys.PULSE}{one * long}{mark}") for one in spans])
        kept = {one: mapping(flat) for one, flat in zip(spans, found, strict=True)}
        return [_pulse(kept[one * short // long], one % (long // short)) for one in parts]

    async def totals(self) -> dict[str, int]:
        """What all processes have counted since the ledger began."""
        (flat,) = await self._fetch([("HGETALL", keys.METRICS)])
        return {text(field): whole(number) for field, number in mapping(flat).items()}

    async def standing(self) -> Standing:
        """How things stand."""
        now = await self.now()
        waiting = (CallbackStatus.PENDING, CallbackStatus.DEAD)
        members, workers, pending, dead, due, counts, held_back, *archive = await self._fetch([
            ("SMEMBERS", keys.QUEUES),
            ("ZCOUNT", keys.LEASES, f"({unix_milliseconds(now)}", "+inf"),
            *(("ZCOUNT", keys.CALLBACKS_AS + status, "(0", "+inf") for status in waiting),
            ("ZRANGE", keys.OUTBOX, "0", "0", "WITHSCORES"),
            ("HMGET", keys.COUNTS, "quarantined"),
            ("HGETALL", keys.HELD_BACK),
            *ASKED_OF_ARCHIVE,
        ])  # fmt: skip
        names = sorted(text(key).removeprefix(keys.QUEUE) for key in members or [])
        return Standing(
            queues=tuple(await self._queues(names, now)),
            workers=workers or 0,
            callbacks=dict(zip(waiting, (pending or 0, dead or 0), strict=True)),
            overdue=_since(from_unix_milliseconds(int(float(due[1]))), now) if due else timedelta(0),
            quarantined=whole(counts[0]) if counts else 0,
            pauses=pauses_of(held_back),
            archive=archive_standing(archive),
        )

    async def _queues(self, names: list[str], now: datetime) -> list[QueueStanding]:
        commands: list[tuple[str, ...]] = []
        for name in names:
            commands += [
                ("LLEN", keys.QUEUE + name),
                *(("ZCARD", index + name) for index in (keys.SCHEDULED, keys.STARTED, keys.DEFERRED, keys.FAILED)),
                ("LINDEX", keys.QUEUE + name, "0"),
            ]  # fmt: skip
        found = await self._fetch(commands)
        rows = [found[place : place + 6] for place in range(0, len(found), 6)]
        heads = await self._fetch([("HGET", keys.JOB + text(row[5]), "enqueued_at") for row in rows])
        standing = []
        for name, (*numbers, head), moment in zip(names, rows, heads, strict=True):
            oldest = _since(rq_time(moment), now) if head else timedelta(0)
            queued, scheduled, started, parked, failed = (number or 0 for number in numbers)
            standing.append(QueueStanding(name, queued, scheduled, started, parked, failed, oldest))
        return standing


def _since(moment: datetime | None, now: datetime) -> timedelta:
    return timedelta(0) if moment is None else max(timedelta(0), now - moment)


def _pulse(kept: Mapping[bytes, bytes], part: int) -> Pulse:
    told = [kept.get(f"{part} {name}".encode()) for name in Pulse._fields]
    received, finished, failed, open_ = told
    return Pulse(whole(received), whole(finished), whole(failed), None if open_ is None else whole(open_))
