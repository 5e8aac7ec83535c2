"""``POST /replays`` and what is asked of a bulk replay afterwards."""

import asyncio
from itertools import count
from typing import Any

import pytest

from infra.ids import JOB, REPLAY
from infra.ledger.bulk import ReplayPage
from infra.ledger.records import ErrorInfo, Failed, Finished, Outcome, Settlement
from tests.unit.ingest.application import (
    API_KEY,
    READ_KEY,
    SUBMIT_KEY,
    House,
    assert_problem,
    running,
)

SEQUENCES = count(1)
GAVE_UP = Failed(error=ErrorInfo(type="Reject", message="no such meeting"))


async def ask(house: House, path: str = "", content: Any = None, *, key: str = API_KEY) -> Any:
    return await house.http.post(f"/replays{path}", json=content, headers={"Authorization": f"Bearer {key}"})


async def read(house: House, path: str, *, key: str = API_KEY) -> Any:
    return await house.http.get(f"/replays{path}", headers={"Authorization": f"Bearer {key}"})


async def ended(house: House, number: int = 1, outcome: Outcome = GAVE_UP, **submission: Any) -> list[str]:
    """So many jobs that ended so."""
    jobs = []
    for _ in range(number):
        await house.submit({"type": "a", **submission})
        claim = await house.claim(sequence=next(SEQUENCES))
        await house.ledger.jobs.settle(
            "w1", [Settlement(claim=claim, outcome=outcome, handler="scenario:it")]
        )
        jobs.append(claim.job_id)
    return jobs


def test_a_dry_run_counts_and_changes_nothing() -> None:
    async def check() -> None:
        async with running() as house:
            await ended(house, 2)
            before = house.stored()
            answer = await ask(house, content={"filter": {"source": "api"}, "dry_run": True})
            assert (answer.status_code, answer.json()) == (
                200,
                {
                    "dry_run": True,
                    "count": 2,
                    "complete": True,
                    "retries": 2,
                    "replays": 0,
                    "already_succeeded": 0,
                    "warnings": [],
                },
            )
            assert house.stored() == before

    asyncio.run(check())


def test_a_dry_run_warns_of_what_succeeded() -> None:
    async def check() -> None:
        async with running() as house:
            await ended(house, 1, Finished(result="1"))
            told = (await ask(house, content={"filter": {"status": "finished"}, "dry_run": True})).json()
            assert (told["replays"], told["already_succeeded"], len(told["warnings"])) == (1, 1, 1)

    asyncio.run(check())


def test_the_dead_letters_are_meant_where_no_status_is_named() -> None:
    async def check() -> None:
        async with running() as house:
            (failed,) = await ended(house)
            (other,) = await ended(house, 1, Finished(result="1"))
            assert (await ask(house, content={"dry_run": True})).json()["count"] == 1
            both = {"ids": [failed, other], "dry_run": True}
            assert (await ask(house, content=both)).json()["count"] == 2
            assert (await ask(house, content=both | {"status": "finished"})).json()["count"] == 1

    asyncio.run(check())


def test_a_bulk_replay_runs_in_the_low_lane_and_is_shown() -> None:
    async def check() -> None:
        async with running() as house:
            (failed,) = await ended(house)
            answer = await ask(house, content={"filter": {"status": "failed", "source": "api"}, "rate": 10})
            told = answer.json()
            assert (answer.status_code, answer.headers["Location"]) == (202, f"/replays/{told['id']}")
            assert (told["status"], told["count"], told["queue"], told["rate"], told["by"]) == (
                "running",
                1,
                "low",
                10,
                "all",
            )
            assert told["filter"] == {"status": "failed", "source": "api"}
            page = await house.ledger.replays.proceed("w1", sequence=1)
            assert isinstance(page, ReplayPage)
            await house.ledger.replays.run(page)
            told = (await read(house, f"/{told['id']}", key=READ_KEY)).json()
            assert (told["begun"], told["percent"], told["ended_at"]) == (1, 100.0, None)
            job = await house.ledger.reading.job(failed)
            assert job is not None
            assert (job.status, job.queue, job.round) == ("queued", "low", 2)
            assert [one["id"] for one in (await read(house, "", key=READ_KEY)).json()["items"]] == [
                told["id"]
            ]

    asyncio.run(check())


def test_where_nobody_serves_a_low_lane_the_last_one_is_taken() -> None:
    async def check() -> None:
        async with running(settings={"HOOKLINE_QUEUES": "urgent,rest"}) as house:
            assert (await ask(house, content={})).json()["queue"] == "rest"

    asyncio.run(check())


def test_one_that_runs_is_canceled_once() -> None:
    async def check() -> None:
        async with running() as house:
            await ended(house)
            told = (await ask(house, content={})).json()
            answer = await ask(house, f"/{told['id']}/cancel")
            assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (
                200,
                "stopped",
                "by all",
            )
            assert answer.json()["ended_at"] is not None
            assert_problem(await ask(house, f"/{told['id']}/cancel"), 409, "replay_ended")

    asyncio.run(check())


@pytest.mark.parametrize("replay_id", [REPLAY + "0" * 26, "nonsense", JOB + "0" * 26, "%00"])
def test_what_is_not_there_is_404(replay_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await read(house, f"/{replay_id}"), 404, "not_found")
            assert_problem(await ask(house, f"/{replay_id}/cancel"), 404, "not_found")

    asyncio.run(check())


@pytest.mark.parametrize("key", [READ_KEY, SUBMIT_KEY])
def test_a_key_needs_the_scopes(key: str) -> None:
    async def check() -> None:
        async with running() as house:
            told = (await ask(house, content={})).json()
            assert_problem(await ask(house, content={}, key=key), 403, "scope_missing")
            assert_problem(await ask(house, f"/{told['id']}/cancel", key=key), 403, "scope_missing")
            for path in ("", f"/{told['id']}"):
                answer = await read(house, path, key=key)
                assert answer.status_code == (200 if key == READ_KEY else 403)
                assert_problem(await read(house, path, key="nobody's"), 401, "unauthorized")

    asyncio.run(check())


@pytest.mark.parametrize(
    "content",
    [
        {"filter": {"status": "queued"}},
        {"filter": {"status": "lost"}},
        {"filter": {"stats": "failed"}},
        {"filter": []},
        {"filter": {"source": 7}},
        {"filter": {"since": "yesterday"}},
        {"filter": {"source": ""}},
        {"stats": "failed"},
        {"dry_run": "yes"},
        {"rate": 0},
        {"rate": 1001},
        {"rate": True},
        {"rate": "50"},
        {"max_error_share": 1.5},
        {"max_error_share": "0.2"},
        {"max_error_share": True},
        {"ids": []},
        {"ids": ["evt_1"]},
        {"ids": [7]},
        {"ids": "job_1"},
        {"ids": [JOB + "0" * 26], "source": "api"},
        [],
        "all",
    ],
    ids=str,
)
def test_what_can_not_be_carried_out_is_422_and_starts_nothing(content: Any) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await ask(house, content=content), 422, "invalid")
            assert (await read(house, "")).json() == {"items": []}

    asyncio.run(check())
