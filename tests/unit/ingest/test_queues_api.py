"""``GET /queues``."""

import asyncio
from typing import Any

import pytest

from tests.unit.ingest.application import READ_KEY, SUBMIT_KEY, House, assert_problem, running


async def get(house: House, key: str = READ_KEY) -> Any:
    return await house.http.get("/queues", headers={"Authorization": f"Bearer {key}"})


def test_queues_tell_what_waits_and_workers_what_they_do() -> None:
    async def check() -> None:
        async with running() as house:
            await house.submit({"type": "a"})
            await house.tell_handlers(("api", "*"))
            await house.claim()
            await house.submit([{"type": "a", "ordering_key": "k"}, {"type": "a", "ordering_key": "k"}])
            await house.submit({"type": "a", "queue": "low", "run_in": "1h"})
            told = (await get(house)).json()
            default, low = told["queues"]
            assert default.pop("oldest_seconds") >= 0
            assert default == {
                "name": "default", "queued": 2, "scheduled": 0, "started": 1, "failed": 0, "paused": False,
            }  # fmt: skip
            assert (low["name"], low["scheduled"], low["oldest_seconds"]) == ("low", 1, 0)
            (worker,) = told["workers"]
            assert worker.pop("last_seen_at") is not None
            assert worker.pop("started_at") is not None
            assert worker == {
                "name": "w1", "host": "", "queues": [], "busy": 1, "slots": None, "version": "", "draining": False,
            }  # fmt: skip
            assert told["pauses"] == []

    asyncio.run(check())


def test_an_empty_house_has_none() -> None:
    async def check() -> None:
        async with running() as house:
            assert (await get(house)).json() == {"queues": [], "workers": [], "pauses": []}

    asyncio.run(check())


@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 200), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_queues_need_the_scope_read(key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            assert (await get(house, key)).status_code == status

    asyncio.run(check())


def test_queues_are_only_read() -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await house.http.post("/queues"), 405, "method_not_allowed")

    asyncio.run(check())
