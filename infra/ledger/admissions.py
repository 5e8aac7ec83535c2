"""The rates of sources, which all web processes share."""

from datetime import timedelta
from typing import NamedTuple

from infra.durations import milliseconds
from infra.ledger.scripts import Scripts
from infra.rates import Rate


class Places(NamedTuple):
    """How many requests may pass, and how long until the next one may."""

    granted: int
    wait: timedelta


class Admissions:
    """Gives places to requests, on Redis's clock."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def admit(self, source: str, rate: Rate, *, wanted: int) -> Places:
        """Take places of a source, so many at the most; they are gone, whether they are used or not.

        Raises:
            LedgerError: not confirmed; the places may be gone.
        """
        granted, wait = await self._scripts.run(
            "admit", source, wanted, rate.count, max(1, milliseconds(rate.period))
        )
        return Places(granted, timedelta(milliseconds=wait))
