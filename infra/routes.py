"""Who handles an event, by the manifests that live workers publish. Nobody here imports a handler."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from infra.ledger import LedgerError, Workers
from infra.ledger.records import HandlerEntry

log = logging.getLogger(__name__)

_FRESH = timedelta(seconds=2)
_STALE = timedelta(seconds=30)


def entry_for(entries: Iterable[HandlerEntry], source: str, type: str) -> HandlerEntry | None:  # noqa: A002 - the contract's word
    """The line that an event falls under: its own type before ``*``.

    >>> one, rest = (HandlerEntry(source="a", type=type, handler=type) for type in ("x", "*"))
    >>> entry_for([rest, one], "a", "x").handler, entry_for([rest, one], "a", "y").handler, entry_for([one], "b", "x")
    ('x', '*', None)
    """
    known = {(entry.source, entry.type): entry for entry in entries}
    return known.get((source, type)) or known.get((source, "*"))


class Routes:
    """The manifests, looked at again every two seconds while somebody asks, without making them wait.

    Args:
        monotonic: seconds from any start.
    """

    def __init__(self, workers: Workers, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], HandlerEntry] = {}
        self._at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, source: str, type: str) -> HandlerEntry | None:  # noqa: A002 - the contract's word
        """The line that an event falls under, or None where no live worker has told of one."""
        age = self._monotonic() - self._at
        if age > _FRESH.total_seconds():
            refreshing = self._refresh()
            if age > _STALE.total_seconds():
                await asyncio.wait([refreshing], timeout=1)
        return self._known.get((source, type)) or self._known.get((source, "*"))

    @property
    def any_worker(self) -> bool:
        """Whether a live worker had told its handlers when last looked."""
        return bool(self._known)

    def _refresh(self) -> "asyncio.Task[None]":
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._look())
        return self._refreshing

    async def _look(self) -> None:
        try:
            manifests = await self._workers.manifests()
        except LedgerError as error:
            log.debug("the manifests could not be read: %s", error)
            return
        self._known = {
            (entry.source, entry.type): entry for entries in manifests.values() for entry in entries
        }
        self._at = self._monotonic()
