"""How long a job's attempt will take, going by its handler's own past."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from infra.ledger import Durations, LedgerError
from infra.ledger.records import TERMINAL_STATUSES, HandlerEntry, JobRecord
from infra.tasks import end

MOST_KNOWN: Final = 1_000

_FRESH: Final = timedelta(seconds=15)
_PATIENCE: Final = timedelta(seconds=1)

_Key = tuple[str, str, str, str]


@dataclass(slots=True)
class _Known:
    estimate: timedelta | None
    at: float


class Estimates:
    """Durations that were looked up, kept for a while: who asks waits for the first look, and for no other.

    Args:
        monotonic: seconds from any start.
    """

    def __init__(self, durations: Durations, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._durations = durations
        self._monotonic = monotonic
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._looking: dict[_Key, asyncio.Task[None]] = {}

    async def of(self, job: JobRecord, entry: HandlerEntry | None) -> timedelta | None:
        """How long an attempt of its handler usually takes; None where it has no past, or the job has ended.

        Args:
            entry: what live workers say of such jobs.
        """
        handler = job.handler or (entry.handler if entry else None)
        if handler is None or job.status in TERMINAL_STATUSES:
            return None
        key = (handler, job.source, job.type, job.queue)
        known = self._known.get(key)
        if known is None or self._monotonic() - known.at > _FRESH.total_seconds():
            looking = self._look_again(key, job, handler)
            if known is None:
                await asyncio.wait([looking], timeout=_PATIENCE.total_seconds())
                known = self._known.get(key)
        return None if known is None else known.estimate

    async def stop(self) -> None:
        """End the looks that are under way."""
        await end(*self._looking.values())

    def _look_again(self, key: _Key, job: JobRecord, handler: str) -> "asyncio.Task[None]":
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = asyncio.create_task(self._look(key, job, handler))
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        return looking

    async def _look(self, key: _Key, job: JobRecord, handler: str) -> None:
        try:
            estimate = await self._durations.usual(job, handler)
        except LedgerError:
            return
        self._known[key] = _Known(estimate, self._monotonic())
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
