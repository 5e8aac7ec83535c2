"""``GET /jobs/{id}`` where there is no job to show."""

import asyncio
from datetime import timedelta

import httpx

from infra.ids import JOB, new_suffix
from tests.unit.ingest.application import READ_KEY, House, assert_problem, running


async def read(house: House, job_id: str, token: str | None = None) -> httpx.Response:
    if token is not None:
        return await house.http.get(f"/jobs/{job_id}", params={"token": token})
    return await house.http.get(f"/jobs/{job_id}", headers={"Authorization": f"Bearer {READ_KEY}"})


def test_a_job_that_was_put_aside_says_so_to_who_may_read_it() -> None:
    """A101."""

    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            token = told["status_url"].partition("token=")[2]
            house.redis.hset(f"hookline:event:{told['event_id']}", "head", b"<b>another</b>")
            assert_problem(await read(house, told["job_id"]), 404, "not_found")
            claims = await house.ledger.jobs.claim(
                "w1", sequence=1, slots=1, queues=["default"], lease=timedelta(minutes=1)
            )
            assert claims == ()
            for answer in (await read(house, told["job_id"]), await read(house, told["job_id"], token)):
                problem = assert_problem(answer, 410, "quarantined")
                assert problem["detail"] == "its seal does not hold: the record was changed"
            assert_problem(await read(house, JOB + new_suffix()), 404, "not_found")

    asyncio.run(check())
