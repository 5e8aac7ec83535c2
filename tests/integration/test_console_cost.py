"""What a page of the console costs: the same however many events there are, and less than a tenth of a second."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from infra.ledger.bulk import Terms
from infra.ledger.lists import Filter
from infra.ledger.receivers import receiver_id
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery, HandlerEntry, JobStatus
from infra.ledger.troubles import Failures, Place
from infra.settings import Settings
from ingest.app import create_app
from ingest.parts import assemble
from ingest.sources import load_sources
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FAILED, FINISHED, Bench, arrival, on

pytestmark = [pytest.mark.needs_server, pytest.mark.slow]

PASSWORD = "correct horse battery"
SETTINGS = {
    "HOOKLINE_SECRET_KEY": "a key",
    "HOOKLINE_CONSOLE_PASSWORD": PASSWORD,
    "HOOKLINE_PUBLIC_URL": "http://hookline",
}
PAGES = (
    "", "events", "events?source=s3", "events?status=failed", "jobs", "jobs?status=queued&queue=low", "jobs?status=failed", "failures",
    "queues", "workers", "schedules", "callbacks", "callbacks?status=pending", "receivers", "sources", "audit", "search?q=nothing-has-this",
)  # fmt: skip
MOST_SECONDS = 0.1  # of the web process's time; Redis's is in the commands
NOT_OF_PAGES = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_xread", "cmdstat_publish"}


async def grow(bench: Bench, hundreds: int) -> None:
    """So many hundreds more: of each, most have finished, some failed, and some wait or run."""
    queues = ("high", "default")
    await bench.renew(
        manifest=[HandlerEntry(source=f"s{number}", type="*", handler=f"m:h{number}") for number in range(10)]
    )
    for turn in range(hundreds):
        await bench.accept(*(
            arrival(source=f"s{number % 10}", queue=("high", "default", "low")[number % 3],
                    callback_url=CALLBACK_URL if number % 4 == 0 else None)
            for number in range(100)
        ))  # fmt: skip
        claims = await bench.claim(queues=queues)
        await bench.settle(FAILED, *claims[:5])
        await bench.settle(FINISHED, *claims[5 : 60 if turn % 2 else None])
    places = [Place(handler=f"m:h{number}", type="KeyError", place=f"a.py:{number}") for number in range(50)]
    await bench.ledger.troubles.note({place: Failures("it broke", "job_1", 3, 1) for place in places})


async def single_pages(bench: Bench) -> tuple[str, ...]:
    """One of each that has a page of its own."""
    (due,), _ = await bench.ledger.callbacks.due("s1", sequence=1, most=1, hold=timedelta(minutes=1))
    attempt = CallbackAttempt(number=1, at=datetime.now(UTC), duration=timedelta(milliseconds=12), status=500, reply="no")  # fmt: skip
    told = Delivery(callback=due, attempt=attempt, status=CallbackStatus.PENDING, retry_after=timedelta(hours=1))  # fmt: skip
    await bench.ledger.callbacks.record([told])
    (job,) = await bench.jobs(1, status=JobStatus.FAILED)
    chosen = await bench.ledger.replays.select(Filter(status=JobStatus.FAILED))
    replay_id = await bench.ledger.replays.start(chosen, Terms(), by="ada", asked={})
    return (
        f"events/{job.event_id}", f"jobs/{job.id}", f"callbacks/{due.id}",
        f"receivers/{receiver_id(CALLBACK_URL)}", "sources/github", f"replays/{replay_id}",
    )  # fmt: skip


@asynccontextmanager
async def signed_in(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody in front of a web process's console."""
    settings = Settings.load(SETTINGS)
    parts = assemble(
        settings,
        load_sources(settings, {"SOURCE_GITHUB_SECRET": "s3cret-of-github"}),
        connect=bench.store.connect,
        connect_waiting=bench.store.connect,
    )
    app = create_app(parts)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hookline") as http,
    ):
        form = {"name": "operator", "password": PASSWORD}
        answer = await http.post("/console/login", data=form, headers={"Origin": "http://hookline"})
        assert answer.status_code == 303
        yield http


async def cost(bench: Bench, http: httpx.AsyncClient, page: str) -> tuple[int, float]:
    """The commands that Redis ran for a page, and the seconds that the web process had its processor; of three looks the cheapest."""
    found = []
    for _ in range(3):
        await bench.client.config_resetstat()
        began = time.process_time()
        answer = await http.get(f"/console/{page}")
        lasted = time.process_time() - began
        assert answer.status_code == 200, page
        stats = await bench.client.info("commandstats")
        found.append((sum(told["calls"] for name, told in stats.items() if name not in NOT_OF_PAGES), lasted))
    return min(calls for calls, _ in found), min(lasted for _, lasted in found)


def test_no_page_costs_more_where_there_is_more(valkey_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await grow(bench, 20)
        pages = (*PAGES, *await single_pages(bench))
        async with signed_in(bench) as http:
            before = {page: await cost(bench, http, page) for page in pages}
            await grow(bench, 40)
            for page in pages:
                commands, seconds = await cost(bench, http, page)
                assert commands <= before[page][0] * 1.3 + 10, (page, before[page], commands)
                assert seconds <= MOST_SECONDS, page

    on(valkey_store, scenario)
