"""`hookline serve`: web and worker in one process; without a Redis, in memory."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.builders import CALLBACK_SECRET, Server, System, assert_problem, by_acme, system
from tests.acceptance.inbox import Inbox
from tests.conftest import Spawned


@pytest.fixture
def small(tmp_path: Path) -> Iterator[System]:
    """A system without a Redis."""
    with system(tmp_path, None) as made:
        yield made


def serve(small: System, **settings: str) -> Spawned:
    return small.run("hookline", "serve", said=" serves ", **settings)


def test_it_answers_synchronously_and_says_that_nothing_outlives_it(small: System) -> None:
    process = serve(small)

    assert "nothing outlives this process" in process.output()
    answer = small.send({"type": "echo", "n": 7}, Prefer="wait=10")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=10")
    assert answer.json()["result"]["payload"] == {"type": "echo", "n": 7}
    assert small.http.get("/readyz").status_code == 200
    assert process.stop(signal.SIGTERM, timeout=15) == 0


def test_it_does_what_separate_processes_do(small: System, inbox: Inbox) -> None:
    serve(small)
    event = {"type": "failing", "callback_url": inbox.answer("serve", 500)}

    first = small.send(event, delivery="d-1")
    again = small.send(event, delivery="d-1")
    assert [answer.status_code for answer in (first, again)] == [202, 200]
    job = small.ended(first.json()["job_id"], "failed")
    assert len(job["attempts"]) == 3
    refused, taken = inbox.wait_for("serve", 2)
    assert refused.id == taken.id
    assert taken.verified(CALLBACK_SECRET)["type"] == "job.failed"
    body, headers = by_acme(event)
    answer = small.http.post("/hooks/acme", content=body + b" ", headers=headers)
    assert_problem(answer, 401, "signature_invalid")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_lets_a_running_job_end_before_it_stops(small: System, number: signal.Signals) -> None:
    """F24, for one process: what was acknowledged has the grace to run."""
    process = serve(small)
    name = f"serve-{number.name}"
    told = small.submit({"type": "gated-plain", "payload": {"gate": name}}).json()
    assert small.job(told["job_id"], wait=1)["status"] == "started"

    process.process.send_signal(number)
    process.wait_for_output("stopping: no further job is taken, 1 may end")
    small.open_gate(name)

    assert process.process.wait(15) == 0
    assert "api gated-plain finished" in process.output()


def test_with_a_redis_it_finds_the_data_of_the_last_run(small: System, server: Server) -> None:
    process = serve(small, REDIS_URL=server.url)
    assert "nothing outlives" not in process.output()
    job_id = small.submit({"type": "echo"}, Prefer="wait=10").json()["id"]
    assert process.stop(signal.SIGTERM, timeout=15) == 0

    serve(small, REDIS_URL=server.url)
    assert small.job(job_id)["status"] == "finished"
