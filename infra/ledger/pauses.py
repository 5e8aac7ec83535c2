"""Work that operators hold back: queues and handlers that are paused, and workers that are to stop.

A pause is a fact in the ledger: workers look when they are told of a change and once in a while, so it costs no job anything.
(`infra.ledger.pausing` is about receivers of callbacks.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from itertools import chain
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from infra.clock import from_unix_milliseconds
from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.parsing import text
from infra.ledger.reading import Reading
from infra.ledger.records import HandlerEntry
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal
from infra.ledger.workers import Workers

_LONGEST: Final = 200  # characters of a name


class Held(StrEnum):
    """What can be paused."""

    QUEUE = "queue"
    HANDLER = "handler"


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue, or a handler, that is paused.

    Args:
        at: since when; None where that can't be read, as `by` is empty then: it is paused all the same.
    """

    kind: Held
    name: str
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What operators want of one worker.

    Args:
        queues, handlers: those that are paused.
        drain: whether it is to stop.
    """

    queues: frozenset[str] = field(default_factory=frozenset)
    handlers: frozenset[str] = field(default_factory=frozenset)
    drain: bool = False


class Asked(IntEnum):
    """What became of a wish: there is no such thing, it was so before, or it is so from now on."""

    MISSING = -1
    BEFORE = 0
    NOW = 1


class Pauses(Reading):
    """Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts, workers: Workers) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts
        self._workers = workers

    async def pause(self, kind: Held, name: str, *, by: str) -> Asked:
        """Have workers begin none of its jobs; those that run go on."""
        if not await self._is_known(kind, name):
            return Asked.MISSING
        return Asked(await self._scripts.run("hold", kind, name, by[:_LONGEST]))

    async def resume(self, kind: Held, name: str) -> Asked:
        """Have its jobs run again."""
        asked = Asked(await self._scripts.run("release", kind, name))
        if asked is Asked.BEFORE and not await self._is_known(kind, name):
            return Asked.MISSING
        if kind is Held.HANDLER:
            await self.let_in(name, (await self.handlers()).get(name))
        return asked

    async def let_in(self, handler: str, concurrency: int | None) -> None:
        """Have the jobs that were parked for a handler's pause go back to their queues, unless it is paused.

        Each worker calls it once it knows that the handler is paused no longer: until then it parks them again.
        """
        await self._scripts.run("let_in", handler, "" if concurrency is None else concurrency)

    async def drain(self, worker: str, *, by: str) -> Asked:
        """Ask a worker to stop, as SIGTERM does."""
        return Asked(await self._scripts.run("drain", worker, by[:_LONGEST]))

    async def entries(self) -> list[HandlerEntry]:
        """What workers tell that they handle, or have told while any lived."""
        told = await self._workers.told()
        return list(chain(told.remembered, *told.live.values()))

    async def handlers(self) -> dict[str, int | None]:
        """The limit of each of those handlers."""
        return {entry.handler: entry.concurrency for entry in await self.entries()}

    async def parked(self, handlers: Sequence[str]) -> dict[str, int]:
        """How many jobs wait for a place under each handler's limit, or for its pause to end."""
        counts = await self._fetch([("LLEN", keys.PARKED + handler) for handler in handlers])
        return {handler: int(count or 0) for handler, count in zip(handlers, counts, strict=True)}

    async def _is_known(self, kind: Held, name: str) -> bool:
        if kind is Held.QUEUE:
            return name in {queue.name for queue in await self.queues()}
        return name in await self.handlers()

    async def all(self) -> list[Pause]:
        """What is paused: handlers, then queues, each by name."""
        (flat,) = await self._fetch([("HGETALL", keys.HELD_BACK)])
        return pauses_of(flat)

    async def wishes(self, worker: str) -> Wishes:
        """What is wanted of one worker."""
        members, drain = await self._fetch(
            [("HKEYS", keys.HELD_BACK), ("HEXISTS", keys.HELD + worker, "drain")]
        )
        named = [text(member).partition(" ") for member in members or []]
        queues, handlers = (
            frozenset(name for kind, _, name in named if kind == wanted)
            for wanted in (Held.QUEUE, Held.HANDLER)
        )
        return Wishes(queues, handlers, drain=bool(drain))


def pauses_of(flat: Any) -> list[Pause]:
    """What stands under `keys.HELD_BACK`."""
    found = [_pause(text(name), told) for name, told in mapping(flat).items()]
    return sorted((one for one in found if one is not None), key=lambda one: (one.kind, one.name))


def _pause(name: str, told: bytes) -> Pause | None:
    kind, _, name = name.partition(" ")
    if kind not in set(Held):
        return None
    try:
        said = msgspec.json.decode(told)
        at: datetime | None = from_unix_milliseconds(int(said["at"]))
        by = str(said["by"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OverflowError):
        at, by = None, ""
    return Pause(Held(kind), name, by, at)


def paused(pauses: Sequence[Pause], kind: Held) -> dict[str, Pause]:
    """Those of one kind, by name."""
    return {one.name: one for one in pauses if one.kind is kind}
