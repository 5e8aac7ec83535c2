"""Reports as Make asks for them: five at once, ten more, a Redis that is killed in the middle, a Make that is full; none is dropped."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.cli.background import serving
from infra.cli.inbox import Arrived, verified
from infra.cli.standins.make import Bundle, MakeStandIn
from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, Server, System
from tests.acceptance.inbox import Inbox
from tests.pdfs import assert_report_of_newtown

SUBURB = {"suburb": "Newtown", "state": "NSW"}


def slowest_answer(house: System, job_ids: list[str]) -> float:
    """The most seconds that a look at a job, or at all of them, takes now."""
    took = []
    for path in [f"/jobs/{job_id}" for job_id in job_ids] + ["/jobs", "/queues"]:
        begun = time.monotonic()
        house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"}).raise_for_status()
        took.append(time.monotonic() - begun)
    return max(took)


@pytest.mark.slow
def test_no_report_is_dropped_though_redis_dies(
    build: Callable[..., System], server: Server, inbox: Inbox, wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    house = build(
        HOOKLINE_HANDLERS="handlers", HOOKLINE_FILES=str(tmp_path / "files"), HOOKLINE_CONCURRENCY="2"
    )
    house.web()
    house.worker()

    def ask(number: int) -> str:
        kind = "reports.agents" if number % 2 else "reports.agency"
        answer = house.submit({"type": kind, "payload": SUBURB, "callback_url": inbox.url("make")})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    with ThreadPoolExecutor(5) as pool:
        asked = list(pool.map(ask, range(5)))
        asked += pool.map(ask, range(10))
    assert slowest_answer(house, asked) < 2.0, "the API answers meanwhile"
    inbox.wait_for("make", timeout=60)
    server.kill()
    unfinished = 15 - len(inbox.posts("make"))
    server.start()
    assert unfinished > 0, "it is the middle"

    wait_until(lambda: len({post.id for post in inbox.posts("make")}) == 15, timeout=120)
    told = [post.verified(CALLBACK_SECRET)["data"] for post in inbox.posts("make")]
    assert {one["job_id"] for one in told} == set(asked)
    assert {one["status"] for one in told} == {"finished"}
    assert set(Counter(post.id for post in inbox.posts("make")).values()) <= {
        1,
        2,
    }  # at least once, around the kill

    links = {one["result"]["report"]["name"]: one["result"]["report"]["url"] for one in told}
    assert sorted(links) == ["agency-report-newtown-nsw.pdf", "agents-report-newtown-nsw.pdf"]
    for name, link in links.items():
        report = house.http.get(link, headers={"Authorization": f"Bearer {API_KEY}"})
        (tmp_path / name).write_bytes(report.content)
        assert_report_of_newtown(tmp_path / name)


@pytest.mark.slow
def test_make_is_full_and_wants_a_pause_and_its_scenario_gets_every_link_once(
    build: Callable[..., System], wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    given: list[Bundle] = []
    make = MakeStandIn(given.append, queue=2, rate=4, running=False)
    house = build(
        HOOKLINE_HANDLERS="handlers",
        HOOKLINE_FILES=str(tmp_path / "files"),
        HOOKLINE_CALLBACK_SCHEDULE=",".join(["1s"] * 30),
    )
    house.web()
    house.worker()
    with serving(make.app) as url:
        asked = [{"type": "reports.agency", "payload": SUBURB, "callback_url": f"{url}/links"}] * 5
        job_ids = [one["job_id"] for one in house.submit(asked).json()]
        wait_until(lambda: {"400 Queue is full.", "429 Too many requests."} <= set(make.answers), timeout=60)
        assert not given
        make.work()
        wait_until(lambda: all(house.has_told(job_id) for job_id in job_ids), timeout=60)

    told = [verified([CALLBACK_SECRET], bundle.headers, bundle.body) for bundle in given]
    reports = {
        one.body["data"]["job_id"]: one.body["data"]["result"]["report"]
        for one in told
        if isinstance(one, Arrived)
    }
    assert (len(told), set(reports)) == (5, set(job_ids))
    assert all(house.http.get(report["url"]).content.startswith(b"%PDF-") for report in reports.values())
