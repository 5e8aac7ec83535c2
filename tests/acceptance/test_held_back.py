"""What operators hold back, real workers heed: paused queues and handlers, whatever restarts, and the wish that a worker ends."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, System

pytestmark = pytest.mark.slow

HEEDED = 1.0  # seconds


def ask(house: System, path: str) -> Any:
    answer = house.http.post(path, headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def submitted(house: System, type_: str = "echo", **fields: Any) -> str:
    return str(house.submit({"type": type_, **fields}).json()["job_id"])


@pytest.mark.parametrize(
    ("path", "held", "others"),
    [
        ("/queues/low", {"queue": "low"}, {}),
        ("/handlers/scenario:echo", {}, {"type_": "plain"}),
    ],
    ids=["a queue", "a handler"],
)
def test_a_pause_is_heeded_at_once_and_outlives_the_workers(
    build: Callable[..., System], path: str, held: dict[str, str], others: dict[str, str]
) -> None:
    house = build()
    workers = [house.worker() for _ in range(2)]
    house.web()
    house.ended(submitted(house))
    ask(house, f"{path}/pause")
    time.sleep(HEEDED)  # what is promised: heeded within a second
    waiting = [submitted(house, **held) for _ in range(20)]
    for _ in range(2):
        house.ended(submitted(house, **others))
        assert {house.job(job_id)["status"] for job_id in waiting} == {"queued"}
        for worker in workers:
            worker.stop(signal.SIGKILL)
        workers = [house.worker()]

    ask(house, f"{path}/resume")
    for job_id in waiting:
        house.ended(job_id)
    assert sorted(run.job_id for run in house.runs() if run.job_id in waiting) == sorted(waiting)


def test_a_drained_worker_ends_what_it_runs_and_takes_nothing_more(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    house = build()
    old = house.worker()
    house.web()
    job_id = submitted(house, "gated", payload={"gate": "drain"})
    wait_until(lambda: house.job(job_id)["status"] == "started")
    queues = house.http.get("/queues", headers={"Authorization": f"Bearer {API_KEY}"}).json()
    (worker,) = queues["workers"]
    ask(house, f"/workers/{worker['name']}/drain")
    old.wait_for_output("stopping: no further job is taken")
    other = submitted(house)
    assert house.job(other, wait=1)["status"] == "queued"
    shown = house.http.get("/queues", headers={"Authorization": f"Bearer {API_KEY}"}).json()["workers"]
    assert [one["draining"] for one in shown] == [True]
    house.worker()
    house.ended(other)
    house.open_gate("drain")
    assert house.ended(job_id)["result"] is not None
    assert old.process.wait(20) == 0
