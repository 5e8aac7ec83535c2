"""Handlers with steps, jobs of their own, waits and schedules: each in the loop, in a thread and in a process of its own.

Worker processes load this file (``HOOKLINE_HANDLERS=durable``). What was done is in the file ``$EFFECTS``-done, a line a time.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from scenario import EFFECTS, gate, note

from handlers import Context, RetryLater, handler

DONE = EFFECTS.with_name(f"{EFFECTS.name}-done")


def do(what: str) -> str:
    with DONE.open("ab", buffering=0) as done:
        done.write(f"{what}\n".encode())
    return what


def in_every_way(type: str, **options: Any) -> Callable[[Callable[..., Any], Callable[..., Any]], None]:
    def declare(in_the_loop: Callable[..., Any], plain: Callable[..., Any]) -> None:
        handler("api", type, **options)(in_the_loop)
        handler("api", f"{type}-plain", **options)(plain)
        handler("api", f"{type}-child", isolation="process", **options)(in_the_loop)
        handler("api", f"{type}-plain-child", isolation="process", **options)(plain)

    return declare


async def steps(context: Context) -> list[str]:
    note(context)
    first = await context.step("first", do, f"first {context.job_id}")

    async def second() -> str:
        do(f"second {context.job_id}")
        while not gate(context.payload["gate"]).exists():
            await asyncio.sleep(0.01)
        return "through"

    return [first, await context.step("second", second)]


def steps_plain(context: Context) -> list[str]:
    note(context)
    first = context.step("first", do, f"first {context.job_id}")

    def second() -> str:
        do(f"second {context.job_id}")
        while not gate(context.payload["gate"]).exists():
            time.sleep(0.01)
        return "through"

    return [first, context.step("second", second)]


async def waits(context: Context) -> dict[str, Any]:
    note(context)
    await context.step("order", do, f"ordered {context.job_id}")
    event = await context.wait_for("acme", context.payload["key"], context.payload.get("timeout", "1m"))
    return {"sent": event.payload, "attempt": context.attempt}


def waits_plain(context: Context) -> dict[str, Any]:
    note(context)
    context.step("order", do, f"ordered {context.job_id}")
    event = context.wait_for("acme", context.payload["key"], context.payload.get("timeout", "1m"))
    return {"sent": event.payload, "attempt": context.attempt}


async def makes(context: Context) -> list[str]:
    note(context)
    ids = [await context.enqueue("echo", number) for number in (1, 2)]
    if context.attempt == 1:
        raise RetryLater("100ms")
    return ids


def makes_plain(context: Context) -> list[str]:
    note(context)
    ids = [context.enqueue("echo", number) for number in (1, 2)]
    if context.attempt == 1:
        raise RetryLater("100ms")
    return ids


async def fetches(context: Context) -> list[Any]:
    note(context)
    answer = await context.fetch(context.payload["url"], headers={"Accept": "application/json"})
    return [answer.status_code, answer.text]


def fetches_plain(context: Context) -> list[Any]:
    note(context)
    answer = context.fetch(context.payload["url"], headers={"Accept": "application/json"})
    return [answer.status_code, answer.text]


in_every_way("fetches", max_attempts=1)(fetches, fetches_plain)
in_every_way("steps", backoff="100ms")(steps, steps_plain)
in_every_way("waits")(waits, waits_plain)
in_every_way("makes")(makes, makes_plain)


@handler.every("1s", queue="low")
async def each_second(payload: dict[str, str]) -> None:
    do(f"due {payload['due']}")


@handler.cron("* * * * *", timezone="Europe/Berlin", isolation="process")
def each_minute(payload: dict[str, str]) -> None:
    do(f"minute {payload['due']}")


@handler("api", "talks")
async def talks(context: Context) -> None:
    for number in range(2_000):
        context.progress(number, 2_000)
        await asyncio.sleep(0.001)
