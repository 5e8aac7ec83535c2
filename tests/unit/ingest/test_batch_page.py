"""The page of a batch: the whole and the parts, and that nothing in it can be anything but text."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ingest.pages.batch_page import batch_page
from ingest.pages.renderer import Assets, Pages

NOW = datetime(2026, 11, 22, 6, 1, tzinfo=UTC)
HOSTILE = json.loads((Path(__file__).parents[2] / "data" / "xss_payloads.json").read_text())
PAGES = Pages(Assets())


def part(number: int, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"job_{number}",
        "type": "playlists.analyze",
        "status": status,
        "progress": None,
        "error": None,
        "status_url": f"/jobs/job_{number}?token=t{number}",
        **changes,
    }


def page(*parts: dict[str, Any], count: int = 3, status: str = "started", **changes: Any) -> str:
    statuses = [one["status"] for one in parts]
    batch = {
        "id": "bat_1",
        "status": status,
        "count": count,
        "counts": {one: statuses.count(one) for one in statuses},
        "percent": 50.0,
        "estimated_seconds": None,
        "created_at": "2026-11-22T06:00:00.000Z",
        "ended_at": None,
        "jobs": list(parts),
        **changes,
    }
    return bytes(batch_page(PAGES, batch, now=NOW).body).decode()


def test_the_whole_and_the_parts_are_told() -> None:
    progress = {
        "current": 1,
        "total": 2,
        "percent": 50.0,
        "message": "song 1",
        "stage": None,
        "item": None,
    }
    error = {"type": "Reject", "message": "no such project"}
    text = page(
        part(1, "finished"),
        part(2, "started", progress=progress),
        part(3, "failed", error=error),
        estimated_seconds=75,
    )
    for words in (
        "3 jobs",
        "2 of 3 ended",
        "50 %",
        "1 min 15 s",
        "song 1",
        "Reject: no such project",
        "is running",
    ):
        assert words in text
    assert 'href="/jobs/job_2?token=t2"' in text


def test_jobs_that_are_gone_have_ended() -> None:
    assert "3 of 3 ended" in page(part(1, "finished"), status="finished")


def test_an_ended_batch_asks_for_nothing_more() -> None:
    assert "live.js" in page(part(1, "queued"), status="queued")
    over = page(part(1, "finished"), status="finished", ended_at="2026-11-22T06:00:30.000Z")
    for word in ("live.js", "refresh", "data-every"):
        assert word not in over


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_strangers_wrote_is_text_in_a_batch_too(hostile: str) -> None:
    """A073, A074, A078."""
    assert built(full(hostile)) == built(full("harmless"))


def full(text: str) -> str:
    progress = {"current": 1, "total": 2, "percent": 50.0, "message": text, "stage": text, "item": text}
    return page(part(1, "started", type=text, progress=progress, error={"type": text, "message": text}))


def built(page: str) -> list[tuple[str, list[str]]]:
    """The elements of a page and the names of their attributes, in order."""
    found = []

    class Builder(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append((tag, [name for name, _ in attributes]))

    Builder().feed(page)
    return found
