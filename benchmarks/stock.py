"""A server with a long past: events of many sources and types, whose jobs ended in every way, wait, or are due tomorrow.

``python -m benchmarks.stock EVENTS`` takes them through the ledger's own scripts, a hundred at a time, as web and worker do,
and runs no handler.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta

from infra.clock import SystemClock
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.records import Arrival, ErrorInfo, Failed, Finished, Ignored, Outcome, Settlement
from infra.redis_client import connect
from infra.settings import Settings

SOURCES, TYPES, TAGS = 20, 5, 1_000

_LANES = ("high", "default")  # filled side by side: Redis has work while Python makes more of it
_WAITING = "low"  # nobody takes jobs from it
_BATCH = 100
_REFUSED = Failed(error=ErrorInfo(type="Reject", message="no such customer"))


def arrival(number: int, queue: str, now: datetime) -> Arrival:
    """One event. Of two hundred, one waits in a queue, one is due tomorrow; one of twenty has a callback."""
    suffix, place = new_suffix(), number % 200
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=f"shop-{number % SOURCES}",
        type=f"order.{number // SOURCES % TYPES}",
        received_at=now,
        body=json.dumps({"number": number}).encode(),
        provider_event_id=suffix,
        queue=_WAITING if place == 0 else queue,
        run_at=now + timedelta(days=1) if place == 1 else None,
        callback_url="https://receiver.example.com/hook" if place % 20 == 2 else None,
        tag=f"org-{number % TAGS}",
    )


def outcome(number: int) -> Outcome:
    """What became of the job of an event: four of a hundred failed, one had no handler."""
    if number % 100 in range(4, 8):
        return _REFUSED
    return Ignored() if number % 100 == 8 else Finished(result='{"stored":true}')


async def stock(ledger: Ledger, events: int) -> None:
    """Fill a server."""
    share = -(-events // len(_LANES))
    await asyncio.gather(*[
        _fill(ledger, queue, range(place * share, min((place + 1) * share, events)))
        for place, queue in enumerate(_LANES)
    ])  # fmt: skip


async def _fill(ledger: Ledger, queue: str, numbers: range) -> None:
    worker, now = f"filler-{queue}", SystemClock().now
    for sequence, first in enumerate(range(0, len(numbers), _BATCH), start=1):
        await ledger.events.accept([
            arrival(number, queue, now()) for number in numbers[first : first + _BATCH]
        ])  # fmt: skip
        claims = await ledger.jobs.claim(
            worker, sequence=sequence, slots=_BATCH, queues=[queue], lease=timedelta(minutes=5)
        )
        ended = [
            Settlement(
                claim=claim,
                outcome=outcome(json.loads(claim.body)["number"]),
                handler="shop:taken",
                max_attempts=5,
            )
            for claim in claims
        ]
        await ledger.jobs.settle(worker, ended)
    await ledger.workers.depart(worker, queues=[queue])


async def main(events: int) -> None:
    settings = Settings.load()
    async with connect(settings.redis_url or "") as client:
        await stock(Ledger.of(client, settings), events)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
