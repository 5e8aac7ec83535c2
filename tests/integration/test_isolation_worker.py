"""A real worker that stops while a child process is at work."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.embedded import EmbeddedServer
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.records import Arrival, JobRecord
from infra.redis_client import connect
from infra.settings import Settings
from tests.integration.processes import running

PROJECT = Path(__file__).with_name("project")
ROOT = str(Path(__file__).parents[2])


class House:
    """A ledger on the session's Valkey, in a queue of its own, and a worker on it."""

    def __init__(self, spawn: Callable[..., Any], valkey: EmbeddedServer, **settings: str) -> None:
        self._queue = f"queue-{new_suffix()}"
        self._environ = {
            "REDIS_URL": valkey.url,
            "HOOKLINE_SECRET_KEY": "key",
            "HOOKLINE_HANDLERS": "isolated",
            "HOOKLINE_QUEUES": self._queue,
            "PYTHONPATH": ROOT,
        } | settings
        self._spawn = spawn

    def worker(self) -> Any:
        worker = self._spawn("python", "-m", "infra.cli", "worker", env=self._environ, cwd=PROJECT)
        worker.wait_for_output(" serves ")
        return worker

    def accept(self, type: str, payload: Any) -> str:
        suffix = new_suffix()
        arrival = Arrival(
            event_id=EVENT + suffix, job_id=JOB + suffix, source="box", type=type, received_at=datetime.now(UTC),
            body=json.dumps(payload).encode(), queue=self._queue,
        )  # fmt: skip

        async def accepted() -> None:
            async with connect(self._environ["REDIS_URL"]) as client:
                await Ledger.of(client, Settings.load(self._environ)).events.accept([arrival])

        asyncio.run(accepted())
        return arrival.job_id

    def job(self, job_id: str) -> JobRecord:
        async def found() -> JobRecord | None:
            async with connect(self._environ["REDIS_URL"]) as client:
                return await Ledger.of(client, Settings.load(self._environ)).reading.job(job_id)

        job = asyncio.run(found())
        assert job is not None
        return job


def test_a_child_that_is_not_done_within_the_grace_is_killed_and_its_job_goes_back(
    spawn: Callable[..., Any], valkey: EmbeddedServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    house = House(spawn, valkey, HOOKLINE_SHUTDOWN_GRACE="300ms")
    worker = house.worker()
    noted = tmp_path / "pids"
    job_id = house.accept("waits for a program", str(noted))
    pids = [int(pid) for pid in wait_until(lambda: noted.exists() and noted.read_text(), 20).split()]

    assert worker.stop() == 0

    job = house.job(job_id)
    assert (job.status, job.attempt, job.crashes) == ("queued", 0, 0)
    wait_until(lambda: not any(map(running, pids)))


def test_a_child_may_finish_within_the_grace(
    spawn: Callable[..., Any], valkey: EmbeddedServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    house = House(spawn, valkey)
    worker = house.worker()
    job_id = house.accept("waits for a file", str(tmp_path))
    wait_until((tmp_path / "waiting").exists, 20)

    worker.process.terminate()
    worker.wait_for_output("stopping: no further job is taken, 1 may end")
    (tmp_path / "go on").touch()

    assert worker.process.wait(20) == 0
    job = house.job(job_id)
    assert (job.status, job.result) == ("finished", "there it is")
    assert [line["message"] for line in job.logs] == ["waiting"]


def test_a_job_that_kills_two_workers_is_given_up_with_its_third_process(
    spawn: Callable[..., Any], valkey: EmbeddedServer, wait_until: Callable[..., Any]
) -> None:
    house = House(spawn, valkey, HOOKLINE_LEASE="1s", HOOKLINE_SWEEP="200ms")
    job_id = house.accept("poison", None)

    for _ in range(2):
        assert house.worker().process.wait(20) == -9
    last = house.worker()
    job = wait_until(lambda: (job := house.job(job_id)).status == "failed" and job, 20)

    assert last.process.poll() is None
    assert job.error.type == "WorkerLost"
    assert job.crashes == 2
    assert last.stop() == 0
