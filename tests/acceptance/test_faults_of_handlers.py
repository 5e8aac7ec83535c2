"""What handlers do to themselves and to their worker: one outcome each, one callback, and the neighbours go on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import (
    CALLBACK_SECRET,
    System,
    descendants,
    is_alive,
    serving,
    system,
)
from tests.acceptance.inbox import Inbox

LARGEST_RESULT = 8 << 20


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """One worker, with two slots for processes, whatever the machine has."""
    directory = tmp_path_factory.mktemp("handlers")
    with serving() as server, system(directory, server.url, HOOKLINE_PROCESS_SLOTS="2") as running:
        running.web()
        running.worker()
        yield running


def worker_of(house: System) -> int:
    return house.started[1].pid


def submit(house: System, type: str, payload: Any, callback_url: str) -> str:
    answer = house.submit({"type": type, "payload": payload, "callback_url": callback_url})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def assert_failed_once(house: System, inbox: Inbox, name: str, job_id: str, error: str) -> None:
    """One run, one attempt, one callback, all with the same error; and the worker is the one that it was."""
    job = house.ended(job_id, "failed")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failed"]
    assert job["error"]["type"] == error, job["error"]
    assert len(house.runs(job_id)) == 1
    (post,) = [post for post in inbox.wait_for(name) if post.id == job_id.replace("job_", "cb_")]
    told = post.verified(CALLBACK_SECRET)
    assert told["type"] == "job.failed"
    assert told["data"]["error"] == job["error"]
    assert house.started[1].process.poll() is None


def test_a_handler_that_hears_no_signal_is_killed_with_what_it_started(
    house: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F32, F33: from outside, soon after its timeout of a second."""
    job_id = submit(house, "stubborn", None, inbox.url("stubborn"))
    wait_until(lambda: house.runs(job_id))
    program = Path(house.environ["EFFECTS"]).with_name("gate-program")
    wait_until(lambda: program.exists() and program.read_text())
    family = [house.runs(job_id)[0].pid, int(program.read_text())]
    assert all(map(is_alive, family))

    assert_failed_once(house, inbox, "stubborn", job_id, "TimeoutError")
    wait_until(lambda: not any(map(is_alive, family)))
    assert family[0] not in descendants(worker_of(house))


def test_a_handler_that_never_gives_way_is_killed_when_its_time_is_over(house: System, inbox: Inbox) -> None:
    """F31, in a process of its own."""
    job_id = submit(house, "spinning", None, inbox.url("spinning"))
    assert_failed_once(house, inbox, "spinning", job_id, "TimeoutError")


def test_a_handler_that_blocks_the_loop_does_not_cost_the_lease(
    house: System, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F31, in the loop: for longer than two leases, beside a worker that would take the job over."""
    job_id = submit(house, "blocking", {"seconds": 2.5}, inbox.url("blocking"))
    wait_until(lambda: house.runs(job_id))
    other = house.worker()

    house.ended(job_id)
    inbox.wait_for("blocking")
    assert len(house.runs(job_id)) == 1
    assert len(inbox.posts("blocking")) == 1
    assert other.stop() == 0


def test_a_handler_for_which_there_is_too_little_memory_fails_alone(house: System, inbox: Inbox) -> None:
    """F30. What the kernel kills instead ends as any killed process does."""
    job_id = submit(house, "greedy", None, inbox.url("greedy"))
    assert_failed_once(house, inbox, "greedy", job_id, "MemoryError")


@pytest.mark.parametrize("type", ["loud", "loud-child"])
def test_fifty_megabytes_of_output_and_of_result_are_refused_and_fill_nothing(
    house: System, inbox: Inbox, type: str
) -> None:
    """F34: in the loop, and in a process."""
    before = house.redis.info("memory")["used_memory"]
    job_id = submit(house, type, None, inbox.url(type))

    assert_failed_once(house, inbox, type, job_id, "ResultTooLarge")
    assert house.redis.info("memory")["used_memory"] - before < 2 * LARGEST_RESULT
    assert house.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("type", ["no-json", "no-json-child"])
@pytest.mark.parametrize(
    "what", ["an object", "not a number", "bytes", "half a character", "a number of 5001 digits", "endless"]
)
def test_what_is_no_json_fails_its_job_and_is_told_in_json(
    house: System, inbox: Inbox, type: str, what: str
) -> None:
    """F35."""
    name = f"{type}-{what.replace(' ', '-')}"
    job_id = submit(house, type, what, inbox.url(name))
    assert_failed_once(house, inbox, name, job_id, "ResultNotJSON")
