"""A batch of submissions as one: its id, its link, and ``GET /batches/{id}``."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.ids import BATCH, JOB
from infra.ledger import keys
from infra.ledger.batches import BatchRecord
from infra.ledger.jobs import Report
from infra.ledger.records import Progress
from ingest.views import batch_view
from tests.unit.ingest.application import (
    API_KEY,
    READ_KEY,
    SUBMIT_KEY,
    House,
    assert_problem,
    running,
)

THREE = [{"type": "a"}, {"type": "b"}, {"type": "c"}]


async def read(house: House, batch_id: str, *, key: str = API_KEY) -> httpx.Response:
    return await house.http.get(f"/batches/{batch_id}", headers={"Authorization": f"Bearer {key}"})


async def submitted(house: House, content: Any = None) -> tuple[str, list[str], str]:
    """A batch: its id, those of its jobs, and its link."""
    answer = await house.submit(content or THREE)
    assert answer.status_code == 202
    (batch_id,) = {one["batch_id"] for one in answer.json()}
    return batch_id, [one["job_id"] for one in answer.json()], answer.headers["Location"]


def test_a_batch_shows_the_whole_and_the_parts() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id, jobs, _ = await submitted(house)
            await house.finish(await house.claim(sequence=1), "done")
            claim = await house.claim(sequence=2)
            await house.ledger.jobs.report([Report(claim, Progress(current=1, total=2))])
            house.clock.advance(timedelta(seconds=30))
            told = (await read(house, batch_id, key=READ_KEY)).json()
            assert (told["id"], told["status"], told["count"]) == (batch_id, "started", 3)
            assert told["counts"] == {"finished": 1, "started": 1, "queued": 1}
            assert (told["percent"], told["estimated_seconds"], told["ended_at"]) == (50.0, 30, None)
            assert [(one["id"], one["status"]) for one in told["jobs"]] == list(
                zip(jobs, ["finished", "started", "queued"], strict=True)
            )
            assert told["jobs"][1]["progress"]["percent"] == 50.0

    asyncio.run(check())


def test_a_batch_has_ended_when_all_of_its_jobs_have() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id, jobs, _ = await submitted(house, THREE[:2])
            assert (await read(house, batch_id)).json()["status"] == "queued"
            await house.finish(await house.claim(), "done")
            await house.ledger.jobs.cancel(jobs[1])
            told = (await read(house, batch_id)).json()
            assert (told["status"], told["percent"], told["estimated_seconds"]) == ("finished", 100.0, None)
            assert told["counts"] == {"finished": 1, "canceled": 1}
            assert told["ended_at"] is not None

    asyncio.run(check())


def test_its_link_reads_the_batch_and_nothing_else() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id, jobs, url = await submitted(house)
            other, _, _ = await submitted(house)
            assert url.startswith(f"https://hooks.example.com/batches/{batch_id}?token=")
            token = url.partition("?token=")[2]
            assert (await house.http.get(url)).json()["id"] == batch_id
            for path in (f"/batches/{other}", f"/jobs/{jobs[0]}"):
                assert_problem(await house.http.get(path, params={"token": token}), 404, "not_found")
            answer = await house.http.post(f"/jobs/{jobs[0]}/cancel", params={"token": token})
            assert_problem(answer, 404, "not_found")

    asyncio.run(check())


def test_the_link_of_a_job_opens_no_batch() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit(THREE)).json()
            token = told[0]["status_url"].partition("?token=")[2]
            answer = await house.http.get(f"/batches/{told[0]['batch_id']}", params={"token": token})
            assert_problem(answer, 404, "not_found")

    asyncio.run(check())


def test_a_repeated_batch_lists_the_first_jobs() -> None:
    async def check() -> None:
        async with running() as house:
            keyed = [{"type": "a", "idempotency_key": "k1"}, {"type": "b"}]
            _, (first, _), _ = await submitted(house, keyed)
            batch_id, jobs, _ = await submitted(house, keyed)
            assert jobs[0] == first
            assert [one["id"] for one in (await read(house, batch_id)).json()["jobs"]] == jobs

    asyncio.run(check())


@pytest.mark.parametrize("batch_id", [BATCH + "0" * 26, "nonsense", JOB + "0" * 26])
def test_what_is_not_there_is_404(batch_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await read(house, batch_id), 404, "not_found")

    asyncio.run(check())


def test_a_key_needs_the_scope_read() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id, _, _ = await submitted(house)
            assert_problem(await read(house, batch_id, key=SUBMIT_KEY), 403, "scope_missing")
            assert_problem(await read(house, batch_id, key="nobody's"), 401, "unauthorized")

    asyncio.run(check())


def test_a_record_that_was_changed_is_no_batch() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id, _, _ = await submitted(house)
            key = keys.BATCH + batch_id
            house.redis.set(key, house.redis.get(key).replace(b"job_", b"Job_"))  # type: ignore[union-attr]
            assert_problem(await read(house, batch_id), 404, "not_found")

    asyncio.run(check())


def test_a_batch_is_kept_for_as_long_as_its_last_job_may_be() -> None:
    async def check() -> None:
        async with running(settings={"HOOKLINE_DEAD_RETENTION": "1d"}) as house:
            batch_id, _, _ = await submitted(house, [{"type": "a"}, {"type": "b", "run_in": "2d"}])
            kept = house.redis.pttl(keys.BATCH + batch_id)
            assert timedelta(days=2.9) < timedelta(milliseconds=kept) <= timedelta(days=3)  # type: ignore[arg-type]

    asyncio.run(check())


def test_jobs_that_are_gone_count_as_done() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    gone = batch_view(BatchRecord(id="bat_1", created_at=now, jobs=(), size=2), now=now, urls=())
    assert (gone["status"], gone["count"], gone["percent"], gone["ended_at"]) == ("finished", 2, 100.0, None)


def test_a_single_submission_is_no_batch() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.submit({"type": "a"})
            assert "batch_id" not in answer.json()
            assert "Location" not in answer.headers

    asyncio.run(check())
