"""Rates of sources, at the door: who passes, who hears 429, and how often Redis is asked."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, cast

import pytest

from infra.ledger import Admissions, LedgerError
from infra.ledger.admissions import Places
from infra.rates import Rate
from infra.settings import Settings, SettingsError
from ingest.problems import Problem
from ingest.sources import load_sources
from ingest.throttle import KEPT_SECONDS, PATIENCE, Throttle
from tests.unit.ingest.application import SOURCES, House, assert_problem, running

HUNDRED = Rate(100, timedelta(seconds=1))


class Redis:
    """Stands for the ledger's admissions: grants while there are places."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.asked: list[int] = []
        self.wait = timedelta(seconds=3)
        self.trouble: Exception | None = None
        self.silent = False

    async def admit(self, _source: str, _rate: Rate, *, wanted: int) -> Places:
        self.asked.append(wanted)
        await asyncio.sleep(60 if self.silent else 0)
        if self.trouble is not None:
            raise self.trouble
        granted = min(wanted, self.places)
        self.places -= granted
        return Places(granted, self.wait if granted < wanted else timedelta(0))


class Door:
    """A throttle with a clock that stands still until it is moved."""

    def __init__(self, redis: Redis) -> None:
        self.now = 1000.0
        self._throttle = Throttle(cast("Admissions", redis), monotonic=lambda: self.now)

    async def passes(self, *, source: str = "acme", rate: Rate = HUNDRED) -> int:
        """0: it passes; else the seconds to wait."""
        try:
            await self._throttle.admit(source, rate)
        except Problem as problem:
            return int(problem.headers["Retry-After"])
        return 0


def at_the_door(places: int, check: Callable[[Door, Redis], Coroutine[Any, Any, None]]) -> None:
    redis = Redis(places)
    asyncio.run(check(Door(redis), redis))


def test_redis_is_asked_once_for_a_tenth_of_a_second() -> None:
    async def check(door: Door, redis: Redis) -> None:
        assert [await door.passes() for _ in range(25)] == [0] * 25
        assert redis.asked == [10, 10, 10]

    at_the_door(1000, check)


def test_requests_that_wait_together_ask_once() -> None:
    async def check(door: Door, redis: Redis) -> None:
        assert await asyncio.gather(*[door.passes() for _ in range(64)]) == [0] * 64
        assert redis.asked == [64]

    at_the_door(1000, check)


def test_whoever_finds_no_place_hears_when_and_nobody_asks_until_then() -> None:
    async def check(door: Door, redis: Redis) -> None:
        assert [await door.passes() for _ in range(6)] == [0, 0, 0, 0, 3, 3]
        door.now += 1.5
        assert await door.passes() == 2
        assert redis.asked == [10]
        redis.places = 5
        door.now += 1.5
        assert await door.passes() == 0

    at_the_door(4, check)


def test_of_those_that_wait_together_as_many_pass_as_there_are_places() -> None:
    async def check(door: Door, _: Redis) -> None:
        assert sorted(await asyncio.gather(*[door.passes() for _ in range(30)])) == [0] * 7 + [3] * 23

    at_the_door(7, check)


def test_retry_after_is_a_second_at_the_least() -> None:
    async def check(door: Door, redis: Redis) -> None:
        redis.wait = timedelta(milliseconds=1)
        assert await door.passes() == 1

    at_the_door(0, check)


def test_what_is_left_of_a_block_is_given_up_after_a_while() -> None:
    async def check(door: Door, redis: Redis) -> None:
        await door.passes()
        door.now += KEPT_SECONDS
        await door.passes()
        assert redis.asked == [10, 10]

    at_the_door(1000, check)


def test_sources_do_not_hold_each_other_up() -> None:
    async def check(door: Door, redis: Redis) -> None:
        assert await door.passes(source="one") == 3
        redis.places = 10
        assert await door.passes(source="other") == 0

    at_the_door(0, check)


def test_where_redis_fails_or_is_slow_the_request_passes() -> None:
    async def check(door: Door, redis: Redis) -> None:
        redis.trouble = LedgerError("away")
        assert await door.passes() == 0
        redis.trouble, redis.silent = None, True
        async with asyncio.timeout(PATIENCE + 5):
            assert await door.passes() == 0

    at_the_door(0, check)


def test_who_goes_away_does_not_take_the_answer_from_the_others() -> None:
    async def check(door: Door, redis: Redis) -> None:
        leaving, staying = (asyncio.create_task(door.passes()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 0
        assert redis.asked == [10]

    at_the_door(1000, check)


# -- over HTTP ---------------------------------------------------------------------------------------------------------

RATED = SOURCES.replace("[github]", '[github]\nrate = "2/h"').replace("[billing]", '[billing]\nrate = "2/h"')


def over_http(check: Callable[[House], Coroutine[Any, Any, None]], sources: str = RATED) -> None:
    async def scenario() -> None:
        async with running(sources=sources) as house:
            await check(house)

    asyncio.run(scenario())


def test_the_third_of_two_an_hour_is_a_429_that_says_when() -> None:
    async def check(house: House) -> None:
        for number in range(2):
            assert (
                await house.post("github", {"n": number}, X_GitHub_Delivery=str(number))
            ).status_code == 202
        answer = await house.post("github", {"n": 3}, X_GitHub_Delivery="3")
        assert_problem(answer, 429, "rate_spent")
        assert 1700 <= int(answer.headers["Retry-After"]) <= 1800
        assert len((await house.ledger.lists.jobs()).items) == 2

    over_http(check)


def test_a_stranger_spends_nothing() -> None:
    async def check(house: House) -> None:
        for _ in range(5):
            answer = await house.http.post(
                "/hooks/github", content=b"{}", headers={"X-Hub-Signature-256": "sha256=00"}
            )
            assert_problem(answer, 401, "signature_invalid")
        assert (await house.post("github", {"n": 1}, X_GitHub_Delivery="1")).status_code == 202

    over_http(check)


def test_a_duplicate_spends_as_much_as_the_first() -> None:
    async def check(house: House) -> None:
        answers = [await house.post("github", {"n": 1}, X_GitHub_Delivery="1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 200, 429]

    over_http(check)


def test_a_handshake_spends_nothing() -> None:
    async def check(house: House) -> None:
        for _ in range(5):
            answer = await house.http.get("/hooks/dropbox?challenge=abc")
            assert (answer.status_code, answer.text) == (200, "abc")

    over_http(check, sources=RATED + '[dropbox]\nrate = "1/h"\n')


@pytest.mark.parametrize("rate", ['"fast"', '"100"', "100", '"0/s"'])
def test_a_rate_that_is_none_stops_the_start(rate: str) -> None:
    with pytest.raises(SettingsError, match=r"sources.toml \[acme\] rate: needs"):
        load_sources(
            Settings.load({}), {}, read_file=lambda _: f'[acme]\nprovider = "github"\nrate = {rate}\n'
        )
