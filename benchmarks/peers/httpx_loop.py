"""Callbacks without Hookline: one shared `httpx.AsyncClient` that signs and posts, 64 at a time, and records nothing:
``python -m benchmarks.peers.httpx_loop URL COUNT``.
"""

import asyncio
import json
import os
import sys

import httpx

from infra.clock import SystemClock
from infra.ids import CALLBACK, EVENT, JOB, new_suffix
from infra.signatures import standard_webhooks_headers

AT_ONCE = 64


def body_of(suffix: str) -> bytes:
    """What Hookline would say of such a job."""
    moment = "2026-11-21T20:41:11.123Z"
    data = {
        "job_id": JOB + suffix,
        "event_id": EVENT + suffix,
        "source": "bench",
        "event_type": "noop",
        "handler": "benchmarks:noop",
        "status": "finished",
        "result": 1,
        "error": None,
        "attempts": 1,
        "metadata": {},
        "created_at": moment,
        "started_at": moment,
        "ended_at": moment,
        "status_url": None,
    }
    content = {"type": "job.finished", "timestamp": moment, "data": data}
    return json.dumps(content, separators=(",", ":")).encode()


async def main(url: str, count: int) -> None:
    secrets = [os.environ["HOOKLINE_CALLBACK_SECRET"]]
    clock, left = SystemClock(), iter(range(count))
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)

    async def lane(client: httpx.AsyncClient) -> None:
        for _ in left:
            suffix = new_suffix()
            body = body_of(suffix)
            headers = {
                "Content-Type": "application/json",
                **standard_webhooks_headers(
                    secrets, message_id=CALLBACK + suffix, timestamp=clock.now(), body=body
                ),
            }
            (await client.post(url, content=body, headers=headers)).raise_for_status()

    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=60) as client:
        await asyncio.gather(*(lane(client) for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
