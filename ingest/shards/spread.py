"""Recording over several shards: each event where the hash of what it is known by says."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from infra.expressions import Document
from infra.ledger import LedgerError, Reading
from infra.ledger.records import Arrival, Receipt
from infra.routes import API_SOURCE
from infra.shards import in_shard, shard_of
from ingest.recorder import Recorder
from ingest.sources import Sources

log = logging.getLogger(__name__)

_MOST_WARNED: Final = 1000
_PATIENCE: Final = 2.0  # seconds that a shard may take to say what it knows


class Spread:
    """The recorders of all shards as one. Each has lanes and patience of its own: a dead shard costs its own events alone.

    Args:
        recorders: one a shard, by its number. Whoever made them starts and stops them.
        sources: what they say of where their events belong.
        readings: of the shards.
        before: how many there were until lately; 0: as many.
    """

    def __init__(
        self,
        recorders: Sequence[Recorder],
        sources: Sources,
        *,
        readings: Sequence[Reading] = (),
        before: int = 0,
    ) -> None:
        self._recorders = recorders
        self._sources = sources
        self._readings = readings
        self._before = before
        self._warned: set[tuple[str, str]] = set()

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Record the events of one request, those of each shard in one step.

        Raises:
            LedgerError: a shard did not confirm. What others have taken stays taken: sent again, it is a duplicate.
        """
        places: defaultdict[int, list[int]] = defaultdict(list)
        words = [self._words(arrival) for arrival in arrivals]
        shards = [shard_of(one, len(self._recorders)) for one in words]
        if self._before:
            shards = await asyncio.gather(*map(self._first_of, arrivals, words, shards))
        for place, shard in enumerate(shards):
            places[shard].append(place)
        outcomes = await asyncio.gather(
            *[
                self._recorders[shard].record([_spelt(arrivals[place], shard) for place in own])
                for shard, own in places.items()
            ],
            return_exceptions=True,
        )
        receipts: dict[int, Receipt] = {}
        for own, outcome in zip(places.values(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            receipts |= zip(own, outcome, strict=True)
        return [receipts[place] for place in range(len(arrivals))]

    async def _first_of(self, arrival: Arrival, words: str, shard: int) -> int:
        """Where the first one with its id is, which may have come when there were fewer shards; else where it belongs now.

        Raises:
            LedgerError: nobody can say.
        """
        former = shard_of(words, self._before)
        if former == shard or arrival.provider_event_id is None:
            return shard
        try:
            async with asyncio.timeout(_PATIENCE):
                known = await self._readings[former].knows(arrival.source, arrival.provider_event_id)
        except TimeoutError as error:
            raise LedgerError(f"shard {former} does not answer") from error
        return former if known else shard

    def _words(self, arrival: Arrival) -> str:
        """What an event is spread by: what keeps it together with others, else what it is known by, else chance.

        No source's name is empty: what begins with a space can't be taken for an id of some source.
        """
        together = self._together(arrival)
        if together is not None:
            return f" {together}"
        if arrival.provider_event_id is not None:
            return f"{arrival.source} {arrival.provider_event_id}"
        return arrival.event_id

    def _together(self, arrival: Arrival) -> str | None:
        if arrival.source == API_SOURCE:
            return arrival.ordering_key
        source = self._sources.get(arrival.source)
        if source is not None and source.spread_by is not None:
            return source.spread_by.evaluate(Document(headers=arrival.headers, body=arrival.body))
        if arrival.ordering_key is not None:
            self._warn_of_order(arrival)
        return None

    def _warn_of_order(self, arrival: Arrival) -> None:
        kind = arrival.source, arrival.type
        if kind not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(kind)
            log.warning("source %s has no spread_by: the order of its %s holds within each shard only", *kind)


def _spelt(arrival: Arrival, shard: int) -> Arrival:
    """With ids that tell their shard."""
    return replace(
        arrival, event_id=in_shard(arrival.event_id, shard), job_id=in_shard(arrival.job_id, shard)
    )
