"""Who handles an event, by the manifests that live workers publish. Nobody here imports a handler."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from typing import Protocol

from infra.bounds import short_id
from infra.expressions import Document, Expression, ExpressionError, compile_expression
from infra.ledger import LedgerError
from infra.ledger.records import HandlerEntry
from infra.ledger.workers import Told
from infra.tasks import end

log = logging.getLogger(__name__)

API_SOURCE = "api"  # POST /jobs, and jobs that handlers make
SCHEDULE_SOURCE = "schedule"  # recurring handlers
DEFAULT_QUEUE = "default"

_FRESH = timedelta(seconds=2)
_STALE = timedelta(seconds=30)
_PATIENCE = timedelta(seconds=1)

_Table = Mapping[tuple[str, str], HandlerEntry]


def entry_for(entries: Iterable[HandlerEntry], source: str, type: str) -> HandlerEntry | None:  # noqa: A002 - the contract's word
    """The line that an event falls under: its own type before ``*``.

    >>> one, rest = (HandlerEntry(source="a", type=type, handler=type) for type in ("x", "*"))
    >>> entry_for([rest, one], "a", "x").handler, entry_for([rest, one], "a", "y").handler, entry_for([one], "b", "x")
    ('x', '*', None)
    """
    return _pick(_table(entries), source, type)


def ordering_key_of(entry: HandlerEntry | None, document: Document) -> str | None:
    """The ordering key that an event's handler gives it; None where the handler has none, or none is there.

    >>> entry = HandlerEntry(source="a", type="x", handler="m:f", ordering_key="json:$.order")
    >>> ordering_key_of(entry, Document(headers={}, body=b'{"order": 7}'))
    '7'
    """
    if entry is None or entry.ordering_key is None:
        return None
    found = _compiled(entry.ordering_key).evaluate(document)
    return None if found is None else short_id(found)


class Manifests(Protocol):
    """Where the manifests are read: a ledger's `Workers`, or those of several."""

    async def told(self) -> Told:
        """What workers handle.

        Raises:
            LedgerError: it can't be read.
        """


class Routes:
    """The manifests, looked at again every two seconds while somebody asks, without making them wait.

    Args:
        monotonic: seconds from any start.
    """

    def __init__(self, workers: Manifests, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._monotonic = monotonic
        self._live: _Table = {}
        self._remembered: _Table = {}
        self._at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def find(self, source: str, type: str, *, sure: bool = False) -> HandlerEntry | None:  # noqa: A002 - the contract's word
        """The line that an event falls under, or None where no worker has told of one.

        While no worker lives, during a deploy for one, what the last ones told still counts.

        Waits for a look only where the last one is half a minute old, and then for a second at the most: what can't be
        read is as it was.

        Args:
            sure: look again before None is said, for a worker may have started this moment.
        """
        age = self._monotonic() - self._at
        if age > _FRESH.total_seconds():
            looking = self._look_again()
            if age > _STALE.total_seconds():
                await asyncio.wait([looking], timeout=_PATIENCE.total_seconds())
        if sure and _pick(self._table, source, type) is None:
            await asyncio.wait([self._look_again()], timeout=_PATIENCE.total_seconds())
        return _pick(self._table, source, type)

    @property
    def any_worker(self) -> bool:
        """Whether a live worker had told what it handles when last looked."""
        return bool(self._live)

    @property
    def _table(self) -> _Table:
        return self._live or self._remembered

    async def stop(self) -> None:
        """End a look that is under way."""
        await end(self._looking)

    def _look_again(self) -> "asyncio.Task[None]":
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return self._looking

    async def _look(self) -> None:
        try:
            told = await self._workers.told()
        except LedgerError as error:
            log.debug("the manifests could not be read: %s", error)
            return
        self._live = _table(chain.from_iterable(told.live.values()))
        self._remembered = _table(told.remembered)
        self._at = self._monotonic()


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Expression:
    """A worker has checked it; whatever else stands in a manifest gives no key."""
    try:
        return compile_expression(expression)
    except ExpressionError:
        return Expression(locations=frozenset(), _read=lambda _: None)


def _table(entries: Iterable[HandlerEntry]) -> _Table:
    return {(entry.source, entry.type): entry for entry in entries}


def _pick(table: _Table, source: str, type_: str) -> HandlerEntry | None:
    return table.get((source, type_)) or table.get((source, "*"))
