"""What a handler does once, though its worker is killed, stopped or told to try again; and what recurs (CONTRACT, section 7)."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import System, serving
from tests.acceptance.builders import system as build_system

pytestmark = pytest.mark.slow  # many processes, one after the other

in_every_way = pytest.mark.parametrize("way", ["", "-plain", "-child", "-plain-child"])


SETTINGS = {"HOOKLINE_HANDLERS": "durable", "SOURCE_ACME_WAIT_KEY": "json:$.order"}


@pytest.fixture
def system(build: Callable[..., System]) -> System:
    """A web process; the workers come and go."""
    made = build(**SETTINGS)
    made.web()
    return made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker process that the tests of this module share, and break nothing of."""
    with (
        serving() as server,
        build_system(tmp_path_factory.mktemp("house"), server.url, **SETTINGS) as running,
    ):
        running.worker()
        running.web()
        yield running


def submit(system: System, type: str, payload: Any = None) -> str:
    answer = system.submit({"type": type, "payload": payload})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def done(system: System) -> Counter[str]:
    """What handlers did, and how often."""
    file = Path(f"{system.environ['EFFECTS']}-done")
    return Counter(file.read_text().splitlines() if file.exists() else [])


# -- steps -------------------------------------------------------------------------------------------------------------


@in_every_way
def test_a_step_is_not_done_again_though_the_worker_was_killed_in_the_next_one(
    system: System, way: str, wait_until: Callable[..., Any]
) -> None:
    worker = system.worker()
    job_id = submit(system, f"steps{way}", {"gate": "second"})
    wait_until(lambda: done(system)[f"second {job_id}"], 20)

    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()
    system.worker()
    wait_until(lambda: done(system)[f"second {job_id}"] == 2, 20)
    system.open_gate("second")

    job = system.ended(job_id)
    assert job["result"] == [f"first {job_id}", "through"]
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["crashed", "finished"]
    assert done(system)[f"first {job_id}"] == 1


# -- events ------------------------------------------------------------------------------------------------------------


@in_every_way
def test_a_wait_lives_through_a_restart_of_the_worker(
    system: System, way: str, wait_until: Callable[..., Any]
) -> None:
    worker = system.worker()
    job_id = submit(system, f"waits{way}", {"key": "pay_1"})
    wait_until(lambda: system.job(job_id)["status"] == "scheduled", 20)
    assert worker.stop() == 0
    assert system.send({"type": "paid", "total": 12}, delivery="pay_1").status_code == 202
    assert system.job(job_id)["status"] == "queued"

    system.worker()

    job = system.ended(job_id)
    assert job["result"] == {"sent": {"type": "paid", "total": 12}, "attempt": 1}
    assert [attempt["number"] for attempt in job["attempts"]] == [1]
    assert done(system)[f"ordered {job_id}"] == 1
    assert len(system.runs(job_id)) == 2


def test_a_job_is_woken_by_what_the_source_calls_its_wait_key(
    house: System, wait_until: Callable[..., Any]
) -> None:
    job_ids = [submit(house, "waits", {"key": "order-7"}) for _ in range(3)]
    wait_until(lambda: {house.job(job_id)["status"] for job_id in job_ids} == {"scheduled"})
    house.send({"type": "paid", "order": "order-8"})
    house.send({"type": "paid", "order": "order-7"})

    for job_id in job_ids:
        assert house.ended(job_id)["result"]["sent"]["order"] == "order-7"


@in_every_way
def test_an_event_that_came_before_the_wait_is_found(house: System, way: str) -> None:
    house.send({"type": "paid", "order": f"order{way}"}, delivery=f"pay{way}")

    for key in (f"pay{way}", f"order{way}"):
        job_id = submit(house, f"waits{way}", {"key": key})
        assert house.ended(job_id)["result"]["sent"]["order"] == f"order{way}"
        assert len(house.runs(job_id)) == 1


@in_every_way
def test_a_wait_in_vain_fails_the_job(house: System, way: str) -> None:
    job_id = submit(house, f"waits{way}", {"key": "pay_never", "timeout": "300ms"})

    job = house.ended(job_id, "failed")
    assert job["error"] == {
        "type": "WaitTimeout",
        "message": "the event pay_never of acme did not come in time",
    }
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failed"]
    assert done(house)[f"ordered {job_id}"] == 1


def test_a_job_that_waits_can_be_canceled(house: System, wait_until: Callable[..., Any]) -> None:
    job_id = submit(house, "waits", {"key": "pay_late"})
    wait_until(lambda: house.job(job_id)["status"] == "scheduled")
    house.http.post(f"/jobs/{job_id}/cancel", headers={"Authorization": "Bearer acceptance-key"})
    house.send({"type": "paid"}, delivery="pay_late")

    assert house.job(job_id, wait=1)["status"] == "canceled"
    assert len(house.runs(job_id)) == 1


# -- jobs --------------------------------------------------------------------------------------------------------------


@in_every_way
def test_a_job_makes_others_once_though_it_is_tried_again(house: System, way: str) -> None:
    job = house.ended(submit(house, f"makes{way}"))

    children = [house.ended(child) for child in job["result"]]
    assert [child["result"]["payload"] for child in children] == [1, 2]
    assert {child["parent"] for child in children} == {job["id"]}
    assert job["parent"] is None
    assert [len(house.runs(child)) for child in job["result"]] == [1, 1]
    assert sum(run.type == "echo" and run.job_id > job["id"] for run in house.runs()) == 2


# -- what recurs -------------------------------------------------------------------------------------------------------


def test_each_time_comes_once_with_two_workers(system: System, wait_until: Callable[..., Any]) -> None:
    workers = [system.worker() for _ in range(2)]
    wait_until(lambda: sum(what.startswith("due ") for what in done(system)) >= 3, 30)
    for worker in workers:
        worker.stop()
    seen = len(done(system))
    time.sleep(2.1)  # two times are missed
    system.worker()
    wait_until(lambda: len(done(system)) > seen, 20)

    times = [what for what in done(system) if what.startswith("due ")]
    assert set(done(system).values()) == {1}
    assert len(times) >= 4


# -- progress ----------------------------------------------------------------------------------------------------------


def test_progress_is_written_ten_times_a_second_at_the_most(house: System) -> None:
    began = time.monotonic()
    job = house.ended(submit(house, "talks"))
    took = time.monotonic() - began

    written = [
        change
        for _, entry in house.redis.xrange("hookline:live")
        for change in json.loads(entry[b"changes"])
        if change["job_id"] == job["id"] and "progress" in change
    ]
    assert 2 <= len(written) <= took * 10 + 2
    assert job["progress"]["current"] == 1_999


# -- addresses that come with a payload --------------------------------------------------------------------------------


@in_every_way
def test_a_handler_fetches_what_may_be_called_and_nothing_else(house: System, way: str) -> None:
    near = house.ended(submit(house, f"fetches{way}", {"url": f"{house.http.base_url}/healthz"}))
    assert near["result"][0] == 200
    assert near["result"][1] == house.http.get("/healthz").text

    refused = house.ended(submit(house, f"fetches{way}", {"url": "https://10.0.0.1/"}), "failed")
    assert refused["error"] == {"type": "URLRefused", "message": "the address is not a public one"}
