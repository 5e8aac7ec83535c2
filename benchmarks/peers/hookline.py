"""Hookline itself: its handlers, the ledger's own way to accept events, and a way to fill a server with ended jobs.

``python -m benchmarks.peers.hookline fill FINISHED SCHEDULED [CALLBACK_URL]`` takes jobs through the ledger without
running a handler; with a URL, their callbacks then wait in the outbox.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from benchmarks.peers import jobs
from benchmarks.sending import main
from handlers import Context, handler
from infra.clock import SystemClock
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.events import Events
from infra.ledger.records import Arrival, Finished, Settlement
from infra.redis_client import connect
from infra.settings import Settings

SOURCE = "bench"
_BATCH = 100
_QUEUES = ("default",)
_FILLER = "filler"
_ledgers: list[Ledger] = []
_doors: list[Events] = []


@handler(SOURCE, "noop")
async def noop(context: Context) -> int:
    return await jobs.noop(context.payload["number"])


@handler(SOURCE, "sleep")
async def sleep(context: Context) -> int:
    return await jobs.sleep(context.payload["number"])


@handler(SOURCE, "block")
def block(context: Context) -> int:
    return jobs.block(context.payload["number"])


def ledger() -> Ledger:
    """The ledger of this process."""
    if not _ledgers:
        settings = Settings.load()
        _ledgers.append(Ledger.of(connect(settings.redis_url or ""), settings))
    return _ledgers[0]


def arrival(kind: str, number: int, **more: Any) -> Arrival:
    """A small event of that kind."""
    suffix = new_suffix()
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=SOURCE,
        type=kind,
        received_at=SystemClock().now(),
        body=json.dumps({"number": number}).encode(),
        provider_event_id=suffix,
        **more,
    )


async def enqueue(kind: str, numbers: Sequence[int]) -> None:
    """Over a connection of its own, as the web process does."""
    if not _doors:
        _doors.append(ledger().events.dedicated())
    await _doors[0].accept([arrival(kind, number) for number in numbers])


async def sweep() -> None:
    """As a server in use has been: the first sweep looks at all that is there."""
    settings = Settings.load()
    async with connect(settings.redis_url or "") as client:
        await Ledger.of(client, settings).jobs.sweep(patience=timedelta(minutes=1))


async def fill(finished: int, scheduled: int, callback_url: str | None) -> None:
    """Jobs that have ended, and jobs that are due tomorrow."""
    tomorrow = SystemClock().now() + timedelta(days=1)
    for first in range(0, scheduled, _BATCH):
        numbers = range(first, min(first + _BATCH, scheduled))
        await ledger().events.accept([arrival("noop", number, run_at=tomorrow) for number in numbers])
    for sequence, first in enumerate(range(0, finished, _BATCH), start=1):
        numbers = range(first, min(first + _BATCH, finished))
        await ledger().events.accept(
            [arrival("noop", number, callback_url=callback_url) for number in numbers]
        )
        taken = await ledger().jobs.claim(
            _FILLER, sequence=sequence, slots=_BATCH, queues=_QUEUES, lease=timedelta(minutes=1)
        )
        ended = [
            Settlement(claim=claim, outcome=Finished(result="1"), handler="benchmarks:noop", max_attempts=5)
            for claim in taken
        ]
        await ledger().jobs.settle(_FILLER, ended)
    await ledger().workers.depart(_FILLER, queues=_QUEUES)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        asyncio.run(fill(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None))
    else:
        asyncio.run(sweep())
        main(enqueue)
