"""Where the records with an id are: who is asked, in which order, and who is asked no more."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from infra.ids import JOB, new_suffix
from infra.ledger import LedgerError, Reading
from infra.shards import in_shard
from ingest.shards import homes as homes_module
from ingest.shards.homes import Homes

OLD = in_shard(JOB + new_suffix(), 31)  # it tells of none that there is
OF_THE_SECOND = in_shard(OLD, 1)


class Shard:
    """Has some ids, or does not answer; notes what it is asked for."""

    def __init__(self, *ids: str, dead: bool = False) -> None:
        self.asked: list[str] = []
        self.dead = dead
        self._ids = ids

    async def holds(self, id_: str) -> bool:
        self.asked.append(id_)
        if self.dead:
            raise LedgerError("it is away")
        return id_ in self._ids


def over(shards: Sequence[Shard]) -> Homes:
    return Homes(cast("list[Reading]", shards))


def homes_of(homes: Homes, *ids: str) -> list[int | None]:
    async def ask() -> list[Any]:
        return [await homes.of(id_) for id_ in ids]

    return asyncio.run(ask())


def test_the_shard_that_an_id_tells_of_is_the_only_one_that_is_asked() -> None:
    first, second = shards = [Shard(), Shard(OF_THE_SECOND)]
    assert homes_of(over(shards), OF_THE_SECOND) == [1]
    assert (first.asked, second.asked) == ([], [OF_THE_SECOND])


def test_an_id_that_tells_none_is_looked_for_everywhere() -> None:
    shards = [Shard(), Shard(), Shard(OLD)]
    assert homes_of(over(shards), OLD) == [2]
    assert [shard.asked for shard in shards] == [[OLD]] * 3


def test_what_was_found_is_not_asked_for_again() -> None:
    first, second = shards = [Shard(OLD), Shard(OF_THE_SECOND)]
    homes = over(shards)
    assert homes_of(homes, *[OF_THE_SECOND, OLD] * 3) == [1, 0] * 3
    assert (first.asked, second.asked) == ([OLD], [OF_THE_SECOND, OLD])


def test_what_was_not_found_may_come_and_is_asked_for_again() -> None:
    first, second = shards = [Shard(), Shard()]
    assert homes_of(over(shards), OLD, OLD) == [None, None]
    assert (first.asked, second.asked) == ([OLD, OLD], [OLD, OLD])


def test_only_so_many_are_remembered_those_that_were_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes_module, "_REMEMBERED", 2)
    a, b, c = (JOB + new_suffix() for _ in range(3))
    shard = Shard(a, b, c)
    homes_of(over([shard]), a, b, a, c, a, b)
    assert shard.asked == [a, b, c, b]


def test_a_shard_that_does_not_answer_is_a_fault_only_where_nobody_else_has_it() -> None:
    shards = [Shard(dead=True), Shard(OLD)]
    homes = over(shards)
    assert homes_of(homes, OLD) == [1]
    with pytest.raises(LedgerError):
        homes_of(homes, JOB + new_suffix())


@pytest.mark.parametrize("id_", ["", "nonsense", "job_", "evt_../x"])
def test_nobody_is_asked_for_what_is_no_id(id_: str) -> None:
    shard = Shard()
    assert homes_of(over([shard]), id_) == [None]
    assert shard.asked == []
