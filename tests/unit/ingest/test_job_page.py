"""The page of a job: what it says in each state, and that nothing in it can be anything but text."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ingest.pages.job_page import job_page
from ingest.pages.renderer import Assets, Pages

NOW = datetime(2026, 11, 22, 6, 1, tzinfo=UTC)
HOSTILE = json.loads((Path(__file__).parents[2] / "data" / "xss_payloads.json").read_text())
PAGES = Pages(Assets())


def job(**changes: Any) -> dict[str, Any]:
    return {
        "id": "job_01k0000000000000000000000",
        "source": "api",
        "type": "playlists.analyze",
        "status": "started",
        "position": None,
        "progress": None,
        "attempts": [],
        "max_attempts": 5,
        "logs": [],
        "next_attempt_at": None,
        "estimated_seconds": None,
        "result": None,
        "error": None,
        "callback": None,
        "created_at": "2026-11-22T05:59:00.000Z",
        "started_at": "2026-11-22T06:00:00.000Z",
        "ended_at": None,
        **changes,
    }


def page(*, may_cancel: bool = False, **changes: Any) -> str:
    made = job_page(PAGES, job(**changes), token="a b", may_cancel=may_cancel, now=NOW)
    assert "default-src 'none'" in made.headers["content-security-policy"]
    return bytes(made.body).decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "queued", "position": 1}, "is next"),
        ({"status": "queued", "position": 3}, "is number 3 of its queue"),
        ({"status": "queued"}, "waits for its turn"),
        ({"status": "scheduled", "next_attempt_at": "2026-11-22T06:02:15.000Z"}, "in 1 min 15 s"),
        ({"status": "started"}, "Running for"),
        ({"status": "started", "estimated_seconds": 75.0}, "Probably left"),
        ({"status": "finished", "result": {"a": 1}}, "&#34;a&#34;: 1"),
        ({"status": "failed", "error": {"type": "Reject", "message": "no such project"}}, "no such project"),
        ({"status": "canceled"}, "was canceled"),
    ],
)
def test_each_state_is_told_in_words(changes: dict[str, Any], words: str) -> None:
    assert words in page(**changes)


def test_one_attempt_that_was_enough_is_not_told_of() -> None:
    began = "2026-11-22T06:00:00.000Z"
    attempts = [
        {"round": 1, "number": number, "outcome": "finished", "started_at": began, "error": None}
        for number in (1, 2)
    ]
    assert "Attempt" not in page(status="finished", attempts=attempts[:1])
    assert "Attempt 2" in page(status="finished", attempts=attempts)


@pytest.mark.parametrize(
    ("estimated", "words"), [(75.0, "15 s"), (30.0, "any moment now"), (60.0, "any moment now")]
)
def test_what_is_left_is_what_others_took_less_what_it_has_run(estimated: float, words: str) -> None:
    assert f">{words}</dd>" in page(status="started", estimated_seconds=estimated)


def test_what_an_attempt_usually_takes_is_told_before_it_begins() -> None:
    text = page(status="queued", started_at=None, estimated_seconds=75.0)
    assert "Usually takes" in text
    assert "1 min 15 s" in text


def test_progress_names_the_item_the_stage_and_the_percent() -> None:
    progress = {
        "current": 15,
        "total": 250,
        "percent": 6.0,
        "message": "",
        "stage": "analysing",
        "item": "Song",
    }
    text = page(progress=progress)
    for part in ("15 of 250", "6 %", "analysing", "Song", 'value="6.0"'):
        assert part in text
    unknown = page(progress=progress | {"total": None, "percent": None})
    assert "<progress" in unknown
    assert "value=" not in unknown


def test_an_ended_job_is_a_page_that_asks_for_nothing_more() -> None:
    assert "live.js" in page(status="started")
    over = page(status="finished")
    assert "live.js" not in over
    assert "refresh" not in over
    assert "data-stream" not in over


def test_the_button_is_there_where_the_link_may_cancel() -> None:
    assert 'action="/jobs/job_01k0000000000000000000000/cancel?token=a+b"' in page(may_cancel=True)
    assert "cancel?" not in page(may_cancel=False)
    assert "cancel?" not in page(may_cancel=True, status="finished")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_strangers_wrote_is_text(hostile: str) -> None:
    """A073, A074, A078: in a payload's result, in names, errors, logs and progress; the page has the same elements whatever they are."""
    assert built(full(hostile)) == built(full("harmless"))


def full(text: str) -> str:
    """A page whose every field is that text."""
    error = {"type": text, "message": text}
    began = "2026-11-22T06:00:00.000Z"
    return page(
        type=text,
        source=text,
        error=error,
        result={text: text, "f": {"name": text, "url": text, "size": 1, "sha256": text}},
        logs=[{"level": "info", "message": text}],
        progress={"current": 1, "total": 2, "percent": 50.0, "message": text, "stage": text, "item": text},
        attempts=[{"round": 1, "number": 1, "outcome": "failed", "started_at": began, "error": error}],
    )


def built(page: str) -> list[tuple[str, list[str]]]:
    """The elements of a page and the names of their attributes, in order."""
    found = []

    class Builder(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append((tag, [name for name, _ in attributes]))

    Builder().feed(page)
    return found


def test_artifacts_of_our_own_are_links() -> None:
    kept = {
        "name": "a.pdf",
        "url": "https://h.example/artifacts/job_1/a.pdf?token=t",
        "size": 1536,
        "sha256": "x",
    }
    text = page(
        status="finished", result={"report": kept, "more": [kept | {"url": "https://evil.example/a"}]}
    )
    assert re.findall(r'<a href="([^"#]+)"', text) == ["/artifacts/job_1/a.pdf?token=t"]
    assert "1.5 KiB" in text


def test_a_huge_result_is_cut() -> None:
    assert "the API has the rest" in page(status="finished", result="x" * 200_000)
