"""The rates of sources: how many requests pass, over all web processes together.

A process takes places from Redis in blocks, a tenth of a second's worth at a time, so that most requests ask nobody. When
none is left it says so by itself until there is one again.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from infra.ledger import Admissions, LedgerError
from infra.rates import Rate
from ingest.problems import RATE_SPENT, Problem

BLOCK_SECONDS: Final = 0.1  # a block is what the rate gives in so long
KEPT_SECONDS: Final = 1.0  # what is left of a block then is given up
PATIENCE: Final = 0.2  # seconds that a request waits for Redis's word
_CLOSED_SECONDS: Final = 0.05  # at the least


@dataclass(slots=True)
class _Gate:
    """One source, as this process knows it; moments are on its own clock.

    Args:
        places: that are left of the last block, until `good_until`.
        closed_until: nobody passes before.
        waiting: requests that wait for `asking`.
    """

    places: int = 0
    good_until: float = 0.0
    closed_until: float = 0.0
    waiting: int = 0
    asking: "asyncio.Task[bool] | None" = None


class Throttle:
    """Lets requests pass, or refuses them.

    Where Redis does not say in time whether there is a place, the request passes: whether it can be stored decides then.

    Args:
        admissions: where the places are.
        monotonic: this process's clock, in seconds.
    """

    def __init__(self, admissions: Admissions, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._admissions = admissions
        self._monotonic = monotonic
        self._gates: dict[str, _Gate] = {}

    async def admit(self, source: str, rate: Rate) -> None:
        """Return if a request of this source may pass.

        Raises:
            Problem: 429, with how long to wait.
        """
        gate = self._gates.get(source)
        if gate is None:
            gate = self._gates[source] = _Gate()
        while True:
            now = self._monotonic()
            if gate.places > 0 and now < gate.good_until:
                gate.places -= 1
                return
            if now < gate.closed_until:
                seconds = math.ceil(gate.closed_until - now)
                raise Problem(RATE_SPENT, f"At most {rate} are taken.", headers={"Retry-After": str(seconds)})
            if not await self._ask(gate, source, rate):
                return

    async def _ask(self, gate: _Gate, source: str, rate: Rate) -> bool:
        """Fetch a block, together with whoever else waits for one. Returns whether there was an answer."""
        if gate.asking is None or gate.asking.done():
            gate.asking = asyncio.create_task(self._fetch(gate, source, rate))
        gate.waiting += 1
        try:
            return await asyncio.shield(gate.asking)  # who goes away does not take it from the others
        finally:
            gate.waiting -= 1

    async def _fetch(self, gate: _Gate, source: str, rate: Rate) -> bool:
        wanted = max(int(rate.per_second * BLOCK_SECONDS), gate.waiting, 1)
        try:
            async with asyncio.timeout(PATIENCE):
                granted, wait = await self._admissions.admit(source, rate, wanted=wanted)
        except (LedgerError, TimeoutError):
            return False
        now = self._monotonic()
        gate.places, gate.good_until = granted, now + KEPT_SECONDS
        if granted < wanted:
            gate.closed_until = now + max(wait.total_seconds(), _CLOSED_SECONDS)
        return True
