"""A sample of what is refused: bounded, without secrets, and never in the way of the 401."""

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.ledger import LedgerError, Refusals
from tests.unit.ingest.application import (
    API_KEY,
    READ_KEY,
    SECRETS,
    House,
    assert_problem,
    hex_hmac,
    running,
    until,
)

KEY = "hookline:refused:github"
SPACED, TIGHT = b'{"id": 7}', b'{"id":7}'


async def refuse(house: House, body: bytes = SPACED, source: str = "github", **headers: str) -> None:
    given = {"X-Hub-Signature-256": "sha256=" + "0" * 64} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    answer = await house.http.post(f"/hooks/{source}", content=body, headers=given)
    assert_problem(answer, 401, "signature_invalid")


async def kept(house: House, number: int, key: str = KEY) -> list[bytes]:
    """The samples, once there are so many."""
    await until(lambda: house.redis.zcard(key) >= number)
    return list(house.redis.zrange(key, 0, -1))


async def ask(house: House, source: str = "github", *, key: str = API_KEY) -> httpx.Response:
    return await house.http.get(f"/sources/{source}/diagnose", headers={"Authorization": f"Bearer {key}"})


def test_a_refused_request_is_diagnosed_over_http() -> None:
    async def scenario() -> None:
        async with running() as house:
            await refuse(house, X_Hub_Signature_256="sha256=" + hex_hmac(SECRETS["github"], TIGHT))
            await kept(house, 1)

            answer = await ask(house)

        assert answer.status_code == 200
        (item,) = answer.json()["items"]
        assert item["because"] == "no secret of the source makes this signature"
        assert "without spaces" in item["holds"][0]
        assert "let it pass the bytes" in item["cures"][0]
        assert (item["size"], item["cut_short"]) == (len(SPACED), False)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("source", "key", "status", "code"),
    [
        ("github", "nobody's-key-at-all", 401, "unauthorized"),
        ("github", READ_KEY, 403, "scope_missing"),
        ("nobody", API_KEY, 404, "source_unknown"),
    ],
)
def test_only_who_may_operate_is_told(source: str, key: str, status: int, code: str) -> None:
    async def scenario() -> None:
        async with running() as house:
            assert_problem(await ask(house, source, key=key), status, code)

    asyncio.run(scenario())


def test_twenty_of_a_source_are_kept_for_an_hour() -> None:
    """A020."""

    async def scenario() -> None:
        async with running() as house:
            for _ in range(25):
                await refuse(house)
            first = {*await kept(house, 20)}
            await refuse(house, source="acme")
            assert await kept(house, 1, key="hookline:refused:acme"), "each source has its own allowance"

            for _ in range(2):
                house.clock.advance(timedelta(seconds=1))
                await refuse(house)
                await refuse(house)
            await until(lambda: len({*house.redis.zrange(KEY, 0, -1)} - first) == 2)

            assert house.redis.zcard(KEY) == 20
            assert 0 < house.redis.pttl(KEY) <= 3_600_000

    asyncio.run(scenario())


def test_nothing_that_was_sent_can_be_read_in_redis_and_no_secret_is_in_it_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts: list[str] = []

    def plainly(text: str, _: Any) -> str:
        texts.append(text)
        return "hidden"

    async def scenario() -> bytes:
        async with running() as house:
            secret = SECRETS["make"]
            await refuse(house, Cookie="a=b", Authorization=f"Bearer {secret}", X_Api_Key="somebody's")
            (found,) = await kept(house, 1)
        return found

    for word in (SPACED, b64encode(SPACED), b"sha256", SECRETS["make"].encode()):
        assert word not in asyncio.run(scenario())
    monkeypatch.setattr("ingest.refusals.hide", plainly)
    asyncio.run(scenario())
    (text,) = texts
    for word in (SECRETS["make"], "somebody's", "cookie"):
        for spelling in (word, b64encode(word.encode()).decode()):
            assert spelling not in text


@pytest.mark.parametrize(("size", "there"), [(15_000, True), (17_000, False)])
def test_a_larger_body_is_not_kept(size: int, there: bool) -> None:
    async def scenario() -> None:
        async with running() as house:
            await refuse(house, b"x" * size)
            (sample,) = await kept(house, 1)
            assert len(sample) < 40_000
            (item,) = (await ask(house)).json()["items"]
            assert ("too large" not in item["cures"][0]) is there
            assert item["size"] == size

    asyncio.run(scenario())


def test_larger_headers_are_not_kept() -> None:
    async def scenario() -> None:
        async with running() as house:
            await refuse(house, X_Long="x" * 9_000)
            await asyncio.sleep(0.01)
            assert house.redis.zcard(KEY) == 0

    asyncio.run(scenario())


def test_a_redis_that_fails_changes_nothing_for_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise LedgerError("gone")

    async def scenario() -> None:
        monkeypatch.setattr(Refusals, "keep", fail)
        async with running() as house:
            await refuse(house)
            assert house.redis.zcard(KEY) == 0

    asyncio.run(scenario())


def test_what_somebody_else_wrote_there_is_passed_over() -> None:
    async def scenario() -> None:
        async with running() as house:
            await refuse(house)
            (sample,) = await kept(house, 1)
            score = house.redis.zscore(KEY, sample)
            house.redis.zadd(KEY, {b"\xff": score, b"nonsense": score, sample[:-4]: score})

            assert len((await ask(house)).json()["items"]) == 1

    asyncio.run(scenario())
