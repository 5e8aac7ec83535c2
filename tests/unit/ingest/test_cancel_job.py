"""``POST /jobs/{id}/cancel``: who may, what it does, and what has ended already."""

import asyncio
from typing import Any

import pytest

from infra.ids import JOB
from tests.unit.ingest.application import API_KEY, READ_KEY, SUBMIT_KEY, House, assert_problem, running


async def cancel(house: House, job_id: str, *, key: str = API_KEY, token: str | None = None) -> Any:
    if token is not None:
        return await house.http.post(f"/jobs/{job_id}/cancel", params={"token": token})
    return await house.http.post(f"/jobs/{job_id}/cancel", headers={"Authorization": f"Bearer {key}"})


def token_in(told: dict[str, Any]) -> str:
    return str(told["status_url"].partition("?token=")[2])


def test_a_job_is_canceled_and_shown_as_it_then_is() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            answer = await cancel(house, told["job_id"])
            assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
            assert answer.json()["ended_at"] is not None
            assert (await house.http.get(told["status_url"])).json() == answer.json()

    asyncio.run(check())


def test_what_has_ended_is_409() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            await cancel(house, told["job_id"])
            assert_problem(await cancel(house, told["job_id"]), 409, "job_ended")

    asyncio.run(check())


@pytest.mark.parametrize("job_id", [JOB + "0" * 26, "nonsense", "evt_" + "0" * 26, "%00"])
def test_what_is_not_there_is_404(job_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await cancel(house, job_id), 404, "not_found")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [(READ_KEY, 403, "scope_missing"), (SUBMIT_KEY, 403, "scope_missing"), ("nobody's", 401, "unauthorized")],
)
def test_a_key_needs_the_scope_operate(key: str, status: int, code: str) -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            assert_problem(await cancel(house, told["job_id"], key=key), status, code)
            assert (await house.http.get(told["status_url"])).json()["status"] == "queued"

    asyncio.run(check())


def test_a_link_cancels_where_that_was_asked_for() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "link": "cancel"}, key=SUBMIT_KEY)).json()
            assert (await house.http.get(told["status_url"])).status_code == 200
            answer = await cancel(house, told["job_id"], token=token_in(told))
            assert (answer.status_code, answer.json()["status"]) == (200, "canceled")

    asyncio.run(check())


def test_a_usual_link_only_reads() -> None:
    """A092."""

    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            assert_problem(await cancel(house, told["job_id"], token=token_in(told)), 403, "scope_missing")

    asyncio.run(check())


def test_a_link_cancels_no_other_job() -> None:
    async def check() -> None:
        async with running() as house:
            one, other = (await house.submit([{"type": "a", "link": "cancel"}, {"type": "a"}])).json()
            assert_problem(await cancel(house, other["job_id"], token=token_in(one)), 404, "not_found")
            assert_problem(await cancel(house, one["job_id"], token=token_in(other)), 404, "not_found")
            assert (await cancel(house, one["job_id"], token=token_in(one))).status_code == 200

    asyncio.run(check())


@pytest.mark.parametrize("link", ["delete", "", None, 7])
def test_a_link_is_for_reading_or_for_canceling(link: Any) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await house.submit({"type": "a", "link": link}), 422, "invalid")

    asyncio.run(check())


def test_only_post_cancels() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "link": "cancel"})).json()
            answer = await house.http.get(f"/jobs/{told['job_id']}/cancel?token={token_in(told)}")
            assert_problem(answer, 405, "method_not_allowed")
            assert answer.headers["Allow"] == "POST"

    asyncio.run(check())
