"""Whoever can write to Redis chooses no code that runs, and nobody to be called (docs/security-tests.md)."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, System, assert_problem

pytestmark = pytest.mark.slow  # many processes, one after the other

QUEUE = "rq:queue:default"


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self._path}",)


@pytest.fixture
def system(build: Callable[..., System]) -> System:
    """A web process, and no worker: what a test queues stays queued until it starts one."""
    made = build()
    made.web()
    return made


def queued(system: System) -> str:
    told = system.submit({"type": "echo"})
    assert told.status_code == 202
    return str(told.json()["job_id"])


def test_no_record_chooses_what_is_called(system: System, tmp_path: Path) -> None:
    """A096, A097, A098: a pickle, the name of a function, callbacks of RQ's; in a stranger's job, or in one of ours."""
    touched = tmp_path / "touched"
    bomb = pickle.dumps(Touch(touched))
    shell = json.dumps(["os.system", None, [f"touch {touched}"], {}]).encode()
    callbacks = {f"{when}_callback_name": "os.system" for when in ("success", "failure", "stopped")}
    for number, data in enumerate((bomb, shell)):
        planted = f"job_{number:026}"
        record = {
            "data": data,
            "status": "queued",
            "origin": "default",
            "description": "planted",
            **callbacks,
        }
        system.redis.hset(f"rq:job:{planted}", mapping=record)
        system.redis.rpush(QUEUE, planted)
    jobs = [queued(system) for _ in range(4)]
    webhooks = json.dumps([{"url": "http://127.0.0.1:1/"}])
    changes: list[Any] = [{"data": bomb}, {"data": shell}, callbacks, {"webhooks": webhooks}]
    for job_id, change in zip(jobs, changes, strict=True):
        system.redis.hset(f"rq:job:{job_id}", mapping=change)

    system.worker()
    for job_id in jobs:
        assert system.ended(job_id)["callback"] is None
    assert sorted(run.job_id for run in system.runs()) == sorted(jobs)
    assert not touched.exists()


def test_a_result_that_is_a_pickle_is_not_read_as_one(system: System, tmp_path: Path) -> None:
    """A099: in the web process, which shows it."""
    touched = tmp_path / "touched"
    job_id = queued(system)
    system.worker()
    system.ended(job_id)
    bomb = pickle.dumps(Touch(touched))
    system.redis.xadd(f"rq:results:{job_id}", {"type": "1", "return_value": bomb, "payload": bomb})
    system.redis.hset(f"rq:job:{job_id}", mapping={"meta": bomb, "result": bomb, "exc_info": bomb})

    assert system.job(job_id)["status"] == "finished"
    assert not touched.exists()


def test_an_event_that_was_changed_costs_itself_alone(system: System) -> None:
    """A101, A102: its job has failed, or was put aside if nothing can be read of it any more; its neighbour runs."""
    texts = [b"<script>alert(1)</script>", b"x" * 1_000_000, b"\xff\xfe\x00", b"-1", None]
    changes = [(name, text) for name in ("body", "head") for text in texts]
    spoilt = [queued(system) for _ in changes]
    sound = queued(system)
    for job_id, (name, text) in zip(spoilt, changes, strict=True):
        event = job_id.replace("job_", "hookline:event:evt_")
        assert system.redis.hexists(event, name)
        if text is None:
            system.redis.hdel(event, name)
        else:
            system.redis.hset(event, name, text)

    system.worker()
    system.ended(sound)
    assert [run.job_id for run in system.runs()] == [sound]
    for job_id, (name, _) in zip(spoilt, changes, strict=True):
        answer = system.http.get(f"/jobs/{job_id}", headers={"Authorization": f"Bearer {API_KEY}"})
        if name == "body":
            assert (answer.status_code, answer.json()["status"]) == (200, "failed")
        else:
            assert_problem(answer, 410, "quarantined")
