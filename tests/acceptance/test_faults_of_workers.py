"""What happens to jobs when workers die, stop, or come back late."""

import os
import re
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import CALLBACK_SECRET, System, by_acme, descendants, free_port, is_alive
from tests.acceptance.inbox import Answer, Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other

TAKEN_OVER = 10.0  # seconds; the lease and the sweep of `System` are 1.2, and a busy machine is slow
PROCFILE = Path(__file__).parents[2] / "Procfile"


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


def test_a_job_whose_own_process_was_killed_is_tried_again(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F21: an attempt like any other that failed, after its backoff; the worker goes on."""
    worker = system.worker()
    job_id = submit(system, "gated-child", {"gate": "horse"}, inbox.url("horse"))
    wait_for_runs(system, wait_until, job_id)

    os.kill(system.runs(job_id)[0].pid, signal.SIGKILL)
    wait_until(lambda: len(system.runs(job_id)) == 2)
    system.open_gate("horse")

    job = system.ended(job_id)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["retried", "finished"]
    (post,) = inbox.wait_for("horse")
    assert post.verified(CALLBACK_SECRET)["data"]["result"] == "through"
    assert len(system.runs(job_id)) == 2
    assert len(inbox.posts("horse")) == 1
    assert worker.process.poll() is None


@pytest.mark.parametrize("type", ["gated", "gated-plain", "gated-child"])
@pytest.mark.parametrize("whom", ["worker", "worker and process"])
def test_a_job_whose_worker_was_killed_is_run_by_another(
    system: System, inbox: Inbox, wait_until: Callable[..., Any], type: str, whom: str
) -> None:
    """F22, F23: not lost, run twice at the most, called back once; what the worker had started has ended with it."""
    worker = system.worker()
    name = f"killed-{type}-{len(whom)}"
    job_id = submit(system, type, {"gate": name}, inbox.url(name))
    wait_for_runs(system, wait_until, job_id)
    family = [worker.pid, *descendants(worker.pid)]

    for pid in family if whom == "worker and process" else family[:1]:
        os.kill(pid, signal.SIGKILL)
    worker.process.wait()
    wait_until(lambda: not any(map(is_alive, family)))
    system.worker()
    wait_until(lambda: len(system.runs(job_id)) == 2, timeout=TAKEN_OVER)
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
    """F27: frozen for longer than its lease. Both ran it; one result is kept, one callback sent."""
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
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F29, F70: the third death fails it; its neighbours finish."""
    system = build(HOOKLINE_CONCURRENCY="4")
    system.web()
    good = [submit(system, "echo", number) for number in range(10)]
    poison = submit(system, "poison", None, inbox.url("poison"))
    good += [submit(system, "echo", number) for number in range(10, 20)]

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
    assert len(inbox.posts("poison")) == 1
    runs = Counter(run.job_id for run in system.runs() if run.job_id in good)
    assert max(runs.values()) <= 3
    # Those that ran beside it, and those whose end was on its way to Redis, the first time and the second.
    assert sum(count > 1 for count in runs.values()) <= 2 * (3 + 4)


def test_a_worker_that_slept_while_jobs_fell_due_takes_none_of_them_again(
    system: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F43: every worker has the schedule; the one that wakes up late finds it done."""
    sleeper, other = system.worker(), system.worker()
    sleeper.process.send_signal(signal.SIGSTOP)
    told = system.submit(
        [
            {"type": "echo", "payload": number, "run_in": 0.5, "callback_url": inbox.url("late")}
            for number in range(20)
        ]
    ).json()
    jobs = [one["job_id"] for one in told]
    for job_id in jobs:
        system.ended(job_id)
    inbox.wait_for("late", len(jobs))
    wait_until(lambda: system.http.get("/readyz").status_code == 200)
    more = submit(
        system, "gated", {"gate": "late"}
    )  # whom the sleeper would have to run, had it not lost its lease
    wait_for_runs(system, wait_until, more)
    sleeper.process.send_signal(signal.SIGCONT)
    system.open_gate("late")
    system.ended(more)

    assert sleeper.stop() == other.stop() == 0
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys([*jobs, more], 1)
    assert len(inbox.posts("late")) == len(jobs)


def test_jobs_fall_due_although_the_worker_that_saw_them_last_is_dead(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """F42: there is no scheduler that could die with its lock."""
    dying, other = system.worker(), system.worker()
    told = system.submit([{"type": "echo", "payload": number, "run_in": 0.5} for number in range(20)]).json()
    dying.stop(signal.SIGKILL)
    for one in told:
        job = system.ended(one["job_id"], wait=3)
        assert len(system.runs(job["id"])) == 1
    assert other.process.poll() is None


@pytest.mark.slow
def test_a_callback_whose_bookkeeping_was_cut_off_is_sent_again_with_the_same_id(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
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
    wait_until(lambda: system.job(job_id)["callback"]["status"] == "delivered")
    assert len(inbox.posts("cut-off")) == 2
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


def test_a_second_sigterm_changes_nothing(system: System, wait_until: Callable[..., Any]) -> None:
    """F25: whoever is impatient sends SIGKILL."""
    worker = system.worker()
    job_id = submit(system, "gated", {"gate": "twice"})
    wait_for_runs(system, wait_until, job_id)
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_output("stopping:")
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "ShdPnd:\t0000000000000000" in Path(f"/proc/{worker.pid}/status").read_text())
    assert worker.process.poll() is None
    system.open_gate("twice")

    assert worker.process.wait(10) == 0
    assert [attempt["outcome"] for attempt in system.job(job_id)["attempts"]] == ["finished"]


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


def shipped(process: str) -> str:
    """How the Procfile starts it."""
    (command,) = re.findall(rf"^{process}: *(.+)$", PROCFILE.read_text(), re.MULTILINE)
    return str(command)


def test_a_signal_reaches_the_worker_behind_a_shell(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    """F50: both are started as platforms start the Procfile; TERM goes to the shell."""
    system = build()
    web = system.run("sh", "-c", shipped("web"), said="listening on port")
    worker = system.run("sh", "-c", shipped("worker"), said=" serves ")
    job_id = submit(system, "gated", {"gate": "shell"})
    wait_for_runs(system, wait_until, job_id)
    family = [pid for shell in (web, worker) for pid in (shell.pid, *descendants(shell.pid))]

    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_output("stopping:")
    system.open_gate("shell")

    assert worker.process.wait(10) == 0
    assert system.job(job_id)["status"] == "finished"
    assert web.stop(signal.SIGTERM, timeout=15) == 0
    assert [pid for pid in family if is_alive(pid)] == []


def test_a_deploy_loses_nothing_and_runs_nothing_twice(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F49: the new processes start, then the old ones are stopped, while events come in."""
    system = build()
    ports = [free_port(), int(system.environ["PORT"])]
    old = [system.web(PORT=str(ports[0])), system.worker()]
    taken: dict[str, str] = {}
    over = threading.Event()

    def send() -> None:
        """As a platform's router does: to whoever takes it, with the same id until it is taken."""
        while not over.is_set():
            delivery = uuid.uuid4().hex
            body, headers = by_acme({"type": "echo", "callback_url": inbox.url("deploy")}, delivery=delivery)
            while delivery not in taken:
                for port in ports:
                    try:
                        answer = system.http.post(
                            f"http://127.0.0.1:{port}/hooks/acme", content=body, headers=headers
                        )
                    except httpx.TransportError:
                        continue
                    if answer.is_success:
                        taken[delivery] = answer.json()["job_id"]
                        break

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    wait_until(lambda: len(taken) > 20)
    system.web()
    system.worker()
    assert [process.stop() for process in old] == [0, 0]
    already = len(taken)
    wait_until(lambda: len(taken) > already + 20)
    over.set()
    for sender in senders:
        sender.join()

    posts = inbox.wait_for("deploy", len(taken), timeout=30)
    ended = [post.verified(CALLBACK_SECRET)["data"] for post in posts]
    assert {(job["status"], job["attempts"]) for job in ended} == {("finished", 1)}
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys(taken.values(), 1)
    assert len(inbox.posts("deploy")) == len(taken)


def test_a_web_process_lets_a_request_end_before_it_stops(
    system: System, wait_until: Callable[..., Any]
) -> None:
    """F04: who waits for a job gets its receipt, and the stop does not wait for the job; the exit code is that of an orderly end."""
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
    assert web.process.wait(10) == 0
    waiting.join()
    assert answers == [202]
    system.open_gate("web")


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
    wait_until(lambda: not any(map(is_alive, family)))


def test_a_burst_ends_when_there_is_no_more_to_do(system: System, inbox: Inbox) -> None:
    jobs = [submit(system, "echo", number, inbox.url("burst-worker")) for number in range(30)]
    worker = system.worker("--burst")
    assert worker.process.wait(20) == 0
    assert {system.job(job_id)["status"] for job_id in jobs} == {"finished"}
    assert len(inbox.posts("burst-worker")) == 30
