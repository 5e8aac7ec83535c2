"""What handlers say, gathered."""

import json
from datetime import UTC, datetime
from threading import Thread

from infra.clock import ManualClock
from infra.ledger.records import Claim, Progress
from worker.reports import Reports

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def claim(job_id: str = "job_1") -> Claim:
    return Claim(
        job_id=job_id, event_id="evt_1", token="w-1", queue="default", attempt=1, crashes=0, claimed_at=NOW, created_at=NOW,
        source="acme", type="t", received_at=NOW, headers={}, content_type="", body=b"", metadata={},
    )  # fmt: skip


def test_only_the_last_progress_between_two_writes_is_written() -> None:
    reports = Reports(ManualClock(NOW))
    reports.open(claim())
    for current in range(5):
        reports.progress("job_1", Progress(current=current))
    (report,) = reports.take()
    assert report.progress == Progress(current=4)
    assert reports.take() == []


def test_every_log_line_is_written_once_in_order() -> None:
    reports = Reports(ManualClock(NOW))
    reports.open(claim())
    reports.log("job_1", "info", "one")
    (first,) = reports.take()
    reports.log("job_1", "error", "two")
    last = reports.close(claim())
    assert last is not None
    assert [json.loads(line)["message"] for line in (*first.lines, *last.lines)] == ["one", "two"]
    assert json.loads(last.lines[0]) == {
        "at": "2026-11-21T00:00:00.000Z", "attempt": 1, "level": "error", "message": "two",
    }  # fmt: skip


def test_a_job_that_is_not_open_is_not_heard() -> None:
    reports = Reports(ManualClock(NOW))
    reports.open(claim())
    reports.close(claim())
    reports.progress("job_1", Progress(current=1))
    reports.log("job_1", "info", "late")
    assert reports.take() == []
    assert reports.close(claim()) is None


def test_threads_may_speak_at_once() -> None:
    reports = Reports(ManualClock(NOW))
    reports.open(claim())
    threads = [
        Thread(target=lambda: [reports.log("job_1", "info", "x") for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (report,) = reports.take()
    assert len(report.lines) == 800
