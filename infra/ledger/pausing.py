"""The pause of a receiver, and its end: what an operator asks for, and what a worker does by itself."""

from datetime import timedelta
from typing import Final

from infra.ledger.callbacks import Callbacks
from infra.ledger.receivers import Receivers, receiver_id, receiver_url
from infra.ledger.scripts import Scripts

RATE: Final = 20  # callbacks a second that are made again when a receiver is resumed


class Pausing:
    """Pauses receivers and resumes them. Everything here raises `LedgerError` where Redis does not confirm; it may be repeated."""

    def __init__(self, scripts: Scripts, receivers: Receivers, callbacks: Callbacks) -> None:
        self._scripts = scripts
        self._receivers = receivers
        self._callbacks = callbacks

    async def pause(self, url: str, *, reason: str = "operator") -> bool:
        """Send nothing more there; what waits for it becomes a dead letter.

        Returns:
            False where it was paused before.
        """
        paused = await self._scripts.run("pause", receiver_id(url), receiver_url(url), reason)
        await self.withdraw(url)
        return bool(paused)

    async def withdraw(self, url: str) -> None:
        """Have what waits for a paused receiver fall due at once, which makes dead letters of it."""
        async for jobs in self._receivers.waiting_for(url):
            await self._callbacks.redeliver(jobs)

    async def resume(self, url: str, *, rate: int = RATE, by: str = "") -> int | None:
        """Send there again, and make again what was withheld.

        Args:
            rate: so many a second.
            by: who wants it, for the jobs' timelines.

        Returns:
            How many those are; None where it was not paused. Where an earlier call did not come to its end, this one goes on.
        """
        resumed = await self._scripts.run("resume", receiver_id(url))
        again, every = 0, timedelta(seconds=1) / rate
        async for jobs in self._receivers.withheld_from(url):
            again += sum(await self._callbacks.redeliver(jobs, after=again * every, every=every, by=by))
        return again if resumed or again else None
