"""Several servers behind one web process: real ones, one of which dies in the midst of a burst."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.shards import shard_in, shard_of
from tests.acceptance.builders import Server, System, assert_problem, serving, system

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]

EVENTS = 300
DEAD_FROM, DEAD_UNTIL = EVENTS // 3, 2 * EVENTS // 3


@pytest.fixture(params=[2, 3])
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(serving()) for _ in range(request.param)]


@pytest.fixture
def spread(tmp_path: Path, servers: list[Server]) -> Iterator[System]:
    """A web process over all of them, and a worker for each."""
    with system(tmp_path, None) as made:
        for server in servers:
            made.worker(REDIS_URL=server.url)
        made.web(HOOKLINE_SHARDS=" ".join(server.url for server in servers))
        yield made


def test_a_shard_that_is_killed_in_a_burst_costs_a_refusal_and_nothing_else(
    servers: list[Server], spread: System, wait_until: Callable[..., Any]
) -> None:
    acknowledged: dict[int, str] = {}

    def send(number: int) -> bool:
        answer = spread.send({"type": "echo"}, delivery=f"d-{number}")
        if answer.is_success:
            acknowledged[number] = answer.json()["job_id"]
        else:
            assert_problem(answer, 503, "not_recorded")
        return answer.is_success

    for number in range(DEAD_FROM):
        assert send(number)
    servers[1].kill()
    ready = spread.http.get("/readyz")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["shard 1: Redis does not answer"])
    for number in range(DEAD_FROM, DEAD_UNTIL):
        assert send(number) == (shard_of(f"acme d-{number}", len(servers)) != 1)
    servers[1].start()
    wait_until(lambda: send(next(n for n in range(EVENTS) if n not in acknowledged)), timeout=20)
    for number in range(EVENTS):
        if number not in acknowledged:
            assert send(number)

    ran = wait_until(lambda: {run.job_id for run in spread.runs()} >= set(acknowledged.values()), timeout=60)
    assert ran
    for job_id in acknowledged.values():
        spread.ended(job_id)
    first = dict(acknowledged)
    assert all(send(number) for number in range(EVENTS))
    assert acknowledged == first  # whoever sends again gets the first ids, of the shard that had died too
    assert {shard_in(job_id) for job_id in first.values()} == set(range(len(servers)))


def test_whoever_waits_watches_and_cancels_finds_the_right_shard(spread: System) -> None:
    for number in range(6):
        answer = spread.send({"type": "echo"}, delivery=f"w-{number}", Prefer="wait=20")
        assert (answer.status_code, answer.json()["status"]) == (200, "finished"), answer.text
        told = spread.submit({"type": "echo", "run_in": "1h", "link": "cancel"}).json()
        assert spread.http.post(told["status_url"].replace("?", "/cancel?")).json()["status"] == "canceled"
        with spread.http.stream("GET", told["status_url"].replace("?", "/stream?")) as stream:
            assert "event: status" in stream.read().decode()


def test_the_web_process_starts_while_a_shard_is_away(
    tmp_path: Path, servers: list[Server], wait_until: Callable[..., Any]
) -> None:
    servers[1].kill()
    with system(tmp_path, None) as made:
        web = made.web(HOOKLINE_SHARDS=" ".join(server.url for server in servers))
        statuses = {made.send({"type": "echo"}, delivery=f"d-{n}").status_code for n in range(20)}
        assert statuses == {202, 503}
        servers[1].start()
        wait_until(
            lambda: all(made.send({"type": "echo"}, delivery=f"d-{n}").is_success for n in range(20)),
            timeout=20,
        )
        assert web.stop(signal.SIGTERM) == 0
