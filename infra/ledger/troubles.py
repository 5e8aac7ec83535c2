"""What goes wrong over time: failures by their place in the code, troubles with a beginning and an end, and what is usual."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2s
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.durations import milliseconds
from infra.ids import new_suffix
from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.parsing import text
from infra.ledger.reading import Reading
from infra.ledger.scripts import Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import dumps, plain

MOST_GROUPS: Final = 200
MOST_TROUBLES: Final = 200
MOST_KINDS: Final = 200

_GROUP: Final = re.compile(rb"(\d+) (\d+) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\S+) (.*)", re.DOTALL)
_TROUBLE: Final = re.compile(rb"(\S+) (\d{1,15}) (\d{1,15}) ([01]) (.*)", re.DOTALL)
_END_WAITS: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how attempts fail.

    Args:
        handler: as in the manifest.
        type: of the exception, such as ``KeyError``.
        place: the innermost line of the user's own code, ``file:line``; empty where none is known.
    """

    handler: str
    type: str
    place: str

    @property
    def id(self) -> str:
        """Stands for it; 16 letters and digits."""
        told = dumps([self.handler, self.type, self.place])
        return blake2s(told.encode(), digest_size=8, person=b"hl.fails").hexdigest()


@dataclass(slots=True)
class Failures:
    """Attempts that failed in one place, not yet told.

    Args:
        message: of the last; `job_id`: its job.
        given_up: how many of them were their jobs' last.
    """

    message: str = ""
    job_id: str = ""
    attempts: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """All attempts that failed in one place.

    Args:
        message: of the last; `job_id`: its job.
        given_up: how many jobs were given up there; `given_up_at`: when the last of them was; None: none was.
    """

    id: str
    handler: str
    type: str
    place: str
    message: str
    job_id: str
    attempts: int
    given_up: int
    first: datetime
    last: datetime
    given_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong, or was until just now.

    Args:
        key: what tells it from all others that there are now.
        id: what tells it from those that were.
        told: whether somebody was told that it began.
        facts: as they were given.
    """

    key: str
    id: str
    began_at: datetime
    ended_at: datetime | None
    told: bool
    facts: Mapping[str, str]


class _Common(Place, frozen=True, kw_only=True):
    message: str = ""


class Troubles(Reading):
    """Everything here raises `LedgerError` as `Reading` does."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def take_turn(self, what: str, worker: str, *, length: timedelta) -> bool:
        """Whether it is this worker's turn to do what one of all does once in so long."""
        return bool(await self._scripts.run("turn", what, worker, milliseconds(length)))

    # -- failures --------------------------------------------------------------------------------------------------

    async def note(self, failures: Mapping[Place, Failures]) -> None:
        """Add attempts that failed to their groups."""
        told: list[Argument] = []
        for place, found in failures.items():
            common = msgspec.to_builtins(place) | {"message": found.message}
            told += [place.id, found.attempts, found.given_up, found.job_id or "-", _facts(common)]
        if told:
            await self._scripts.run("group", MOST_GROUPS, *told)

    async def groups(self) -> list[FailureGroup]:
        """All groups, the one that failed last first."""
        (flat,) = await self._fetch([("HGETALL", keys.FAILURES)])
        found = [_group(text(name), record) for name, record in mapping(flat).items()]
        return sorted((one for one in found if one is not None), key=lambda one: one.last, reverse=True)

    # -- troubles --------------------------------------------------------------------------------------------------

    async def compare(self, present: Mapping[str, Mapping[str, str]]) -> list[Trouble]:
        """Keep what is wrong now, by its key, in place of what was wrong before.

        Returns:
            All that is kept: what is wrong, and what has ended and nobody was told of its end.
        """
        told: list[Argument] = []
        for key, facts in present.items():
            told += [key, f"trouble_{new_suffix()}", _facts(facts)]
        flat = await self._scripts.run("trouble", MOST_TROUBLES, milliseconds(_END_WAITS), *told)
        return _troubles(mapping(flat))

    async def told(self, trouble: Trouble) -> None:
        """Somebody was told of its end, if it has ended, else of its beginning."""
        await self._scripts.run("told", trouble.key, trouble.id, "ended" if trouble.told else "began")

    async def open(self) -> list[Trouble]:
        """What was wrong at the last look, the oldest first."""
        (flat,) = await self._fetch([("HGETALL", keys.TROUBLES)])
        return [one for one in _troubles(mapping(flat)) if one.ended_at is None]

    # -- what is usual ---------------------------------------------------------------------------------------------

    async def kinds(self) -> list[str]:
        """Source and type, as ``{source}:{type}``, of what came since the retention; the first of them."""
        (members,) = await self._fetch([("SMEMBERS", keys.KINDS)])
        return sorted(map(text, members or []))[:MOST_KINDS]

    async def arrivals(self, kind: str, *, hours: Sequence[datetime]) -> list[int]:
        """How many jobs of a kind came in each hour that begins then."""
        counts = await self._fetch([
            ("ZCOUNT", keys.JOBS_OF + kind, str(unix_milliseconds(hour)), f"({unix_milliseconds(hour + _HOUR)}")
            for hour in hours
        ])  # fmt: skip
        return [int(count or 0) for count in counts]

    async def history(self) -> dict[str, list[int]]:
        """What was remembered."""
        (flat,) = await self._fetch([("HGETALL", keys.HISTORY)])
        return {
            text(name): [int(number) for number in numbers.split() if number.isdigit() and len(number) < 16]
            for name, numbers in mapping(flat).items()
        }

    async def remember(self, history: Mapping[str, Sequence[int]]) -> None:
        """Remember these numbers by their names, and no others."""
        told = [part for name, numbers in history.items() for part in (name, " ".join(map(str, numbers)))]
        await self._scripts.run("remember", *told)


def _facts(facts: Mapping[str, str]) -> str:
    return dumps({name: plain(told) for name, told in facts.items()})


def _group(group_id: str, record: bytes) -> FailureGroup | None:
    known = _GROUP.fullmatch(record)
    common = None if known is None else _decoded(known[7], _Common)
    if known is None or common is None:
        return None
    first, last, ended = (from_unix_milliseconds(int(moment)) for moment in known.group(3, 4, 5))
    return FailureGroup(
        id=group_id,
        handler=common.handler,
        type=common.type,
        place=common.place,
        message=common.message,
        job_id=text(known[6]),
        attempts=int(known[1]),
        given_up=int(known[2]),
        first=first,
        last=last,
        given_up_at=ended if int(known[5]) else None,
    )


def _troubles(kept: Mapping[bytes, bytes]) -> list[Trouble]:
    found = []
    for key, record in kept.items():
        known = _TROUBLE.fullmatch(record)
        facts = None if known is None else _decoded(known[5], dict[str, str])
        if known is not None and facts is not None:
            found.append(
                Trouble(
                    key=text(key),
                    id=text(known[1]),
                    began_at=from_unix_milliseconds(int(known[2])),
                    ended_at=from_unix_milliseconds(int(known[3])) if int(known[3]) else None,
                    told=known[4] == b"1",
                    facts=facts,
                )
            )
    return sorted(found, key=lambda one: (one.began_at, one.key))


def _decoded(told: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(told, type=kind)
    except msgspec.DecodeError:
        return None
