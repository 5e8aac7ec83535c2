"""What a page of the console is told while it is open: that something changed, and how seldom."""

import asyncio
from collections.abc import MutableMapping
from contextlib import aclosing
from typing import Any

from infra.tasks import end
from ingest.connection import PUSH
from ingest.console.live import Bell, Changes
from ingest.live.event_stream import EventStream
from ingest.live.watcher import End
from tests.unit.ingest.console_visits import visited
from tests.unit.ingest.test_live import House, run

EVERY = 0.2


async def watching(house: House, job_id: str | None = None, *, lasts: float = 60.0) -> Changes:
    changes = Changes(house.hubs[0], house.ledger.live, Bell(), job_id, every=EVERY, lasts=lasts)
    await changes.open(None)
    return changes


async def signs(changes: Changes, *, within: float, most: int = 1000) -> int:
    """How often it tells, in so many seconds, or until it has so often."""
    count = 0
    try:
        async with asyncio.timeout(within), aclosing(changes.batches()) as batches:
            async for batch in batches:
                count += len(batch)
                if count >= most:
                    break
    except TimeoutError:
        pass
    finally:
        changes.close()
    return count


def test_however_much_happens_it_tells_so_often_at_the_most() -> None:
    async def test(house: House) -> None:
        changes = await watching(house)
        for _ in range(50):
            await house.accept()
        assert changes.watcher._waiting == [] or len(changes.watcher._waiting) == 1

        async def busy() -> None:
            while True:
                await house.accept()
                await asyncio.sleep(0)

        traffic = asyncio.create_task(busy())
        begun = asyncio.get_running_loop().time()
        assert await signs(changes, within=30, most=4) == 4
        lasted = asyncio.get_running_loop().time() - begun
        traffic.cancel()
        assert lasted > EVERY * 2.5

    run(test)


def test_of_one_job_nothing_is_told_of_the_others() -> None:
    async def test(house: House) -> None:
        mine = await house.accept()
        changes = await watching(house, mine)
        for _ in range(3):
            await house.accept()
        await house.finish(await house.claim())
        assert await signs(changes, within=30, most=1) == 1
        await asyncio.sleep(EVERY * 2)  # until nothing of it is on its way
        quiet = await watching(house, mine)
        await house.accept()
        assert await signs(quiet, within=EVERY) == 0

    run(test)


def test_it_is_over_after_a_while_so_that_whoever_was_signed_out_is_not_let_in_again() -> None:
    async def test(house: House) -> None:
        changes = await watching(house, lasts=0.0)
        assert await signs(changes, within=5) == 0

    run(test)


def test_it_ends_with_the_process() -> None:
    async def test(house: House) -> None:
        changes = await watching(house)
        house.hubs[0].dismiss()
        assert await signs(changes, within=5) == 0
        assert changes.watcher.ended is End.STOPPING

    run(test)


def test_nobody_watches_who_is_not_signed_in_nor_what_is_no_job() -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            answer = await browser.get("/console/live")
            assert (answer.status_code, answer.headers["Location"]) == (
                303,
                "/console/login?next=/console/live",
            )
        async with visited() as (_, browser):
            assert (await browser.get("/console/live?job=nonsense")).status_code == 404

    asyncio.run(check())


def test_only_signs_leave_and_never_the_messages_themselves() -> None:
    async def test(house: House) -> None:
        changes = await watching(house)
        pushed: list[bytes] = []
        sent: list[bytes] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message.get("body", b""))

        scope = {"type": "http", "state": {PUSH: lambda body: pushed.append(body) is None}}
        answering = asyncio.create_task(EventStream(changes)(scope, asyncio.Event().wait, send))  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while not any(b"event: change" in part for part in sent):
                await house.accept()
                await asyncio.sleep(0.01)
        await end(answering)
        assert pushed == []

    run(test)
