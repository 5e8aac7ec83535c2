"""The console's pages of queues, handlers, workers and schedules, and what their buttons do."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from infra.clock import unix_milliseconds
from infra.ledger.records import HandlerEntry
from infra.ledger.ticks import Recurrence
from infra.routes import SCHEDULE_SOURCE
from tests.unit.ingest.application import NOW, House
from tests.unit.ingest.console_visits import text_of, visited

REPORT = HandlerEntry(source=SCHEDULE_SOURCE, type="handlers.daily:report", handler="handlers.daily:report")


def run(check: Any) -> None:
    asyncio.run(check())


async def recurring(house: House) -> Recurrence:
    """A recurring handler that a live worker tells of."""
    due = tuple(unix_milliseconds(NOW + timedelta(minutes=minutes)) for minutes in (-5, 10, 25))
    told = Recurrence(handler=REPORT.handler, type=REPORT.type, schedule="every 15m", due=due)
    await house.ledger.workers.renew(
        "w1", lease=timedelta(minutes=1), queues=["default"], manifest=[REPORT], record={}
    )
    await house.ledger.ticks.note(told, NOW - timedelta(minutes=5))
    return told


@pytest.mark.parametrize(("kind", "name"), [("queue", "default"), ("handler", "scenario:it")])
def test_it_is_paused_by_a_button_and_resumed(kind: str, name: str) -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await house.tell_handlers(("api", "*"))
            page, at = "/console/queues", f"/console/{kind}s/{name}"
            answer = await browser.press(page, f"{at}/pause")
            assert answer.headers["Location"] == f"{page}?done=pause+{kind}"
            shown = await text_of(browser, answer.headers["Location"])
            assert "none of its jobs begins" in shown
            assert "operator (console)" in shown
            (paused,) = await house.ledger.pauses.all()
            assert (paused.kind, paused.name) == (kind, name)
            overview = await text_of(browser, "/console/")
            assert "paused" in overview

            answer = await browser.press(page, f"{at}/resume")
            assert answer.headers["Location"] == f"{page}?done=resume+{kind}"
            assert await house.ledger.pauses.all() == []
            acts = [deed.act for deed in await house.ledger.desk.deeds()]
            assert acts[:2] == [f"resume {kind}", f"pause {kind}"]

    run(check)


def test_of_two_who_press_the_same_button_the_second_is_told() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await house.tell_handlers(("api", "*"))
            for path in ("queues/default/pause", "queues/default/resume", "workers/w1/drain"):
                page = f"/console/{path.partition('/')[0]}"
                first, second = [await browser.press(page, f"/console/{path}") for _ in range(2)]
                assert first.headers["Location"] != second.headers["Location"] == f"{page}?done=already"
            assert "Somebody else was faster" in await text_of(browser, second.headers["Location"])

    run(check)


@pytest.mark.parametrize(
    "path", ["queues/no/pause", "handlers/no:no/resume", "workers/no/drain", "schedules/no/run"]
)
def test_what_is_not_there_can_not_be_steered(path: str) -> None:
    async def check() -> None:
        async with visited() as (_, browser):
            assert (await browser.press("/console/queues", f"/console/{path}")).status_code == 404

    run(check)


def test_a_worker_shows_what_it_runs_and_that_it_drains() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            record = {
                "hostname": "box",
                "queues": "high,default",
                "hookline_version": "1.2.3",
                "slots": "100",
            }
            await house.submit({"type": "a"})
            await house.claim()
            await house.ledger.workers.renew(
                "w1", lease=timedelta(minutes=1), queues=["default"], manifest=[], record=record
            )
            page = await text_of(browser, "/console/workers")
            (job_id,) = set(re.findall(r"/console/jobs/(job_\w+)", page))
            for words in ("w1", "box", "high, default", "1 of 100", "1.2.3", job_id):
                assert words in page
            await browser.press("/console/workers", "/console/workers/w1/drain")
            page = await text_of(browser, "/console/workers")
            assert "draining" in page
            assert "/drain" not in page

    run(check)


def test_a_schedule_shows_its_next_times_and_runs_out_of_turn_once_for_two() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            told = await recurring(house)
            page = await text_of(browser, "/console/schedules")
            for words in (told.handler, "every 15m", "in 10 min", "in 25 min", "none so far"):
                assert words in page
            at = f"/console/schedules/{told.handler}/run"
            first, second = [await browser.press("/console/schedules", at, {"after": ""}) for _ in range(2)]
            assert second.headers["Location"] == first.headers["Location"].replace("run+now", "already")
            job_id = first.headers["Location"].split("/")[3].partition("?")[0]
            job = await house.ledger.reading.job(job_id)
            assert job is not None
            assert (job.source, job.type, job.queue) == (SCHEDULE_SOURCE, told.type, "default")
            third = await browser.press("/console/schedules", at, {"after": job_id})
            assert job_id not in third.headers["Location"]
            assert "queued" in await text_of(browser, "/console/schedules")

    run(check)


def test_a_schedule_that_no_worker_has_any_more_is_not_shown() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            told = await recurring(house)
            await house.ledger.workers.depart("w1", queues=["default"])
            await house.tell_handlers(("api", "*"))
            for key in house.redis.scan_iter("hookline:told"):
                house.redis.delete(key)
            assert told.handler not in await text_of(browser, "/console/schedules")

    run(check)


def test_a_viewer_sees_no_button_and_may_not_press_one() -> None:
    from tests.unit.ingest.console_visits import VIEWER

    async def check() -> None:
        async with visited(settings={"HOOKLINE_CONSOLE_USERS": VIEWER}, signed_in=False) as (house, browser):
            await recurring(house)
            await browser.sign_in("vera's password", name="vera")
            for path in ("queues", "workers", "schedules"):
                assert 'action="/console/' + path not in await text_of(browser, f"/console/{path}")
            answer = await browser.press("/console/queues", "/console/queues/default/pause")
            assert answer.status_code == 403
            assert await house.ledger.pauses.all() == []

    run(check)
