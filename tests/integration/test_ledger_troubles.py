"""Failures by their place, troubles with a beginning and an end, and what is usual."""

import asyncio
from datetime import timedelta

import pytest

from infra.ledger import keys, troubles
from infra.ledger.troubles import Failures, Place, Trouble
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, arrival, on

PLACE = Place(handler="taking:pushed", type="KeyError", place="taking.py:3")
ELSEWHERE = Place(handler="taking:pushed", type="KeyError", place="taking.py:9")
NO_WORKER = {"what": "no worker is alive", "why": "waits"}


def brief(found: list[Trouble]) -> list[tuple[str, bool, bool]]:
    return [(one.key, one.told, one.ended_at is not None) for one in found]


def test_failures_of_one_place_are_one_group(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        ledger = bench.ledger.troubles
        assert await ledger.groups() == []
        await ledger.note({PLACE: Failures("'a'", "job_1", attempts=3, given_up=0)})
        (group,) = await ledger.groups()
        assert (group.attempts, group.given_up, group.given_up_at) == (3, 0, None)
        await ledger.note({PLACE: Failures("'\ud800'", "job_2", attempts=1, given_up=1)})
        await ledger.note({ELSEWHERE: Failures("'c'", "job_3", attempts=1)})
        groups = {one.place: one for one in await ledger.groups()}
        first = groups["taking.py:3"]
        assert (first.handler, first.type, first.message, first.job_id) == (
            "taking:pushed",
            "KeyError",
            "'\\ud800'",
            "job_2",
        )
        assert (first.attempts, first.given_up, first.first) == (4, 1, group.first)
        assert first.given_up_at == first.last >= group.last
        assert groups["taking.py:9"].attempts == 1
        await ledger.note({})

    on(ledger_store, scenario)


def test_there_are_so_many_groups_and_the_quietest_goes(
    ledger_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "MOST_GROUPS", 2)
    third = Place(handler="taking:pushed", type="ValueError", place="")

    async def scenario(bench: Bench) -> None:
        for place in (PLACE, ELSEWHERE, PLACE, third):
            await bench.ledger.troubles.note({place: Failures(attempts=1)})
            await asyncio.sleep(0.002)  # moments are milliseconds
        assert {one.id for one in await bench.ledger.troubles.groups()} == {PLACE.id, third.id}

    on(ledger_store, scenario)


def test_a_trouble_has_one_beginning_and_one_end(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        ledger = bench.ledger.troubles
        (began,) = await ledger.compare({"no-worker": NO_WORKER})
        assert (began.key, began.told, began.ended_at, began.facts) == ("no-worker", False, None, NO_WORKER)
        (again,) = await ledger.compare({"no-worker": NO_WORKER})
        assert again == began  # nobody was told: it is to be told still
        await ledger.told(again)
        (told,) = await ledger.compare({"no-worker": NO_WORKER | {"why": "still waits"}})
        assert (told.id, told.told, told.facts["why"]) == (began.id, True, "still waits")
        assert await ledger.open() == [told]
        (ended,) = await ledger.compare({})
        assert (ended.id, ended.began_at, ended.ended_at is not None) == (began.id, began.began_at, True)
        assert await ledger.open() == []
        await ledger.told(ended)
        await ledger.told(ended)
        assert await ledger.compare({}) == []
        (anew,) = await ledger.compare({"no-worker": NO_WORKER})
        assert anew.id != began.id

    on(ledger_store, scenario)


def test_a_trouble_that_nobody_was_told_of_ends_silently(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.troubles.compare({"no-worker": NO_WORKER})
        assert await bench.ledger.troubles.compare({}) == []

    on(ledger_store, scenario)


def test_what_comes_back_before_its_end_was_told_goes_on(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        ledger = bench.ledger.troubles
        (began,) = await ledger.compare({"no-worker": NO_WORKER})
        await ledger.told(began)
        (ended,) = await ledger.compare({})
        (back,) = await ledger.compare({"no-worker": NO_WORKER})
        assert (back.id, back.told, back.ended_at) == (began.id, True, None)
        await ledger.told(ended)  # too late: it lasts
        assert brief(await ledger.open()) == [("no-worker", True, False)]

    on(ledger_store, scenario)


def test_an_end_that_nobody_takes_is_kept_for_a_day(
    ledger_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench) -> None:
        ledger = bench.ledger.troubles
        (began,) = await ledger.compare({"no-worker": NO_WORKER})
        await ledger.told(began)
        assert brief(await ledger.compare({})) == [("no-worker", True, True)]
        assert brief(await ledger.compare({})) == [("no-worker", True, True)]
        monkeypatch.setattr(troubles, "_END_WAITS", timedelta(milliseconds=-10))
        assert await ledger.compare({}) == []

    on(ledger_store, scenario)


def test_there_are_so_many_troubles_at_the_most(ledger_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "MOST_TROUBLES", 2)

    async def scenario(bench: Bench) -> None:
        found = await bench.ledger.troubles.compare({name: {"what": name} for name in "abc"})
        assert {one.key for one in found} == {"a", "b"}
        assert {one.key for one in await bench.ledger.troubles.compare({"a": {}, "c": {}})} == {"a"}
        assert {one.key for one in await bench.ledger.troubles.compare({"a": {}, "c": {}})} == {"a", "c"}

    on(ledger_store, scenario)


def test_a_turn_is_one_workers(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        hour = timedelta(hours=1)
        turns = [
            await bench.ledger.troubles.take_turn("watch", f"w{number}", length=hour) for number in range(3)
        ]
        assert turns == [True, False, False]
        assert await bench.ledger.troubles.take_turn("files", "w2", length=hour)
        await bench.client.delete(f"{keys.TURN}watch")
        await bench.client.rpush(f"{keys.TURN}watch", "another's")
        assert await bench.ledger.troubles.take_turn("watch", "w2", length=hour)

    on(ledger_store, scenario)


def test_what_came_is_counted_by_the_hour(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(3):
            await bench.accept(arrival(source="github", type="push"))
        assert await bench.ledger.troubles.kinds() == ["github:push"]
        hour = (await bench.ledger.troubles.now()).replace(minute=0, second=0, microsecond=0)
        hours = [hour + timedelta(hours=1), hour, hour - timedelta(hours=1)]
        counts = await bench.ledger.troubles.arrivals("github:push", hours=hours)
        assert sum(counts) == 3
        assert counts[2] == 0

    on(ledger_store, scenario)


def test_what_is_remembered_replaces_what_was(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.troubles.remember({"queue:high": [3, 2, 1], "kind:a:b": []})
        assert await bench.ledger.troubles.history() == {"queue:high": [3, 2, 1], "kind:a:b": []}
        await bench.ledger.troubles.remember({"queue:low": [1]})
        await bench.client.hset(keys.HISTORY, "mangled", b"\xff 7 x")
        assert await bench.ledger.troubles.history() == {"queue:low": [1], "mangled": [7]}
        await bench.ledger.troubles.remember({})
        assert await bench.ledger.troubles.history() == {}

    on(ledger_store, scenario)


def test_records_that_are_mangled_read_as_none(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.client.hset(
            keys.FAILURES, mapping={"a": b"\xff", "b": "1 2 3 4 5 job_1 {", "c": "1 2 3 4 5 j {}"}
        )
        await bench.client.hset(keys.TROUBLES, mapping={"a": b"\xff", "b": "id 1 0 1 [1]"})
        assert (await bench.ledger.troubles.groups(), await bench.ledger.troubles.open()) == ([], [])
        assert [one.key for one in await bench.ledger.troubles.compare({"a": {"what": "x"}})] == ["a"]

    on(ledger_store, scenario)
