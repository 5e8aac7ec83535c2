"""What happens to jobs when workers die, stop, or come back late."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.builders import CALLBACK_SECRET, System, descendants, is_alive
from tests.acceptance.inbox import Answer, Inbox


def submit(system: System, type: str, payload: Any = None, callback_url: str | None = None) -> str:
    answer = system.submit({"type": type, "payload": payload, "callback_url": callback_url})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def wait_for_runs(system: System, wait_until: Callable[..., Any], *job_ids: str) -> None:
    """Return once each of these jobs has begun."""
    wait_until(lambda: {run.job_id for run in system.runs()} >= set(job_ids))


@pytest.fixture
def system(build: Callable[..., System]) -> System:
    """A web process; the workers come and go."""
    made = build()
    made.web()
    return made


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["gated", "gated-plain"])
def test_a_job_whose_worker_was_killed_is_run_by_another(
    system: System, inbox: Inbox, wait_until: Callable[..., Any], type: str
) -> None:
    """F22: not lost, run twice at the most, called back once."""
    worker = system.worker()
    name = f"killed-{type}"
    job_id = submit(system, type, {"gate": name}, inbox.url(name))
    wait_for_runs(system, wait_until, job_id)

    worker.stop(signal.SIGKILL)
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2)
    system.open_gate(name)

    job = system.ended(job_id)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["crashed", "finished"]
    (post,) = inbox.wait_for(name)
    assert post.verified(CALLBACK_SECRET)["data"]["result"] == "through"
    assert len(system.runs(job_id)) == 2
    assert len(inbox.posts(name)) == 1


def test_a_worker_that_was_thought_dead_and_comes_back_changes_nothing(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F22: both ran it; one result is kept, one callback sent."""
    sleeper = system.worker()
    job_id = submit(system, "gated", {"gate": "paused"}, inbox.url("paused"))
    wait_for_runs(system, wait_until, job_id)

    sleeper.process.send_signal(signal.SIGSTOP)
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2)
    system.open_gate("paused")
    ended = system.ended(job_id)
    inbox.wait_for("paused")
    sleeper.process.send_signal(signal.SIGCONT)
    sleeper.wait_for_output("gated finished")

    assert sleeper.stop() == 0
    assert system.job(job_id)["attempts"] == ended["attempts"]
    assert len(inbox.posts("paused")) == 1


def test_three_workers_that_start_together_take_over_each_job_once(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F41."""
    dying = system.worker()
    jobs = [submit(system, "gated", {"gate": "three"}, inbox.url("three")) for _ in range(5)]
    wait_for_runs(system, wait_until, *jobs)
    dying.stop(signal.SIGKILL)
    starting = [threading.Thread(target=system.worker) for _ in range(3)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()

    wait_until(lambda: len(system.runs()) == 10)
    system.open_gate("three")

    for job_id in jobs:
        assert len(system.ended(job_id)["attempts"]) == 2
    inbox.wait_for("three", 5)
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys(jobs, 2)
    assert len({post.id for post in inbox.posts("three")}) == len(inbox.posts("three")) == 5


def test_a_job_that_kills_its_worker_three_times_is_given_up_and_called_back(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F29, F70: the third death fails it; its neighbours finish."""
    good = [submit(system, "echo", number, inbox.url("good")) for number in range(3)]
    poison = submit(system, "poison", None, inbox.url("poison"))
    good += [submit(system, "echo", number, inbox.url("good")) for number in range(3, 6)]

    worker = system.worker()
    while system.job(poison)["status"] != "failed":
        if worker.process.poll() is not None:
            worker = system.worker()
        time.sleep(0.02)

    job = system.job(poison)
    assert [attempt["outcome"] for attempt in job["attempts"]][:2] == ["crashed"] * 2
    assert len(job["attempts"]) == len(system.runs(poison)) == 3
    (post,) = inbox.wait_for("poison")
    assert post.verified(CALLBACK_SECRET)["type"] == "job.failed"
    for job_id in good:
        system.ended(job_id)
    inbox.wait_for("good", 6)


@pytest.mark.slow
def test_a_callback_whose_bookkeeping_was_cut_off_is_sent_again_with_the_same_id(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F60: the receiver has it, the sender was killed before it could write that down."""
    system = build(HOOKLINE_CALLBACK_TIMEOUT="1s")
    system.web()
    worker = system.worker()
    inbox.answer("cut-off", Answer(before=lambda: worker.stop(signal.SIGKILL)))
    job_id = submit(system, "echo", None, inbox.url("cut-off"))
    inbox.wait_for("cut-off")
    system.worker()

    first, second = inbox.wait_for("cut-off", 2, timeout=30)
    assert first.id == second.id
    assert first.body == second.body
    assert len(system.runs(job_id)) == 1


# -- stopped -----------------------------------------------------------------------------------------------------------


def test_sigterm_lets_running_jobs_end_and_takes_no_further_one(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F24."""
    worker = system.worker(HOOKLINE_CONCURRENCY="1")
    running = submit(system, "gated", {"gate": "drain"}, inbox.url("drain"))
    wait_for_runs(system, wait_until, running)
    waiting = submit(system, "echo")

    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_output("stopping: no further job is taken, 1 may end")
    system.open_gate("drain")

    assert worker.process.wait(10) == 0
    job = system.job(running)
    assert (job["status"], len(job["attempts"])) == ("finished", 1)
    assert system.job(waiting)["status"] == "queued"
    system.worker()
    system.ended(waiting)
    inbox.wait_for("drain")
    assert len(system.runs(running)) == 1


@pytest.mark.parametrize("type", ["gated", "gated-plain"])
def test_what_does_not_end_within_the_grace_goes_back_at_once(
    system: System, wait_until: Callable[..., Any], type: str
) -> None:
    """F25: nobody waits for a lease, and it counts as no failure."""
    worker = system.worker(HOOKLINE_SHUTDOWN_GRACE="100ms", HOOKLINE_LEASE="60s")
    job_id = submit(system, type, {"gate": type})
    wait_for_runs(system, wait_until, job_id)

    assert worker.stop(signal.SIGTERM, timeout=10) == 0
    assert system.job(job_id)["status"] == "queued"
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2)
    system.open_gate(type)
    job = system.ended(job_id)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["finished"]


def test_sigkill_during_the_grace_loses_nothing(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F26: how a platform stops a process that takes too long."""
    worker = system.worker()
    job_id = submit(system, "gated", {"gate": "platform"}, inbox.url("platform"))
    wait_for_runs(system, wait_until, job_id)

    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_output("stopping:")
    worker.stop(signal.SIGKILL)
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2)
    system.open_gate("platform")

    system.ended(job_id)
    inbox.wait_for("platform")
    assert len(system.runs(job_id)) == 2
    assert len(inbox.posts("platform")) == 1


def test_a_signal_reaches_the_worker_behind_a_shell(system: System, wait_until: Callable[..., Any]) -> None:
    """F50: started as a container's shell form starts it."""
    shell = system.run("sh", "-c", "exec hookline worker", said=" serves ")
    job_id = submit(system, "gated", {"gate": "shell"})
    wait_for_runs(system, wait_until, job_id)
    family = [shell.pid, *descendants(shell.pid)]

    shell.process.send_signal(signal.SIGTERM)
    shell.wait_for_output("stopping:")
    system.open_gate("shell")

    assert shell.process.wait(10) == 0
    assert [pid for pid in family if is_alive(pid)] == []
    assert system.job(job_id)["status"] == "finished"


def test_a_web_process_lets_a_request_end_before_it_stops(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """F04: who waits for a job still gets an answer; the exit code is that of an orderly end."""
    system.worker()
    (web, _) = system.started
    answers: list[int] = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            system.submit({"type": "gated", "payload": {"gate": "web"}}, Prefer="wait=30").status_code
        )
    )
    waiting.start()
    wait_until(system.runs)

    web.process.send_signal(signal.SIGTERM)
    web.wait_for_output("Shutting down")
    system.open_gate("web")

    assert web.process.wait(10) == 0
    waiting.join()
    assert answers == [200]


def test_a_web_process_of_several_stops_with_all_of_them(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    """F50, for ``hookline web --workers 2``."""
    system = build()
    web = system.web("--workers", "2")
    assert system.http.get("/healthz").status_code == 200
    wait_until(lambda: len(descendants(web.pid)) >= 2)
    family = descendants(web.pid)

    assert web.stop(signal.SIGTERM, timeout=20) == 0
    wait_until(lambda: not any(map(is_alive, family)), timeout=2)


def test_a_burst_ends_when_there_is_no_more_to_do(system: System, inbox: Inbox) -> None:
    jobs = [submit(system, "echo", number, inbox.url("burst-worker")) for number in range(30)]
    worker = system.worker("--burst")
    assert worker.process.wait(20) == 0
    assert {system.job(job_id)["status"] for job_id in jobs} == {"finished"}
    assert len(inbox.posts("burst-worker")) == 30
