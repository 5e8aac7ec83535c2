"""Looks for trouble once a minute, and tells of it: once when it begins, once when it ends. One of all workers does."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from infra.clock import Clock, from_unix_milliseconds, rfc3339
from infra.findings import Finding, Seen, Severity, observe, of_records, of_server, of_workers
from infra.findings.usual import (
    LOOKS_KEPT,
    counted_on,
    facts_of,
    hours_to_count,
    of_failures,
    of_history,
)
from infra.ledger import Ledger, LedgerError
from infra.ledger.troubles import Trouble
from infra.store import facts
from worker.callbacks.payload import Message
from worker.callbacks.post import Post
from worker.callbacks.schedule import Answered

log = logging.getLogger(__name__)

_EVERY: Final = timedelta(minutes=1)
_HOUR: Final = 3600
_MOST_TOLD: Final = 20  # in one look
_ALERTED: Final = frozenset({
    "silence", "queue-grows", "failing", "queue-late", "jobs-given-up", "callbacks-given-up", "receivers-paused", "quarantined",
    "redis-memory", "clock-off", "archive-away",
})  # fmt: skip


Teller = Callable[[Trouble], Awaitable[bool]]
"""Tells somebody that a trouble began or ended. Returns whether they took it; if not, they are told again at the next look."""


async def nobody(_: Trouble) -> bool:
    """A `Teller` where nobody wants to be told."""
    return True


class Alert:
    """A `Teller` that POSTs a signed Standard Webhook.

    Args:
        url: ``HOOKLINE_ALERT_URL``.
    """

    def __init__(self, post: Post, *, url: str, clock: Clock) -> None:
        self._post = post
        self._url = url
        self._clock = clock

    async def __call__(self, trouble: Trouble) -> bool:
        outcome, _ = await self._post(
            alert_message(trouble),
            url=self._url,
            source="",
            message_id=trouble.id if trouble.ended_at is None else f"{trouble.id}-ended",
            at=self._clock.now(),
        )
        taken = isinstance(outcome, Answered) and 200 <= outcome.status < 300
        if not taken:
            log.error("HOOKLINE_ALERT_URL did not take what it was told", extra={"trouble": trouble.key})
        return taken


def alert_message(trouble: Trouble) -> Message:
    """What is sent of a trouble: ``trouble.began``, or ``trouble.ended``."""
    ended = trouble.ended_at
    data = {
        "id": trouble.id,
        **trouble.facts,
        "began_at": rfc3339(trouble.began_at),
        "ended_at": None if ended is None else rfc3339(ended),
    }
    told = {
        "type": "trouble.began" if ended is None else "trouble.ended",
        "timestamp": rfc3339(ended or trouble.began_at),
        "data": data,
    }
    return Message(json.dumps(told, separators=(",", ":")).encode())


class Alerts:
    """Looks, when it is this worker's turn.

    Args:
        server: whether Redis is a server, which can be asked how it is set up.
        retention: how long finished jobs are kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        worker: str,
        server: bool,
        retention: timedelta,
        tell: Teller = nobody,
        every: timedelta = _EVERY,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._server = server
        self._retention = retention
        self._tell = tell
        self._every = every

    async def run(self) -> None:
        """Look for as long as the task lives."""
        while True:
            await asyncio.sleep(self._every.total_seconds())
            try:
                if await self._ledger.troubles.take_turn("watch", self._worker, length=self._every * 0.9):
                    await self.look()
            except LedgerError as error:
                log.error("trouble could not be looked for: %s", error)

    async def look(self) -> None:
        """Look once, and tell.

        Raises:
            LedgerError: Redis does not answer; what was not told is told at the next look.
        """
        seen = await observe(self._ledger, retention=self._retention, thorough=False)
        found = [*of_workers(seen), *of_records(seen)]
        if self._server:
            found += of_server(await facts(self._ledger.redis), seen.volume)
        found += of_history(await self._remember(seen))
        found += of_failures(await self._ledger.troubles.groups(), seen.now)
        present = {finding.key: facts_of(finding) for finding in found if _is_alerted(finding)}
        untold = [one for one in await self._ledger.troubles.compare(present) if one.ended_at or not one.told]
        for trouble in untold[:_MOST_TOLD]:
            if await self._tell(trouble):
                await self._ledger.troubles.told(trouble)
                _log(trouble)

    async def _remember(self, seen: Seen) -> dict[str, list[int]]:
        """How much came in each hour, and how long the queues are, with what was known of them before."""
        troubles, hour = self._ledger.troubles, int(seen.now.timestamp()) // _HOUR
        before = await troubles.history()
        known: dict[str, list[int]] = {}
        for kind in await troubles.kinds():
            name = f"kind:{kind}"
            earlier = before.get(name, [])
            hours = hours_to_count(earlier, hour)
            counts = await troubles.arrivals(kind, hours=[_moment(one) for one in hours])
            known[name] = counted_on(earlier, hour, counts)
        for queue in seen.queues:
            name = f"queue:{queue.name}"
            known[name] = [queue.queued, *before.get(name, [])][:LOOKS_KEPT]
        await troubles.remember(known)
        return known


def _is_alerted(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR or finding.code in _ALERTED


def _moment(hour: int) -> datetime:
    return from_unix_milliseconds(hour * _HOUR * 1000)


def _log(trouble: Trouble) -> None:
    began = trouble.ended_at is None
    log.log(
        logging.WARNING if began else logging.INFO,
        "trouble %s: %s", "began" if began else "ended", trouble.facts.get("what", ""),
        extra={"trouble": trouble.key},
    )  # fmt: skip
