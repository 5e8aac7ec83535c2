"""``POST /jobs/cancel``: many at once, or how many those would be."""

import asyncio
from typing import Any

import pytest

from infra.ledger import canceling
from tests.unit.ingest.application import API_KEY, READ_KEY, SUBMIT_KEY, House, assert_problem, running


async def cancel(house: House, wanted: Any, key: str = API_KEY) -> Any:
    return await house.http.post("/jobs/cancel", json=wanted, headers={"Authorization": f"Bearer {key}"})


async def submitted(house: House, **words: Any) -> str:
    return str((await house.submit({"type": "a", **words})).json()["job_id"])


async def statuses(house: House, *job_ids: str) -> list[str]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return [(await house.http.get(f"/jobs/{one}", headers=headers)).json()["status"] for one in job_ids]


async def one_of_each(house: House) -> dict[str, str]:
    """Jobs with the tag ``org-7`` in every state, by that; and ``other``, which waits and has another tag."""
    found = {}
    found["finished"] = await submitted(house, tag="org-7")
    await house.finish(await house.claim())
    found["started"] = await submitted(house, tag="org-7")
    await house.claim(sequence=2)
    found["queued"] = await submitted(house, tag="org-7")
    found["scheduled"] = await submitted(house, tag="org-7", run_in="1h")
    found["other"] = await submitted(house, tag="org-8")
    return found


def test_many_are_counted_and_go_on() -> None:
    async def check() -> None:
        async with running() as house:
            await one_of_each(house)
            before = house.stored()
            answer = await cancel(house, {"tag": "org-7", "dry_run": True})
            assert (answer.status_code, answer.json()) == (
                200,
                {
                    "dry_run": True,
                    "count": 3,
                    "counts": {"scheduled": 1, "queued": 1, "started": 1},
                    "complete": True,
                    "canceled": 0,
                },
            )
            assert house.stored() == before

    asyncio.run(check())


def test_what_fits_and_has_not_ended_is_canceled_and_nothing_else() -> None:
    async def check() -> None:
        async with running() as house:
            jobs = await one_of_each(house)
            answer = (await cancel(house, {"tag": "org-7"})).json()
            assert (answer["dry_run"], answer["count"], answer["canceled"]) == (False, 3, 3)
            assert await statuses(house, *jobs.values()) == [
                "finished",
                "canceled",
                "canceled",
                "canceled",
                "queued",
            ]
            assert (await cancel(house, {"tag": "org-7"})).json()["count"] == 0

    asyncio.run(check())


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"status": "queued"}, 2),
        ({"status": "scheduled"}, 1),
        ({"status": "started", "tag": "org-8"}, 0),
        ({"source": "api", "type": "a"}, 4),
        ({"source": "acme"}, 0),
        ({"type": "b"}, 0),
        ({"queue": "low"}, 0),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
        ({"since": "2000-01-01T00:00:00Z"}, 4),
    ],
)
def test_they_are_those_that_the_filter_finds(wanted: dict[str, str], count: int) -> None:
    async def check() -> None:
        async with running() as house:
            await one_of_each(house)
            answer = (await cancel(house, wanted)).json()
            assert (answer["count"], answer["canceled"]) == (count, count)

    asyncio.run(check())


def test_those_that_run_are_canceled_last() -> None:
    """Else a job that is to be canceled too would take the place of one that was."""

    async def check() -> None:
        async with running() as house:
            jobs = await one_of_each(house)
            entries = house.redis.xrange("hookline:live")
            await cancel(house, {"tag": "org-7"})
            told = " ".join(map(repr, house.redis.xrange("hookline:live")[len(entries) :]))
            assert told.index(jobs["queued"]) < told.index(jobs["started"])
            assert told.index(jobs["scheduled"]) < told.index(jobs["started"])

    asyncio.run(check())


def test_only_so_many_are_taken_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canceling, "MOST", 2)

    async def check() -> None:
        async with running() as house:
            for _ in range(3):
                await submitted(house)
            first = (await cancel(house, {"type": "a"})).json()
            assert (first["count"], first["complete"], first["canceled"]) == (2, False, 2)
            rest = (await cancel(house, {"type": "a"})).json()
            assert (rest["count"], rest["complete"], rest["canceled"]) == (1, True, 1)

    asyncio.run(check())


def test_who_canceled_them_stands_in_the_audit_log_and_in_their_timelines() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            await cancel(house, {"status": "queued", "dry_run": True})
            assert await house.ledger.desk.deeds() == []
            await cancel(house, {"status": "queued", "source": "api"})
            (deed,) = await house.ledger.desk.deeds()
            assert (deed.by, deed.act, deed.on) == ("all (API)", "cancel jobs", "api")
            event = await house.http.get(
                f"/events/{told['event_id']}", headers={"Authorization": f"Bearer {API_KEY}"}
            )
            acts = [entry for entry in event.json()["timeline"] if entry["kind"] == "act"]
            assert [(act["act"], act["by"]) for act in acts] == [("cancel", "all")]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("wanted", "at"),
    [
        ({}, "filter"),
        ({"dry_run": False}, "filter"),
        ({"status": "finished"}, "status"),
        ({"status": "lost"}, "status"),
        ({"status": 1}, "status"),
        ({"tag": ""}, "tag"),
        ({"since": "soon"}, "since"),
        ({"ids": []}, "ids"),
        ({"tag": "org-7", "dry_run": "yes"}, "dry_run"),
        ([], "$"),
    ],
)
def test_what_can_not_be_understood_cancels_nothing(wanted: Any, at: str) -> None:
    async def check() -> None:
        async with running() as house:
            await one_of_each(house)
            before = house.stored()
            answer = await cancel(house, wanted)
            assert_problem(answer, 422, "invalid")
            assert at in answer.json()["detail"]
            assert house.stored() == before

    asyncio.run(check())


@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 403), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_it_needs_the_scope_operate(key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            job_id = await submitted(house)
            for dry_run in (True, False):
                answer = await cancel(house, {"type": "a", "dry_run": dry_run}, key)
                assert answer.status_code == status
            assert await statuses(house, job_id) == ["queued"]

    asyncio.run(check())


def test_a_link_that_may_cancel_its_job_cancels_no_others() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "link": "cancel"})).json()
            token = told["status_url"].partition("?token=")[2]
            answer = await house.http.post("/jobs/cancel", params={"token": token}, json={"type": "a"})
            assert_problem(answer, 401, "unauthorized")
            assert await statuses(house, told["job_id"]) == ["queued"]

    asyncio.run(check())


def test_the_method_is_told() -> None:
    async def check() -> None:
        async with running() as house:
            assert (await house.http.get("/jobs/cancel")).headers["Allow"] == "POST"

    asyncio.run(check())
