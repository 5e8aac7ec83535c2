"""``hookline jobs cancel``, of one and of many, over a ledger that the test fills."""

import pytest

from infra.embedded import EmbeddedServer
from infra.ids import JOB
from infra.redis_client import connect_sync
from tests.integration.ledger_bench import Bench, arrival
from tests.integration.test_cli_callbacks import House

pytestmark = pytest.mark.needs_server


@pytest.fixture
def house(valkey: EmbeddedServer) -> House:
    with connect_sync(valkey.url) as client:
        client.flushall()
    return House(valkey.url)


def filled(house: House) -> list[str]:
    """The ids of jobs: one that runs, and three that wait, the last of them with another tag."""

    async def scenario(bench: Bench) -> list[str]:
        running = await bench.take(tag="org-7")
        waiting = [await bench.accept(arrival(tag=tag)) for tag in ("org-7", "org-7", "org-8")]
        return [running.job_id, *(one.job_id for one in waiting)]

    found: list[str] = house.fill(scenario)
    return found


def statuses(house: House, job_ids: list[str]) -> list[str]:
    return [house.told("jobs", "show", job_id)["status"] for job_id in job_ids]


def test_one_is_canceled(house: House) -> None:
    job_ids = filled(house)
    for _ in range(2):
        assert house.call("jobs", "cancel", job_ids[0]).stdout == f"{job_ids[0]} canceled\n"
    assert statuses(house, job_ids) == ["canceled", "queued", "queued", "queued"]
    assert house.call("jobs", "cancel", JOB + "0" * 26).exit_code == 1


def test_many_are_counted_and_then_canceled(house: House) -> None:
    job_ids = filled(house)
    counted = house.call("jobs", "cancel", "--tag", "org-7", "--dry-run")
    assert counted.stdout == "3 jobs to cancel: 2 queued, 1 started\n"
    assert statuses(house, job_ids) == ["started", "queued", "queued", "queued"]
    done = house.call("jobs", "cancel", "--tag", "org-7")
    assert done.stdout == "3 jobs to cancel: 2 queued, 1 started\n3 jobs canceled\n"
    assert statuses(house, job_ids) == ["canceled", "canceled", "canceled", "queued"]
    assert house.told("jobs", "cancel", "--tag", "org-7") == {
        "dry_run": False,
        "count": 0,
        "counts": {"scheduled": 0, "queued": 0, "started": 0},
        "complete": True,
        "canceled": 0,
    }


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--dry-run",),
        (JOB + "0" * 26, "--tag", "org-7"),
        (JOB + "0" * 26, "--dry-run"),
        ("--status", "finished"),
        ("--since", "soon"),
    ],
)
def test_words_that_are_off_cancel_nothing(house: House, words: tuple[str, ...]) -> None:
    job_ids = filled(house)
    assert house.call("jobs", "cancel", *words).exit_code == 2
    assert statuses(house, job_ids) == ["started", "queued", "queued", "queued"]
