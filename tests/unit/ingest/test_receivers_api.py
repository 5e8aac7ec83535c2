"""``GET /receivers``, and ``POST /receivers/{id}/pause`` and ``/resume``."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from infra.ledger.receivers import receiver_id
from tests.unit.ingest.application import API_KEY, READ_KEY, SUBMIT_KEY, House, assert_problem, running

URL = "https://receiver.example.com/inbox"
ID = receiver_id(URL)


def on_house(scenario: Callable[[House], Awaitable[None]]) -> None:
    async def running_it() -> None:
        async with running() as house:
            await scenario(house)

    asyncio.run(running_it())


async def get(house: House, key: str = READ_KEY, **query: Any) -> Any:
    return await house.http.get("/receivers", params=query, headers={"Authorization": f"Bearer {key}"})


async def post(house: House, receiver: str, act: str, key: str = API_KEY) -> Any:
    return await house.http.post(f"/receivers/{receiver}/{act}", headers={"Authorization": f"Bearer {key}"})


async def withheld(house: House) -> None:
    """A callback that became a dead letter because its receiver is paused."""
    minute = timedelta(minutes=1)
    await house.submit({"type": "a", "callback_url": f"{URL}?job=1"})
    (claim,) = await house.ledger.jobs.claim("w1", sequence=1, slots=1, queues=["default"], lease=minute)
    await house.finish(claim)
    taken, _ = await house.ledger.callbacks.due("s", sequence=1, most=1, hold=minute)
    assert taken == []


def test_receivers_are_listed_with_how_they_stand() -> None:
    async def scenario(house: House) -> None:
        assert (await get(house)).json() == {"items": []}
        await house.ledger.pausing.pause(URL)
        (item,) = (await get(house, status="paused")).json()["items"]
        assert (item["id"], item["url"], item["status"], item["reason"]) == (ID, URL, "paused", "operator")
        assert item["paused_at"] is not None
        assert (await get(house, status="active")).json() == {"items": []}

    on_house(scenario)


@pytest.mark.parametrize(
    "query", [{"status": "tired"}, {"limit": "0"}, {"limit": "1001"}, {"state": "paused"}]
)
def test_a_filter_that_is_none_is_refused(query: dict[str, str]) -> None:
    async def scenario(house: House) -> None:
        assert_problem(await get(house, **query), 422, "invalid")

    on_house(scenario)


def test_a_receiver_is_paused_and_resumed_with_what_was_withheld() -> None:
    async def scenario(house: House) -> None:
        await house.ledger.pausing.pause(URL)
        await withheld(house)
        resumed = (await post(house, ID, "resume")).json()
        assert (resumed["status"], resumed["redelivered"], resumed["paused_at"]) == ("active", 1, None)
        paused = (await post(house, ID, "pause")).json()
        assert (paused["status"], paused["reason"]) == ("paused", "operator")
        assert (await post(house, ID, "pause")).json() == paused

    on_house(scenario)


@pytest.mark.parametrize("receiver", [receiver_id("https://unknown.example"), "rcv_1", "cb_1", "x"])
@pytest.mark.parametrize("act", ["pause", "resume"])
def test_one_that_is_not_known_is_not_found(receiver: str, act: str) -> None:
    async def scenario(house: House) -> None:
        assert_problem(await post(house, receiver, act), 404, "not_found")

    on_house(scenario)


def test_who_may_look_may_not_steer() -> None:
    async def scenario(house: House) -> None:
        await house.ledger.pausing.pause(URL)
        assert (await get(house)).status_code == 200
        assert_problem(await get(house, SUBMIT_KEY), 403, "scope_missing")
        assert_problem(await get(house, "no-key"), 401, "unauthorized")
        assert_problem(await post(house, ID, "resume", READ_KEY), 403, "scope_missing")
        assert (await house.http.get(f"/receivers/{ID}/resume")).status_code == 405

    on_house(scenario)
