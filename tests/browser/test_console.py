"""The console as Chromium shows it: every flow, without JavaScript too, two people at once, at three widths and in both themes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import API_KEY, System, serving, system

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
HOSTILE = json.loads((Path(__file__).parents[1] / "data" / "xss_payloads.json").read_text())
PATHS = (
    "/console/", "/console/events", "/console/jobs", "/console/failures", "/console/callbacks", "/console/receivers",
    "/console/sources", "/console/queues", "/console/workers", "/console/schedules", "/console/audit", "/console/search?q=echo",
)  # fmt: skip
SOONER_OR_LATER = 15_000  # milliseconds

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker process whose console is open."""
    settings = {
        "HOOKLINE_HANDLERS": "scenario,pages",
        "PYTHONPATH": str(Path(__file__).with_name("project")),
        "HOOKLINE_CONSOLE_PASSWORD": PASSWORD,
        "HOOKLINE_CLIENT_HEADER": "X-Real-IP",
    }
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.worker()
        running.web()
        for number in range(12):
            running.submit({"type": "echo", "payload": {"number": number}, "tag": "seen"})
        for _ in range(3):
            told = running.submit({"type": "rejecting", "payload": {"order": 7}}).json()
        running.ended(told["job_id"], "failed")
        yield running


def enter(open_page: Open, path: str = "/console/", *, by: str = "10.0.0.1", **options: Any) -> Page:
    """Somebody signs in and goes there. Each comes from an address of their own, for tries are counted."""
    page = open_page("/console/login", extra_http_headers={"X-Real-IP": by}, **options)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(path)
    return page


def failed_job(house: System) -> str:
    told: dict[str, Any] = house.submit({"type": "rejecting", "payload": {"order": 7}}).json()
    house.ended(told["job_id"], "failed")
    return str(told["job_id"])


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_failed_job_is_found_and_retried_in_three_clicks(
    house: System, open_page: Open, script: bool
) -> None:
    job_id = failed_job(house)
    page = enter(open_page, java_script_enabled=script, by="10.0.0.2")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name=job_id).click()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").first).to_contain_text("Queued again")


def test_an_event_is_replayed_and_edited(house: System, open_page: Open) -> None:
    event_id = house.submit({"type": "echo", "payload": {"said": "one"}}).json()["event_id"]
    page = enter(open_page, by="10.0.0.3")
    page.get_by_role("searchbox").fill(event_id)
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_contain_text("Received")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Replayed")
    page.get_by_role("link", name="Edit and replay").click()
    page.locator("#payload").fill('{"said": "two"}')
    page.get_by_role("button", name="Replay with this payload").click()
    expect(page.locator("pre").first).to_contain_text("two")
    expect(page.locator("main")).to_contain_text(event_id)


def test_the_keyboard_searches_moves_and_opens(open_page: Open) -> None:
    page = enter(open_page, "/console/events", by="10.0.0.4")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.locator("h1").click()
    for key in "jjk":
        page.keyboard.press(key)
    expect(page.locator("tbody tr").first.locator("a.open")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_the_list_grows_by_itself(house: System, open_page: Open) -> None:
    page = enter(open_page, "/console/events", by="10.0.0.5")
    page.evaluate("window.stays = true")
    event_id = house.submit({"type": "echo"}).json()["event_id"]
    expect(page.locator("tbody")).to_contain_text(event_id, timeout=SOONER_OR_LATER)
    assert page.evaluate("window.stays")


def test_two_people_retry_the_same_job_and_one_is_told(house: System, open_page: Open) -> None:
    """The other, who has no JavaScript, still sees the button; and the job, once it is retried, runs until both have pressed."""
    gate = "two-retry"
    job_id = house.submit({"type": "held", "payload": {"gate": gate}}).json()["job_id"]
    house.ended(job_id, "failed")
    one = enter(open_page, f"/console/jobs/{job_id}", by="10.0.0.6")
    other = enter(open_page, f"/console/jobs/{job_id}", by="10.0.0.7", java_script_enabled=False)
    one.get_by_role("button", name="Retry").click()
    expect(one.get_by_role("status").first).to_contain_text("Queued again")
    other.get_by_role("button", name="Retry").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("The job has not failed.")
    expect(other.locator("main")).to_contain_text("Only a failed job can be retried")
    assert house.job(job_id)["round"] == 2
    house.open_gate(gate)
    house.ended(job_id)


def test_signing_out_ends_it_everywhere(open_page: Open) -> None:
    page = enter(open_page, by="10.0.0.8")
    cookies = page.context.cookies(page.url)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.goto("/console/events")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_strangers_wrote_never_runs(house: System, open_page: Open, hostile: str) -> None:
    """A073 and A079 in a browser: `open_page` fails where a dialog opens, or the policy has to refuse something."""
    told = house.submit({"type": "echo", "payload": {hostile: hostile}, "metadata": {"note": hostile}}).json()
    page = enter(open_page, f"/console/events/{told['event_id']}", by=f"10.0.1.{HOSTILE.index(hostile)}")
    expect(page.locator("pre").first).to_be_visible()
    assert page.locator("main iframe, main base, main script, main img").count() == 0
    page.get_by_role("searchbox").fill(hostile)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search")).to_be_visible()


@pytest.fixture
def replay_and_a_paused_queue(house: System) -> Iterator[str]:
    """The page of a bulk replay; and a queue is paused."""
    failed_job(house)
    key = {"Authorization": f"Bearer {API_KEY}"}
    told = house.http.post("/replays", json={"filter": {"type": "rejecting"}}, headers=key)
    paused = house.http.post("/queues/high/pause", headers=key)
    assert (told.status_code, paused.status_code) == (202, 200)
    yield f"/console/replays/{told.json()['id']}"
    house.http.post("/queues/high/resume", headers=key)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_every_page_is_usable_by_everybody_at_every_width(
    house: System,
    open_page: Open,
    replay_and_a_paused_queue: str,
    width: int,
    scheme: str,
    tmp_path: Path,
) -> None:
    """What axe finds by itself; and nothing but a table has to be scrolled sideways."""
    job_id = failed_job(house)
    event_id = house.job(job_id)["event_id"]
    page = enter(open_page, "/console/queues", width=width, color_scheme=scheme, by=f"10.0.2.{width % 251}")
    expect(page.get_by_role("button", name="Resume queue high")).to_be_visible()
    event = f"/console/events/{event_id}"
    for path in (*PATHS, event, f"{event}?edit=1", f"/console/jobs/{job_id}", replay_and_a_paused_queue):
        page.goto(path)
        page.screenshot(
            path=tmp_path / f"{path.strip('/').replace('/', '-').partition('?')[0]}.png", full_page=True
        )
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
