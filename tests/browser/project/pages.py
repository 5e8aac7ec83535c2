"""Handlers whose jobs the browser looks at. Worker processes load this file (``HOOKLINE_HANDLERS=scenario,pages``)."""

import asyncio
from typing import Any

from scenario import gate

from handlers import Context, Reject, handler


@handler("api", "songs")
async def songs(context: Context) -> dict[str, Any]:
    """Twenty songs; before the sixth and the sixteenth it waits for a gate."""
    name = context.payload["gate"]
    for number, song in enumerate(context.payload.get("songs", ["Hey Jude"] * 20), start=1):
        context.progress(number - 1, 20, stage="analysing", item=song)
        if number % 10 == 6:
            context.log.info("waits")
            while not gate(f"{name}-{number}").exists():
                await asyncio.sleep(0.01)
    return {"songs": 20, "title": context.payload.get("title")}


@handler("api", "tells", max_attempts=1)
async def tells(context: Context) -> Any:
    """Says the same text everywhere where a handler can."""
    text, name = context.payload["text"], context.payload["gate"]
    context.progress(1, 2, text, stage=text, item=text)
    context.log.info(text)
    while not gate(name).exists():
        await asyncio.sleep(0.01)
    if context.payload.get("fails"):
        raise type(text[:40], (Exception,), {})(text)
    return {text: [text]}


@handler("api", "held", max_attempts=1)
async def held(context: Context) -> str:
    """Fails the first time; run again, it waits for its gate."""
    name = context.payload["gate"]
    failed = gate(f"{name}-failed-{context.job_id}")
    if not failed.exists():
        failed.touch()
        raise Reject("held up")
    context.progress(1, 2, "at the gate")
    while not gate(name).exists():
        await asyncio.sleep(0.01)
    return "through"


@handler.every("1h")
async def hourly(context: Context) -> dict[str, Any]:
    """Recurs."""
    return {"due": context.payload["due"]}
