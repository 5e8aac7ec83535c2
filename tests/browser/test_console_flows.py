"""What an operator does at the console, from the first click to what came of it; and what a viewer does not see."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import System, serving, system
from tests.acceptance.inbox import Answer, Inbox
from tests.browser.conftest import HANDLERS
from tests.unit.ingest.console_visits import PASSWORD, VIEWER

pytestmark = pytest.mark.slow

SOONER_OR_LATER = 30_000  # milliseconds

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker process; an operator and a viewer, who sees records only."""
    settings = {
        "HOOKLINE_HANDLERS": "scenario,pages",
        "PYTHONPATH": str(HANDLERS),
        "HOOKLINE_CONSOLE_PASSWORD": PASSWORD,
        "HOOKLINE_CONSOLE_USERS": VIEWER,
        "HOOKLINE_CONSOLE_VIEWERS_SEE": "records",
        "HOOKLINE_CLIENT_HEADER": "X-Real-IP",
    }
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.worker()
        running.web()
        yield running


@pytest.fixture
def enter(open_page: Open, request: pytest.FixtureRequest) -> Callable[..., Page]:
    """``enter(path, name="vera", password=…)``: somebody signs in, and goes there."""
    place = request.session.items.index(request.node)

    def entered(path: str, *, name: str = "operator", password: str = PASSWORD, script: bool = True) -> Page:
        address = {"X-Real-IP": f"10.1.{place // 250}.{place % 250}"}  # tries are counted by address
        page = open_page("/console/login", extra_http_headers=address, java_script_enabled=script)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.goto(path)
        return page

    return entered


def press(page: Page, name: str, *, says: str) -> None:
    """Press a button, and be told so."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text(says)


def failed_jobs(house: System, gate: str, count: int) -> list[str]:
    """Jobs that were given up; run again, they wait for that gate."""
    made = [house.submit({"type": "held", "payload": {"gate": gate}}).json()["job_id"] for _ in range(count)]
    for job_id in made:
        house.ended(job_id, "failed")
    return made


def retry_all(page: Page) -> None:
    """Retry what failed where `held` fails; its progress is the page that follows."""
    row = page.locator("tr", has_text="pages:held").first
    row.get_by_role("button", name="Retry all").click(timeout=SOONER_OR_LATER)
    expect(page.get_by_role("heading", name="Bulk replay")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_dead_callback_is_found_by_a_filter_and_redelivered(
    house: System, inbox: Inbox, enter: Callable[..., Page], script: bool
) -> None:
    name = f"shut-{script}"
    url = inbox.answer(name, *[Answer(500, body=b"out of paper")] * 3)
    job_id = house.submit({"type": "echo", "callback_url": url}).json()["job_id"]
    house.ended(job_id)
    inbox.wait_for(name, 3)
    page = enter("/console/callbacks", script=script)
    page.get_by_role("link", name="dead", exact=True).click()
    link = page.locator("tr", has_text=name).get_by_role("link")
    reload_until(page, lambda: link.count() == 1)
    link.click()
    expect(page.locator("main")).to_contain_text("out of paper")
    press(page, "Redeliver", says="It is sent again now, under the same webhook-id.")
    first, *_, last = inbox.wait_for(name, 4)
    assert last.id == first.id
    reload_until(page, lambda: page.locator(".head .status").inner_text() == "delivered")
    expect(page.locator("tbody tr")).to_have_count(4)


def reload_until(page: Page, condition: Callable[[], bool]) -> None:
    """Look again and again, as somebody does at a page that does not change by itself."""
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(100)
        page.reload()
    raise AssertionError(page.locator("main").inner_text())


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_job_that_runs_is_canceled(house: System, enter: Callable[..., Page], script: bool) -> None:
    job_id = house.submit({"type": "gated", "payload": {"gate": f"never-{script}"}}).json()["job_id"]
    page = enter("/console/jobs?status=started", script=script)
    reload_until(page, lambda: page.get_by_role("link", name=job_id).count() == 1)
    page.get_by_role("link", name=job_id).click()
    press(page, "Cancel", says="Canceled.")
    expect(page.locator(".head .status")).to_have_text("canceled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    house.ended(job_id, "canceled")


def test_a_worker_is_drained_and_ends_when_its_job_has(house: System, enter: Callable[..., Page]) -> None:
    second = house.worker("--queues", "aside")
    job_id = house.submit({"type": "gated", "queue": "aside", "payload": {"gate": "drained"}}).json()[
        "job_id"
    ]
    page = enter("/console/workers")
    row = page.locator("section, div").locator("tr[data-row]", has_text="aside").first
    expect(page.locator("main")).to_contain_text(job_id, timeout=SOONER_OR_LATER)
    row.get_by_role("button", name="Drain").click()
    expect(page.get_by_role("status").first).to_contain_text("It takes no further job")
    expect(page.locator(".status.draining")).to_have_count(1)
    assert second.process.poll() is None
    house.open_gate("drained")
    house.ended(job_id)
    assert second.process.wait(30) == 0
    page.locator("h1").click()
    expect(page.locator(".status.draining")).to_have_count(0, timeout=SOONER_OR_LATER)
    expect(page.locator(".status.active")).to_have_count(1)


def test_what_failed_is_retried_and_watched_to_its_end(house: System, enter: Callable[..., Page]) -> None:
    jobs = failed_jobs(house, "watched", 3)
    page = enter("/console/failures")
    retry_all(page)
    page.evaluate("window.stays = true")
    expect(page.locator("main")).to_contain_text("3 of 3 begun", timeout=SOONER_OR_LATER)
    expect(page.locator(".head .status")).to_have_text("running")
    house.open_gate("watched")
    expect(page.locator(".head .status")).to_have_text("finished", timeout=SOONER_OR_LATER)
    expect(page.locator("main")).to_contain_text("100.0 %")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    assert page.evaluate("window.stays"), "it was never loaded again"
    for job_id in jobs:
        house.ended(job_id)


def test_a_bulk_replay_is_stopped(house: System, enter: Callable[..., Page]) -> None:
    failed_jobs(house, "stopped", 2)
    page = enter("/console/failures")
    retry_all(page)
    press(page, "Stop", says="Stopped: it begins no further job.")
    expect(page.locator(".head .status")).to_have_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    page.get_by_role("link", name="Failures").last.click()
    expect(page.locator(".status.stopped")).to_have_count(1)
    house.open_gate("stopped")


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_list_is_narrowed_by_a_link_and_read_on(
    house: System, enter: Callable[..., Page], script: bool
) -> None:
    house.submit([{"type": "plain", "payload": n} for n in range(60)])
    house.submit({"type": "echo"})
    page = enter("/console/events", script=script)
    page.get_by_role("link", name="plain", exact=True).first.click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    seen = set(page.locator("tbody code").all_inner_texts())
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    older = set(page.locator("tbody code").all_inner_texts())
    assert len(older) >= 10
    assert not seen & older
    assert {row.split("\t")[3] for row in rows.all_inner_texts()} == {"plain"}
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name="Newest")).to_have_count(0)


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_a_large_payload_is_shown_raw_whole_and_edited(
    house: System, enter: Callable[..., Page], script: bool
) -> None:
    payload = {"said": ["x" * 100] * 100, "end": "the-last"}
    told = house.submit({"type": "echo", "payload": payload}).json()
    house.ended(told["job_id"])
    page = enter(f"/console/events/{told['event_id']}", script=script)
    shown = page.locator("pre[aria-labelledby=payload-title]")
    expect(shown).to_contain_text('{\n  "said": [')
    expect(shown).not_to_contain_text("the-last")
    page.get_by_role("link", name="As it was sent").click()
    expect(shown).to_contain_text('{"said":["xxx')
    page.locator("section", has=shown).get_by_role("link", name="Show more").click()
    expect(shown).to_contain_text('"end":"the-last"}')
    page.get_by_role("link", name="Laid out").click()
    page.get_by_role("link", name="Edit and replay").click()
    field = page.get_by_label("Another payload")
    assert field.input_value().endswith('"end": "the-last"\n}')
    field.fill('{"end": "another"}')
    page.get_by_role("button", name="Replay with this payload").click()
    expect(page.get_by_role("status").first).to_contain_text("Replayed with your payload")
    expect(shown).to_contain_text("another")


def test_a_viewer_sees_what_became_of_it_and_nothing_that_was_said(
    house: System, inbox: Inbox, enter: Callable[..., Page]
) -> None:
    url = inbox.answer("viewed", Answer(500, body=b"h1dden-reply"))
    text = "h1dden-text"
    told = house.submit(
        {"type": "tells", "payload": {"text": text, "gate": "viewed"}, "callback_url": url}
    ).json()
    event, job = (f"/console/{kind}s/{told[f'{kind}_id']}" for kind in ("event", "job"))
    page = enter("/console/jobs", name="vera", password="vera's password")
    reload_until(page, lambda: "50.0 %" in page.locator("tr", has_text=told["job_id"]).inner_text())
    during = [looked_at(page, path) for path in ("/console/jobs", "/console/workers", event, job)]
    house.open_gate("viewed")
    callback = house.ended(told["job_id"])["callback"]["id"]
    inbox.wait_for("viewed", 2)
    after = [
        looked_at(page, path)
        for path in (
            event,
            f"{event}?raw=1&whole=1&edit=1",
            job,
            f"{job}?whole=1",
            f"/console/callbacks/{callback}",
        )
    ]
    assert not any("h1dden" in content for content in during + after)
    expect(page.locator("tbody")).to_contain_text("500")


def looked_at(page: Page, path: str) -> str:
    """All that a page holds; nothing on it acts but what signs out."""
    page.goto(path)
    assert page.locator("main form[method=post]").count() == 0
    return page.content()
