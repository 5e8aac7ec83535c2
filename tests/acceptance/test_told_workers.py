"""What a running worker is told: that a job was canceled, and RQ's own commands. And what it says by itself of a blocked loop."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.worker import Worker

from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, System, descendants, is_alive
from tests.acceptance.inbox import Inbox
from tests.conftest import Spawned

RUNNING = ["gated", "gated-plain", "gated-child"]


@pytest.fixture
def system(build: Callable[..., System]) -> System:
    made = build(HOOKLINE_PROCESS_SLOTS="2")
    made.web()
    return made


def begun(system: System, wait_until: Callable[..., Any], type: str, callback_url: str | None = None) -> str:
    """A job that runs by now, and whose gate stays shut; its worker listens to what it is told."""
    job_id = submit(system, type, {"gate": f"shut-{type}"}, callback_url)
    wait_until(lambda: system.runs(job_id), 20)
    wait_until(lambda: system.redis.pubsub_channels("rq:pubsub:*"), 20)
    return job_id


def submit(system: System, type: str, payload: Any = None, callback_url: str | None = None) -> str:
    answer = system.submit({"type": type, "payload": payload, "callback_url": callback_url})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def cancel(system: System, job_id: str) -> None:
    answer = system.http.post(f"/jobs/{job_id}/cancel", headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 200, answer.text


def name_of(system: System) -> str:
    """The one worker's, as RQ knows it."""
    (worker,) = Worker.all(connection=system.redis)
    return str(worker.name)


def assert_goes_on(system: System, worker: Spawned) -> None:
    """The worker takes other jobs, and stops in order."""
    assert system.ended(submit(system, "echo"))["result"]
    assert worker.stop() == 0


@pytest.mark.parametrize("type", RUNNING)
def test_a_canceled_job_stops_and_its_worker_goes_on(
    system: System, inbox: Inbox, wait_until: Callable[..., Any], type: str
) -> None:
    """A coroutine is interrupted, a process killed; a thread is told, and given up when it does not listen."""
    worker = system.worker()
    job_id = begun(system, wait_until, type, inbox.url(f"canceled-{type}"))
    (run,) = system.runs(job_id)

    cancel(system, job_id)

    (post,) = inbox.wait_for(f"canceled-{type}")
    assert post.verified(CALLBACK_SECRET)["type"] == "job.canceled"
    worker.wait_for_output("stopped: the job was canceled")
    if type == "gated-child":
        wait_until(lambda: not is_alive(run.pid))
    system.open_gate(f"shut-{type}")
    assert_goes_on(system, worker)
    assert system.job(job_id)["status"] == "canceled"
    assert len(system.runs(job_id)) == len(inbox.posts(f"canceled-{type}")) == 1


def test_rqs_stop_command_cancels_the_job(system: System, wait_until: Callable[..., Any]) -> None:
    """A100."""
    worker = system.worker()
    job_id = begun(system, wait_until, "gated")

    send_stop_job_command(system.redis, job_id)

    assert system.ended(job_id, "canceled")["attempts"][-1]["outcome"] == "canceled"
    worker.wait_for_output("stopped: the job was canceled")
    assert_goes_on(system, worker)


def test_rqs_shutdown_command_stops_the_worker_in_order(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """A100."""
    worker = system.worker()
    job_id = begun(system, wait_until, "gated")

    send_shutdown_command(system.redis, name_of(system))

    worker.wait_for_output("stopping: no further job is taken, 1 may end")
    system.open_gate("shut-gated")
    assert worker.process.wait(10) == 0
    assert system.job(job_id)["status"] == "finished"


def test_rqs_kill_horse_command_fails_what_child_processes_run(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """A100."""
    worker = system.worker()
    in_the_loop = begun(system, wait_until, "gated")
    in_a_child = begun(system, wait_until, "gated-child")
    before = descendants(worker.pid)

    send_kill_horse_command(system.redis, name_of(system))

    wait_until(lambda: len(system.runs(in_a_child)) == 2, 20)
    wait_until(lambda: not any(map(is_alive, before)))
    for name in ("shut-gated", "shut-gated-child"):
        system.open_gate(name)
    attempts = system.ended(in_a_child)["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["retried", "finished"]
    assert "was killed by SIGKILL" in attempts[0]["error"]["message"]
    assert len(system.ended(in_the_loop)["attempts"]) == 1


def test_what_stood_still_longer_than_its_lease_stops_its_jobs(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """F22: the job runs elsewhere; here it is given up, not run to its end."""
    sleeper = system.worker()
    job_id = begun(system, wait_until, "gated")

    sleeper.process.send_signal(signal.SIGSTOP)
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2)
    sleeper.process.send_signal(signal.SIGCONT)

    sleeper.wait_for_output("stopped: the job was canceled, or runs elsewhere")
    system.open_gate("shut-gated")
    assert len(system.ended(job_id)["attempts"]) == 2
    assert sleeper.stop() == 0
    assert len(system.runs(job_id)) == 2


def test_a_handler_that_blocks_the_loop_is_named_and_costs_no_lease(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """F31: for longer than two leases, beside a job that only waits, with a second worker that would take both over."""
    blocked = system.worker()
    beside = begun(system, wait_until, "gated")
    blocking = submit(system, "blocking", {"seconds": 2.5})
    wait_until(lambda: system.runs(blocking))
    other = system.worker()

    assert [attempt["outcome"] for attempt in system.ended(blocking)["attempts"]] == ["finished"]
    system.open_gate("shut-gated")
    system.ended(beside)

    said = blocked.wait_for_output("the loop goes on after").splitlines()
    (line,) = [line for line in said if "the loop is blocked" in line]
    assert f'"job": "{blocking}"' in line
    assert '"handler": "scenario:blocking"' in line
    assert "time.sleep(context.payload" in line
    assert len(system.runs(blocking)) == len(system.runs(beside)) == 1
    assert "the loop is blocked" not in other.output()
