"""Where the records with an id are."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from infra.ids import BATCH, CALLBACK, EVENT, JOB, REPLAY, is_id
from infra.ledger import LedgerError, Reading
from infra.shards import shard_in

_PATIENCE: Final = 2.0  # seconds that a shard may take
_KINDS: Final = (EVENT, JOB, CALLBACK, BATCH, REPLAY)
_REMEMBERED: Final = 10_000  # ids


class Homes:
    """Finds the shard that has an id.

    The ids of events that came in over several shards tell theirs. Others don't: those from when there was one server, and
    those of replays and of jobs that handlers made. So the shard that an id tells of is asked first, and then all the rest.
    No record ever moves: what was found is remembered, so that who polls costs one question, and not two.

    Args:
        readings: one a shard, by its number.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._known: OrderedDict[str, int] = OrderedDict()

    async def of(self, id_: str) -> int | None:
        """The number of the shard that has it; None where none has.

        Raises:
            LedgerError: one that may have it does not answer, and none of the others has it.
        """
        if (known := self._known.get(id_)) is not None:
            self._known.move_to_end(id_)
            return known
        if not any(is_id(id_, kind) for kind in _KINDS):
            return None
        home = await self._found(id_)
        if home is not None:
            self._known[id_] = home
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return home

    async def _found(self, id_: str) -> int | None:
        everywhere, told = range(len(self._readings)), shard_in(id_)
        first = [told] if told in everywhere else []
        failure: LedgerError | None = None
        for some in (first, [shard for shard in everywhere if shard not in first]):
            for shard, answer in zip(some, await self._ask(some, id_), strict=True):
                if answer is True:
                    return shard
                failure = answer if isinstance(answer, LedgerError) else failure
        if failure is not None:
            raise failure
        return None

    async def _ask(self, shards: Iterable[int], id_: str) -> list[bool | LedgerError]:
        return await asyncio.gather(*[self._has(shard, id_) for shard in shards])

    async def _has(self, shard: int, id_: str) -> bool | LedgerError:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._readings[shard].holds(id_)
        except LedgerError as error:
            return error
        except TimeoutError:
            return LedgerError(f"shard {shard} does not answer")
