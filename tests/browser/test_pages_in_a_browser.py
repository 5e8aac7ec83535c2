"""The pages for people, as Chromium shows them: live, by keyboard, without JavaScript, on a phone, dark and light, and to a screen reader."""

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request, expect

from tests.acceptance.builders import System

pytestmark = pytest.mark.slow

HOSTILE = json.loads((Path(__file__).parents[1] / "data" / "xss_payloads.json").read_text())
SOONER_OR_LATER = 15_000  # milliseconds

Open = Callable[..., Page]


def songs(house: System, **submission: Any) -> tuple[str, dict[str, Any]]:
    """A job that stands at the sixth of twenty songs: the name of its gates, and what its sender was told."""
    gate = uuid.uuid4().hex
    told: dict[str, Any] = house.submit({"type": "songs", "payload": {"gate": gate}, **submission}).json()
    return gate, told


def finish(house: System, gate: str) -> None:
    house.open_gate(f"{gate}-6")
    house.open_gate(f"{gate}-16")


def batch(house: System) -> tuple[str, str]:
    """A batch of which one job is done, one failed and one runs: the name of its gates, and where it can be looked at."""
    gate = uuid.uuid4().hex
    answer = house.submit(
        [{"type": "echo"}, {"type": "rejecting"}, {"type": "songs", "payload": {"gate": gate}}]
    )
    for one, status in zip(answer.json(), ("finished", "failed"), strict=False):
        house.ended(one["job_id"], status)
    return gate, answer.headers["Location"]


def requests_of(page: Page) -> list[Request]:
    """What it asks for from now on."""
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    page.on("request", note)
    return asked


def expect_progress(page: Page, words: str, percent: str) -> None:
    expect(page.locator("#done")).to_have_text(words, timeout=SOONER_OR_LATER)
    expect(page.locator("#percent")).to_have_text(percent)
    expect(page.get_by_role("progressbar")).to_have_attribute(
        "value", re.compile(rf"{percent.removesuffix(' %')}(\.0)?")
    )


def expect_status(page: Page, words: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(words, timeout=SOONER_OR_LATER)


# -- live --------------------------------------------------------------------------------------------------------------


def test_progress_moves_without_a_reload_and_the_end_is_shown(house: System, open_page: Open) -> None:
    gate, told = songs(house)
    page = open_page(told["status_url"])
    page.evaluate("window.stays = true")
    expect_progress(page, "5 of 20", "25 %")
    house.open_gate(f"{gate}-6")
    expect_progress(page, "15 of 20", "75 %")
    expect(page.locator("#item")).to_have_text("Hey Jude")
    expect(page.locator("#log")).to_contain_text("waits", timeout=SOONER_OR_LATER)
    house.open_gate(f"{gate}-16")
    expect_status(page, "is done")
    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page).to_have_title("finished · songs")
    assert page.evaluate("window.stays")


def test_a_page_that_was_there_before_its_job_began_shows_all_of_it(house: System, open_page: Open) -> None:
    gate, told = songs(house, run_in="2s")
    page = open_page(told["status_url"])
    expect_status(page, "scheduled")
    expect_progress(page, "5 of 20", "25 %")
    finish(house, gate)
    expect_status(page, "is done")


def test_an_ended_job_is_asked_for_no_more(house: System, open_page: Open) -> None:
    gate, told = songs(house)
    page = open_page(told["status_url"])
    finish(house, gate)
    expect_status(page, "is done")
    asked = requests_of(page)
    page.wait_for_timeout(3_000)  # a stream would have come back after two
    assert asked == []
    page.reload()
    page.wait_for_load_state("networkidle")
    assert {one.resource_type for one in asked} <= {"document", "stylesheet", "image", "other"}


def test_the_time_that_runs_is_told_without_asking(house: System, open_page: Open) -> None:
    _, told = songs(house)
    page = open_page(told["status_url"])
    expect_progress(page, "5 of 20", "25 %")
    page.wait_for_timeout(1_000)  # what the stream's beginning brought has been looked at
    running = page.locator("[data-since]")
    top, before = running.bounding_box(), running.inner_text()
    asked = requests_of(page)
    expect(running).not_to_have_text(before)
    assert running.bounding_box() == top
    assert asked == []


def test_a_batch_moves_too_and_leads_to_its_jobs(house: System, open_page: Open) -> None:
    gate, url = batch(house)
    page = open_page(url)
    page.evaluate("window.stays = true")
    expect(page.get_by_text("2 of 3 ended")).to_be_visible()
    expect(page.get_by_role("progressbar", name="How far job 3 is")).to_be_visible()
    finish(house, gate)
    expect_status(page, "has ended")
    assert page.evaluate("window.stays")
    asked = requests_of(page)
    page.wait_for_timeout(3_000)
    assert asked == []
    page.get_by_role("link", name="3. songs").click()
    expect_status(page, "is done")


def test_what_is_looked_at_stays_where_it_is(house: System, open_page: Open) -> None:
    """Focus and selection live through an update."""
    gate, told = songs(house, link="cancel")
    page = open_page(told["status_url"])
    button = page.get_by_role("button", name="Cancel this job")
    button.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('code'))")
    house.open_gate(f"{gate}-6")
    expect_progress(page, "15 of 20", "75 %")
    expect(page.locator("#log li")).to_have_count(2, timeout=SOONER_OR_LATER)
    expect(button).to_be_focused()
    assert page.evaluate("getSelection().toString()") == told["job_id"]


# -- cancel ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False])
def test_a_job_is_canceled_by_keyboard_alone(house: System, open_page: Open, scripts: bool) -> None:
    _, told = songs(house, link="cancel")
    page = open_page(told["status_url"], java_script_enabled=scripts)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.locator("button:focus").count():
            break
    page.keyboard.press("Enter")
    expect_status(page, "was canceled")
    expect(page.get_by_role("button")).to_have_count(0)
    assert house.job(told["job_id"])["status"] == "canceled"


def test_who_cancels_too_late_is_told_and_led_back(house: System, open_page: Open) -> None:
    gate, told = songs(house, link="cancel")
    page = open_page(told["status_url"], java_script_enabled=False)
    finish(house, gate)
    house.ended(told["job_id"])
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text("It had ended already")
    page.get_by_role("link", name="Back to the job").click()
    expect_status(page, "is done")


# -- whoever looks, whatever with ---------------------------------------------------------------------------------------


def test_without_javascript_the_page_is_whole_and_comes_again(house: System, open_page: Open) -> None:
    gate, told = songs(house)
    while house.job(told["job_id"])["progress"] is None:
        pass
    page = open_page(told["status_url"], java_script_enabled=False)
    expect_progress(page, "5 of 20", "25 %")
    finish(house, gate)
    expect_status(page, "is done")
    expect(page.locator("meta[http-equiv]")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["job", "failed", "batch", "refused"])
def test_everybody_can_read_it(house: System, open_page: Open, width: int, scheme: str, kind: str) -> None:
    """What axe finds by itself, at the levels that matter; and nothing has to be scrolled sideways."""
    page = open_page(url_of(house, kind), width=width, color_scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] != "minor"] == []
    assert_no_sideways(page)


def url_of(house: System, kind: str) -> str:
    if kind == "batch":
        return batch(house)[1]
    if kind == "refused":
        return "/jobs/nonsense?token=x"
    if kind == "failed":
        told = house.submit({"type": "failing"}).json()
        house.ended(told["job_id"], "failed")
        return str(told["status_url"])
    _, told = songs(house, link="cancel")
    while not house.job(told["job_id"])["logs"]:
        pass
    return str(told["status_url"])


def test_who_wants_no_motion_gets_none(house: System, open_page: Open) -> None:
    page = open_page(songs(house)[1]["status_url"], reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length"
    assert page.evaluate(moving) == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_long_words_and_text_from_right_to_left_stay_inside(
    house: System, open_page: Open, width: int
) -> None:
    text = "שלום עולם " + "x" * 300
    page = open_page(telling(house, text), width=width)
    expect(page.locator("#done")).to_have_text(text, timeout=SOONER_OR_LATER)
    assert page.locator("#done").evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    assert page.evaluate("getComputedStyle(document.getElementById('main')).direction") == "ltr"
    assert_no_sideways(page)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_strangers_wrote_becomes_an_element_or_runs(
    house: System, open_page: Open, hostile: str
) -> None:
    """A073, A078: first as the page is loaded, then as it is told live; whatever runs or is refused by the policy fails the test."""
    shapes = []
    for text in ("harmless", hostile):
        gate = uuid.uuid4().hex
        url = telling(house, text, gate=gate, fails=True)
        page = open_page(url)
        expect(page.locator("#log")).to_be_visible(timeout=SOONER_OR_LATER)
        shape = [elements(page)]
        house.open_gate(gate)
        expect_status(page, "was given up")
        shape.append(elements(page))
        page.reload()
        shape.append(elements(page))
        shapes.append(shape)
    assert shapes[0] == shapes[1]


def telling(house: System, text: str, **payload: Any) -> str:
    """Where a job can be read that says that text everywhere, and has said it."""
    payload = {"text": text, "gate": uuid.uuid4().hex, **payload}
    told = house.submit({"type": "tells", "payload": payload}).json()
    while not house.job(told["job_id"])["logs"]:
        pass
    return str(told["status_url"])


def elements(page: Page) -> list[str]:
    found: list[str] = page.locator("body, body *").evaluate_all(
        "(all) => all.map((one) => [one.nodeName, ...one.getAttributeNames()].join(' '))"
    )
    return found


def assert_no_sideways(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
