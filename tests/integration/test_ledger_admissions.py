"""The rates of sources: over fakeredis, Valkey and Redis."""

from datetime import timedelta
from typing import Any, cast

import pytest

from infra.ledger import keys
from infra.rates import Rate
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, on

FIVE = Rate(5, timedelta(hours=1))
EACH = timedelta(minutes=12)


async def take(
    bench: Bench, wanted: int, *, source: str = "acme", rate: Rate = FIVE
) -> tuple[int, timedelta]:
    return await bench.ledger.admissions.admit(source, rate, wanted=wanted)


async def pass_time(bench: Bench, by: timedelta) -> None:
    """What is kept moves to the past, which is what the time does to it."""
    client = cast("Any", bench.client)
    kept = float(await client.get(keys.RATE + "acme"))
    await client.set(keys.RATE + "acme", str(kept - by.total_seconds() * 1000), keepttl=True)


def test_as_many_pass_as_the_rate_says_and_the_next_one_hears_when(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await take(bench, 3) == (3, timedelta(0))
        granted, wait = await take(bench, 4)
        assert granted == 2
        assert EACH - timedelta(seconds=10) < wait <= EACH
        granted, again = await take(bench, 1)
        assert (granted, again <= wait) == (0, True)

    on(ledger_store, scenario)


@pytest.mark.parametrize("count", [1, 3, 7, 49, 97, 1000, 999_999])
def test_no_place_is_lost_to_rounding(count: int, fake_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for period in (timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)):
            await bench.client.delete(keys.RATE + "acme")
            granted, _ = await take(bench, 1_000_000, rate=Rate(count, period))
            assert granted == count

    on(fake_store, scenario)


def test_places_come_back_one_by_one_and_never_more_than_all(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await take(bench, 5)
        await pass_time(bench, EACH + timedelta(seconds=1))
        assert (await take(bench, 5))[0] == 1
        await pass_time(bench, 100 * EACH)
        assert (await take(bench, 9))[0] == 5

    on(ledger_store, scenario)


def test_a_source_spends_its_own(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await take(bench, 5)
        assert (await take(bench, 5, source="other"))[0] == 5

    on(ledger_store, scenario)


def test_what_is_kept_goes_by_itself_when_all_is_free_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await take(bench, 1)
        left = timedelta(milliseconds=await bench.client.pttl(keys.RATE + "acme"))
        assert EACH - timedelta(seconds=10) < left <= EACH

    on(ledger_store, scenario)


@pytest.mark.parametrize("kept", [b"", b"nan", b"inf", b"-inf", b"\xff", b"9" * 400, b"0x10"])
def test_garbage_holds_nobody_up_for_longer_than_the_period(kept: bytes, ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await cast("Any", bench.client).set(keys.RATE + "acme", kept)
        granted, wait = await take(bench, 1)
        assert granted == 1 or wait <= EACH

    on(ledger_store, scenario)


def test_a_rate_that_was_made_smaller_holds_at_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await take(bench, 5)
        granted, wait = await take(bench, 1, rate=Rate(1, timedelta(seconds=10)))
        assert granted == 0
        assert wait <= timedelta(seconds=10)

    on(ledger_store, scenario)
