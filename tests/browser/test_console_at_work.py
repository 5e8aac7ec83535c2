"""The console while work goes on: queues and handlers held back, lists that stay true and don't jump, and two people at once."""

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.acceptance.builders import System
from tests.acceptance.inbox import Inbox
from tests.browser.test_console import Open, enter, failed_job, house

__all__ = ["house"]  # the fixture

pytestmark = pytest.mark.slow

SOONER_OR_LATER = 30_000  # milliseconds
HOURLY = "pages:hourly"


def pressed(page: Page, name: str) -> Locator:
    """What the page says once a button is pressed."""
    page.get_by_role("button", name=name, exact=True).click()
    return page.get_by_role("status").first


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


@pytest.fixture
def two(open_page: Open) -> Callable[[str], tuple[Page, Page]]:
    """Two people who look at the same page; the second, who has no JavaScript, goes on looking at what it said then."""

    def at(path: str) -> tuple[Page, Page]:
        other = enter(open_page, path, by="10.0.3.2", java_script_enabled=False)
        return enter(open_page, path, by="10.0.3.1"), other

    return at


def test_two_people_pause_a_queue_it_is_paused_once_and_both_are_told(
    house: System, two: Callable[[str], tuple[Page, Page]]
) -> None:
    one, other = two("/console/queues")
    expect(pressed(one, "Pause queue low")).to_contain_text("Paused")
    expect(pressed(other, "Pause queue low")).to_contain_text("Somebody else was faster")
    expect(other.locator("main")).to_contain_text("operator (console)")
    job_id = house.submit({"type": "echo", "queue": "low"}).json()["job_id"]
    ran = house.submit({"type": "echo"}).json()["job_id"]
    house.ended(ran)
    assert house.job(job_id)["status"] == "queued"
    expect(pressed(one, "Resume queue low")).to_contain_text("Resumed")
    house.ended(job_id)


def test_two_people_replay_an_event_and_it_runs_once_more(
    house: System, two: Callable[[str], tuple[Page, Page]]
) -> None:
    told = house.submit({"type": "echo"}).json()
    house.ended(told["job_id"])
    one, other = two(f"/console/events/{told['event_id']}")
    expect(pressed(one, "Replay")).to_contain_text("Replayed")
    expect(pressed(other, "Replay")).to_contain_text("Somebody else was faster")
    expect(other.locator(".timeline")).to_contain_text("by operator (console)")
    expect(other.locator(".facts a[href*='/console/jobs/']")).to_have_count(2)


def test_two_people_run_a_schedule_and_one_job_is_made(two: Callable[[str], tuple[Page, Page]]) -> None:
    one, other = two("/console/schedules")
    expect(pressed(one, f"Run {HOURLY} now")).to_contain_text("once more")
    expect(pressed(other, f"Run {HOURLY} now")).to_contain_text("Somebody else was faster")
    assert one.url.partition("?")[0] == other.url.partition("?")[0]


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_handler_is_paused_where_it_fails_and_its_failures_are_retried(
    house: System, open_page: Open, script: bool
) -> None:
    failed_job(house)
    page = enter(open_page, "/console/failures", by="10.0.3.3", java_script_enabled=script)
    expect(pressed(page, "Pause handler scenario:rejecting")).to_contain_text("Paused")
    waits = house.submit({"type": "rejecting", "payload": {"order": 8}}).json()["job_id"]
    house.ended(house.submit({"type": "echo"}).json()["job_id"])
    assert house.job(waits)["status"] == "queued"
    expect(pressed(page, "Resume handler scenario:rejecting")).to_contain_text("Resumed")
    house.ended(waits, "failed")
    page.get_by_role("button", name="Retry all").first.click()
    expect(page.get_by_role("heading", name="Bulk replay")).to_be_visible()


@pytest.mark.parametrize(("path", "kind"), [("events", "event"), ("callbacks", "callback")])
def test_new_rows_are_announced_and_nothing_moves_while_somebody_reads(
    house: System, open_page: Open, inbox: Inbox, path: str, kind: str
) -> None:
    def new_row() -> str:
        told = house.submit({"type": "echo", "callback_url": inbox.url("read")}).json()
        job = house.ended(told["job_id"])
        return str(told["event_id"] if kind == "event" else job["callback"]["id"])

    for _ in range(4):
        new_row()
    page = enter(open_page, f"/console/{path}", by=f"10.0.3.4{len(path)}")
    row = page.locator("tbody tr").nth(2)
    row.hover()
    before, name = row.bounding_box(), row.get_attribute("data-row")
    new = [new_row() for _ in range(3)]
    bar = page.locator(".fresh button")
    expect(bar).to_have_text("3 new", timeout=SOONER_OR_LATER)
    assert (row.bounding_box(), row.get_attribute("data-row")) == (before, name)
    assert new[0] not in page.locator("tbody").inner_text()
    page.keyboard.press("n")
    expect(page.locator("tbody tr").first).to_contain_text(new[-1])
    expect(bar).to_have_count(0)


class Flood(threading.Thread):
    """A hundred events every tenth of a second, until it is told that it is over."""

    def __init__(self, house: System) -> None:
        super().__init__(daemon=True)
        self._house = house
        self.sent = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self._house.submit([{"type": "echo", "payload": {"n": n}} for n in range(100)])
            self.sent += 100


@pytest.fixture
def flood(house: System) -> Iterator[Flood]:
    running = Flood(house)
    running.start()
    yield running
    running.over.set()
    running.join()


def test_while_a_flood_lasts_the_page_answers_and_costs_a_look_a_second(
    open_page: Open, flood: Flood
) -> None:
    page = enter(open_page, "/console/events", by="10.0.3.5")
    page.locator("tbody tr").first.hover()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/events") else None)
    began = page.evaluate("performance.now()")
    expect(page.locator(".fresh button")).to_have_text("50+ new", timeout=SOONER_OR_LATER)
    before = flood.sent
    for typed in ("late", "r"):
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type(typed)
        page.wait_for_timeout(1_000)
    expect(page.get_by_role("searchbox")).to_have_value("late/r")
    lasted = (page.evaluate("performance.now()") - began) / 1000
    assert flood.is_alive()
    assert flood.sent > before
    assert 1 <= len(asked) <= lasted + 2


def test_where_nothing_is_told_the_page_looks_by_itself(house: System, open_page: Open) -> None:
    page = enter(open_page, "/console/", by="10.0.3.6")
    page.route("**/console/live*", lambda route: route.fulfill(status=204))
    page.goto("/console/jobs")
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    expect(page.locator("tbody")).to_contain_text(job_id, timeout=SOONER_OR_LATER)


def test_a_stream_that_is_refused_is_asked_for_no_more_often_than_the_page(open_page: Open) -> None:
    page = enter(open_page, "/console/", by="10.0.3.8")
    asked: dict[str, int] = {"live": 0, "jobs": 0}

    def refuse(route: Route) -> None:
        asked["live"] += 1
        route.fulfill(status=204)

    page.route("**/console/live*", refuse)
    page.clock.install()
    page.goto("/console/jobs")
    page.on("request", lambda one: asked.update(jobs=asked["jobs"] + one.url.endswith("/jobs")))
    for _ in range(30):
        page.clock.run_for(1_000)
        page.wait_for_timeout(50)  # so that what was asked is answered
    assert 3 <= asked["live"] <= 30 / 5 + 1
    assert 3 <= asked["jobs"] <= 30 / 5 + 1


def test_whoever_is_signed_out_meanwhile_is_told_and_asks_no_more(house: System, open_page: Open) -> None:
    page = enter(open_page, "/console/jobs", by="10.0.3.9")
    elsewhere = page.context.new_page()
    elsewhere.goto("/console/")
    elsewhere.get_by_role("button", name="Sign out").click()
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    elsewhere.close()
    house.submit({"type": "echo"})
    told = page.get_by_role("alert")
    expect(told).to_contain_text("You are signed out. This is how it stood at", timeout=SOONER_OR_LATER)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    house.submit({"type": "echo"})
    page.wait_for_timeout(6_000)  # longer than it is patient
    assert asked == []
    told.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_page_that_cannot_be_renewed_says_so_until_it_can(house: System, open_page: Open) -> None:
    page = enter(open_page, "/console/jobs", by="10.0.3.10")
    page.route("**/console/jobs", lambda route: route.fulfill(status=404))
    house.submit({"type": "echo"})
    told = page.get_by_role("alert")
    expect(told).to_contain_text("The server answers 404", timeout=SOONER_OR_LATER)
    page.unroute("**/console/jobs")
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    expect(page.locator("tbody")).to_contain_text(job_id, timeout=SOONER_OR_LATER)
    expect(told).to_have_count(0)


def test_where_somebody_stands_the_page_is_renewed_around_them(house: System, open_page: Open) -> None:
    page = enter(open_page, "/console/queues", by="10.0.3.11")
    expect(pressed(page, "Pause queue low")).to_contain_text("Paused")
    button = page.get_by_role("button", name="Resume queue low")
    button.focus()
    job_ids = [house.submit({"type": "echo", "queue": "low"}).json()["job_id"] for _ in range(3)]
    row = page.locator("tr", has=button)
    expect(row.locator("td.number").first).to_have_text("3", timeout=SOONER_OR_LATER)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Resumed")
    for job_id in job_ids:
        house.ended(job_id)


def test_a_job_page_follows_its_job(house: System, open_page: Open) -> None:
    told = house.submit({"type": "echo", "run_in": "3s"}).json()
    page = enter(open_page, f"/console/jobs/{told['job_id']}", by="10.0.3.7")
    expect(page.locator(".head .status")).to_have_text("finished", timeout=SOONER_OR_LATER)
