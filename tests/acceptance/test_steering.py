"""Order within a key, limits over all workers, and cancel: over HTTP, with real workers (CONTRACT, sections 4, 6 and 7)."""

import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, System, assert_problem
from tests.acceptance.inbox import Inbox


def cancel(house: System, job_id: str) -> Any:
    return house.http.post(f"/jobs/{job_id}/cancel", headers={"Authorization": f"Bearer {API_KEY}"})


# -- order -------------------------------------------------------------------------------------------------------------


def in_order(house: System, account: str, number: int, **payload: Any) -> str:
    answer = house.submit({"type": "in-order", "payload": {"account": account, "number": number, **payload}})
    return str(answer.json()["job_id"])


def test_events_of_one_key_run_in_the_order_in_which_they_came(house: System) -> None:
    """A failed attempt holds up those behind it, and nobody else."""
    accounts = [uuid.uuid4().hex for _ in range(3)]
    jobs: dict[str, list[str]] = {account: [] for account in accounts}
    for number in range(8):
        for account in accounts:
            jobs[account].append(in_order(house, account, number, fails=number == 3))
    for of_account in jobs.values():
        assert [house.ended(job)["result"] for job in of_account] == list(range(8))
    ran = [run.job_id for run in house.runs()]
    for of_account in jobs.values():
        expected = [*of_account[:3], of_account[3], *of_account[3:]]  # the fourth one twice
        assert [job for job in ran if job in of_account] == expected


def test_a_hook_is_ordered_by_what_its_handler_declares(house: System) -> None:
    account = uuid.uuid4().hex
    jobs = []
    for number in range(5):
        answer = house.send({"type": "in-order", "account": account, "number": number})
        jobs.append(answer.json()["job_id"])
    for job in jobs:
        told = house.ended(job)
        assert told["ordering_key"] == account
    assert [run.job_id for run in house.runs() if run.job_id in jobs] == jobs


def test_a_submission_may_bring_its_own_key(house: System) -> None:
    key = uuid.uuid4().hex
    jobs = [
        told["job_id"]
        for told in house.submit(
            [{"type": "echo", "payload": number, "ordering_key": key} for number in range(10)]
        ).json()
    ]
    for job in jobs:
        assert house.ended(job)["ordering_key"] == key
    assert [run.job_id for run in house.runs() if run.job_id in jobs] == jobs


def test_order_holds_while_workers_die(build: Callable[..., System]) -> None:
    """The head of a line dies with its worker, and again with the next; nobody passes it."""
    house = build()
    house.web()
    house.worker("--processes", "2")
    jobs = [in_order(house, "one", number, dies=number in (1, 3)) for number in range(5)]
    for job in jobs:
        house.ended(job, wait=60)
    ran = [run.job_id for run in house.runs()]
    assert ran == [jobs[0], jobs[1], jobs[1], jobs[2], jobs[3], jobs[3], jobs[4]]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_limit_holds_over_all_workers(build: Callable[..., System]) -> None:
    house = build()
    house.web()
    house.worker()
    house.worker()
    told = house.submit([{"type": "one-at-a-time"} for _ in range(20)]).json()
    jobs = [house.ended(one["job_id"]) for one in told]
    assert Counter(len(job["attempts"]) for job in jobs) == {
        1: 20
    }  # a second one at a time would have failed


# -- cancel ------------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_is_canceled_and_its_caller_told(house: System, inbox: Inbox) -> None:
    path = uuid.uuid4().hex
    told = house.submit({"type": "echo", "run_in": "1h", "callback_url": inbox.url(path)}).json()
    answer = cancel(house, told["job_id"])
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    (callback,) = inbox.wait_for(path)
    assert b'"type":"job.canceled"' in callback.body
    assert_problem(cancel(house, told["job_id"]), 409, "job_ended")
    assert house.runs(told["job_id"]) == []


@pytest.mark.parametrize("kind", ["gated", "gated-plain"])
def test_a_job_that_runs_is_canceled_and_its_worker_goes_on(house: System, inbox: Inbox, kind: str) -> None:
    path = uuid.uuid4().hex
    told = house.submit({"type": kind, "payload": {"gate": path}, "callback_url": inbox.url(path)}).json()
    while house.job(told["job_id"])["status"] != "started":
        pass
    assert cancel(house, told["job_id"]).json()["status"] == "canceled"
    house.open_gate(path)
    inbox.wait_for(path)
    echo = house.submit({"type": "echo"}).json()
    house.ended(echo["job_id"])
    job = house.job(told["job_id"])
    assert (job["status"], job["result"]) == ("canceled", None)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["canceled"]
    assert len(inbox.wait_for(path)) == 1
