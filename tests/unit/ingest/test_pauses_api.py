"""Queues and handlers are paused and resumed over the API, and workers drained."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.unit.ingest.application import API_KEY, READ_KEY, House, assert_problem, running


async def ask(house: House, path: str, key: str = API_KEY) -> httpx.Response:
    return await house.http.post(path, headers={"Authorization": f"Bearer {key}"})


async def standing(house: House) -> Any:
    return (await house.http.get("/queues", headers={"Authorization": f"Bearer {READ_KEY}"})).json()


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [("/queues/default", "queue", "default"), ("/handlers/scenario:it", "handler", "scenario:it")],
)
def test_it_is_paused_told_of_and_resumed(path: str, kind: str, name: str) -> None:
    async def check() -> None:
        async with running() as house:
            await house.tell_handlers(("api", "*"))
            for changed in (True, False):
                told = (await ask(house, f"{path}/pause")).json()
                assert told == {"name": name, "paused": True, "changed": changed}
            (pause,) = (await standing(house))["pauses"]
            assert pause.pop("paused_at") is not None
            assert pause == {"kind": kind, "name": name, "by": "all (API)"}
            metrics = await house.http.get("/metrics", headers={"Authorization": f"Bearer {READ_KEY}"})
            assert f'hookline_paused{{kind="{kind}",name="{name}"}} 1.0' in metrics.text
            for changed in (True, False):
                told = (await ask(house, f"{path}/resume")).json()
                assert told == {"name": name, "paused": False, "changed": changed}
            assert (await standing(house))["pauses"] == []
            deeds = await house.ledger.desk.deeds()
            assert [(deed.by, deed.act, deed.on) for deed in deeds[-2:]] == [
                ("all (API)", f"pause {kind}", name)
            ] * 2

    asyncio.run(check())


def test_a_worker_is_drained_once() -> None:
    async def check() -> None:
        async with running() as house:
            await house.tell_handlers(("api", "*"))
            for changed in (True, False):
                told = (await ask(house, "/workers/w1/drain")).json()
                assert told == {"name": "w1", "draining": True, "changed": changed}
            (worker,) = (await standing(house))["workers"]
            assert worker["draining"]

    asyncio.run(check())


PATHS = (
    "/queues/nobody/pause",
    "/queues/nobody/resume",
    "/handlers/no:body/pause",
    "/handlers/no:body/resume",
    "/workers/nobody/drain",
)


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_there_is_404_and_nothing_changes(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            await house.tell_handlers(("api", "*"))
            assert_problem(await ask(house, path), 404, "not_found")
            assert (await standing(house))["pauses"] == []

    asyncio.run(check())


@pytest.mark.parametrize("path", PATHS)
def test_only_who_may_operate_steers(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert (await ask(house, path, READ_KEY)).status_code == 403
            assert (await house.http.post(path)).status_code == 401
            assert await house.ledger.desk.deeds() == []

    asyncio.run(check())
