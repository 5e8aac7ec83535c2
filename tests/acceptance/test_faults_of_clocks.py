"""What happens where the clocks of machines differ, or jump. Redis's clock is the one that counts."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.builders import System, assert_problem, by_stamped
from tests.acceptance.inbox import Inbox
from tests.acceptance.skew import WallClock
from tests.conftest import Spawned

pytestmark = pytest.mark.slow  # many processes, one after the other

HOUR = timedelta(hours=1)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def assert_off(process: Spawned, by: timedelta) -> None:
    """The process goes by the wrong clock: its log says so."""
    told = json.loads(process.output().splitlines()[-1])["time"]
    assert abs(instant(told) - datetime.now(UTC) - by) < timedelta(minutes=1)


def assert_in_order(job: dict[str, Any]) -> None:
    """No time in the record lies before one that came first."""
    times = [job["created_at"], job["started_at"], job["ended_at"]]
    assert times == sorted(times, key=instant)
    for attempt in job["attempts"]:
        assert instant(attempt["started_at"]) <= instant(attempt["ended_at"])


@pytest.mark.parametrize("off_by", [400, -400])
def test_a_web_process_whose_clock_is_off_refuses_what_is_stamped_and_says_so_in_its_log(
    build: Callable[..., System], wall_clock: WallClock, off_by: int
) -> None:
    """F72. The sender gets the one answer for every fault of a signature; the log names the timestamp."""
    system = build()
    wall_clock.set(timedelta(seconds=off_by))
    web = system.web(**wall_clock.environ)
    before = system.keys()
    body, headers = by_stamped({"type": "echo"})

    answer = system.http.post("/hooks/stamped", content=body, headers=headers)

    assert_problem(answer, 401, "signature_invalid")
    (said,) = [json.loads(line) for line in web.output().splitlines() if "signature_invalid" in line]
    assert "timestamp" in said["because"], said
    assert system.keys() == before


@pytest.mark.parametrize("off_by", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_worker_whose_clock_is_an_hour_off_takes_nothing_too_early(
    build: Callable[..., System], wall_clock: WallClock, inbox: Inbox, off_by: timedelta
) -> None:
    """F73: two leases long, beside a worker with the right time; a retry waits, too."""
    system = build()
    system.web()
    wall_clock.set(off_by)
    system.worker(HOOKLINE_CONCURRENCY="16")
    wrong = system.worker(HOOKLINE_CONCURRENCY="16", **wall_clock.environ)
    name = f"wrong-clock-{off_by > timedelta()}"

    told = system.submit(
        [{"type": "resting", "payload": {"seconds": 2}, "callback_url": inbox.url(name)}] * 20
        + [{"type": "again-in-a-second"}] * 10
    ).json()
    resting, again = ([one["job_id"] for one in some] for some in (told[:20], told[20:]))

    for job_id in (*resting, *again):
        assert_in_order(system.ended(job_id))
    inbox.wait_for(name, 20)
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys(resting, 1) | dict.fromkeys(again, 2)
    assert len(inbox.posts(name)) == 20
    assert wrong.pid in {run.pid for run in system.runs()}
    assert_off(wrong, off_by)
    for job_id in again:
        first, second = system.job(job_id)["attempts"]
        waited = instant(second["started_at"]) - instant(first["ended_at"])
        assert timedelta(seconds=0.5) <= waited <= timedelta(seconds=2)


@pytest.mark.parametrize("off_by", [30, 400])
def test_a_link_from_a_process_whose_clock_is_ahead_works_within_a_minute(
    build: Callable[..., System], wall_clock: WallClock, off_by: int
) -> None:
    """F74: beyond that it is refused, in order."""
    system = build()
    system.worker()
    wall_clock.set(timedelta(seconds=off_by))
    web = system.web(**wall_clock.environ)
    url = system.submit({"type": "echo"}).json()["status_url"]
    assert system.http.get(url).status_code == 200
    web.stop()
    system.web()

    answer = system.http.get(url)
    if off_by < 60:
        assert answer.status_code == 200
    else:
        assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("off_by", [timedelta(minutes=-10), HOUR], ids=["back", "forth"])
def test_clocks_that_jump_while_jobs_run_change_nothing(
    build: Callable[..., System],
    wall_clock: WallClock,
    inbox: Inbox,
    wait_until: Callable[..., Any],
    off_by: timedelta,
) -> None:
    """F75: the web's and the worker's, ten minutes back, or an hour forth."""
    system = build()
    system.web(**wall_clock.environ)
    worker = system.worker(**wall_clock.environ)
    name = f"jump-{off_by > timedelta()}"
    told = system.submit(
        [
            {"type": gated, "payload": {"gate": name}, "callback_url": inbox.url(name)}
            for gated in ("gated", "gated-plain", "gated-child")
        ]
    ).json()
    jobs = [one["job_id"] for one in told]
    wait_until(lambda: len(system.runs()) == len(jobs))

    wall_clock.set(off_by)
    wait_until(lambda: system.http.get("/readyz").status_code == 200)
    system.open_gate(name)

    for job_id in jobs:
        assert_in_order(system.ended(job_id))
    inbox.wait_for(name, len(jobs))
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys(jobs, 1)
    assert len(inbox.posts(name)) == len(jobs)
    assert_off(worker, off_by)
    after = system.send({"type": "echo"})
    assert after.status_code == 202
    assert_in_order(system.ended(after.json()["job_id"]))
