"""Signing in by an identity provider, and the pages of sources and receivers, as Chromium shows them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from infra.embedded import EmbeddedServer
from infra.ledger.receivers import receiver_id
from tests.acceptance.builders import System, serving, system
from tests.acceptance.inbox import Answer, Inbox
from tests.browser.identity_server import identity_server
from tests.unit.ingest.identity_provider import SETTINGS, Standin

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
HOSTILE = json.loads((Path(__file__).parents[1] / "data" / "xss_payloads.json").read_text())
SOONER_OR_LATER = 30_000  # milliseconds

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def provider() -> Iterator[Standin]:
    with identity_server() as running:
        yield running


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer, provider: Standin, inbox: Inbox
) -> Iterator[System]:
    """A web and a worker process; people come in by password or by the provider."""
    settings = SETTINGS | {
        "HOOKLINE_CONSOLE_PASSWORD": PASSWORD,
        "HOOKLINE_CONSOLE_OIDC_ISSUER": provider.issuer,
        "HOOKLINE_CONSOLE_OIDC_ALLOW": "127.0.0.1/32",
        "HOOKLINE_CLIENT_HEADER": "X-Real-IP",
    }
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.environ["HOOKLINE_PUBLIC_URL"] = str(running.http.base_url).rstrip("/")
        running.worker()
        running.web()
        told = running.submit({"type": "echo", "callback_url": inbox.answer("broken", *[Answer(500, body=b"out of paper")] * 9)})  # fmt: skip
        running.ended(told.json()["job_id"])
        inbox.wait_for("broken")
        running.http.post("/hooks/acme", json={"type": "echo"}, headers={"X-Acme-Signature": "0" * 64})
        yield running


def enter(open_page: Open, path: str = "/console/", *, by: str, **options: object) -> Page:
    """Somebody comes in by the provider, and goes there."""
    page = open_page("/console/login", extra_http_headers={"X-Real-IP": by}, **options)
    page.get_by_role("link", name="Sign in with").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(path)
    return page


def broken(inbox: Inbox) -> str:
    """The page of a receiver that answers 500."""
    return f"/console/receivers/{receiver_id(inbox.url('broken'))}"


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
def test_somebody_comes_in_by_the_provider_to_where_they_wanted_and_leaves(
    open_page: Open, script: bool
) -> None:
    page = open_page(
        "/console/jobs?status=failed",
        java_script_enabled=script,
        extra_http_headers={"X-Real-IP": "10.1.0.1"},
    )
    page.get_by_role("link", name="Sign in with").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    assert page.url.endswith("/console/jobs?status=failed")
    expect(page.locator(".person")).to_contain_text("ada@example.com")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_contain_text("signed out here")
    page.goto("/console/audit")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_password_opens_beside_it(open_page: Open) -> None:
    page = open_page("/console/login", extra_http_headers={"X-Real-IP": "10.1.0.2"})
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="by password").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without JavaScript"])
@pytest.mark.parametrize("source", ["bearer", "forms"])
def test_a_test_event_shows_its_job_and_its_result_in_three_clicks(
    open_page: Open, script: bool, source: str
) -> None:
    page = enter(open_page, java_script_enabled=script, by="10.1.0.3")
    page.get_by_role("link", name="Sources", exact=True).click()
    page.get_by_role("link", name=source, exact=True).click()
    page.get_by_role("button", name="Send a test event").click()
    expect(page.get_by_role("status").first).to_contain_text("went the whole way")
    if not script:
        page.wait_for_timeout(1_000)
        page.reload()
    expect(page.get_by_role("heading", name="Result")).to_be_visible(timeout=SOONER_OR_LATER)
    expect(page.locator(".timeline")).to_contain_text("Signature held")
    expect(page.locator("main")).to_contain_text("job_")


def test_a_refused_request_leads_to_its_diagnosis(open_page: Open) -> None:
    page = enter(open_page, "/console/sources", by="10.1.0.4")
    page.locator("a.status.failed").first.click()
    expect(page.get_by_role("heading", name="Refused within the hour")).to_be_visible()
    expect(page.locator("main")).to_contain_text("No change that we know")


def test_the_keyboard_reaches_the_test_button(open_page: Open) -> None:
    page = enter(open_page, "/console/sources", by="10.1.0.5")
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Last events")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Send a test event")).to_be_focused()


def test_a_receiver_is_checked_and_its_grade_comes_by_itself(open_page: Open, inbox: Inbox) -> None:
    page = enter(open_page, broken(inbox), by="10.1.0.6")
    expect(page.locator("main")).to_contain_text("out of paper")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").first).to_contain_text("A check has begun")
    expect(page.locator("table .grade").first).to_have_text("F", timeout=SOONER_OR_LATER)
    page.get_by_role("link", name="Receivers").first.click()
    expect(page.locator("tbody .grade").first).to_have_text("F")


def test_a_receiver_is_paused_and_resumed_without_javascript(open_page: Open, inbox: Inbox) -> None:
    page = enter(open_page, broken(inbox), java_script_enabled=False, by="10.1.0.7")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("main")).to_contain_text("by an operator")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status").first).to_contain_text("Resumed")


def test_what_a_receiver_answers_and_somebody_is_called_never_runs(
    house: System, open_page: Open, inbox: Inbox, provider: Standin
) -> None:
    """`open_page` fails where a dialog opens, or the policy has to refuse something."""
    provider.claims = {"email": None, "groups": ["operators"], "name": HOSTILE[0], "sub": HOSTILE[-1]}
    body = "\n".join(HOSTILE).encode()
    told = house.submit(
        {"type": "echo", "callback_url": inbox.answer("hostile", *[Answer(500, body=body)] * 9)}
    )
    try:
        house.ended(told.json()["job_id"])
        inbox.wait_for("hostile")
        page = enter(open_page, f"/console/receivers/{receiver_id(inbox.url('hostile'))}", by="10.1.0.8")
        expect(page.locator("main")).to_contain_text("<", timeout=SOONER_OR_LATER)
        for path in (page.url, "/console/audit", "/console/callbacks"):
            page.goto(path)
            assert page.locator("main iframe, main base, main script, main img").count() == 0
    finally:
        provider.claims = {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_these_pages_are_usable_by_everybody_at_every_width(
    house: System, open_page: Open, inbox: Inbox, width: int, scheme: str, tmp_path: Path
) -> None:
    """What axe finds by itself; and nothing but a table has to be scrolled sideways."""
    page = open_page("/console/login", width=width, color_scheme=scheme, extra_http_headers={"X-Real-IP": "10.1.0.9"})  # fmt: skip
    hold(page, tmp_path / "door.png")
    page.get_by_role("link", name="Sign in with").click()
    callback = house.http.get("/callbacks", headers={"Authorization": "Bearer acceptance-key"}).json()["items"][-1]  # fmt: skip
    paths = ("/console/sources", "/console/sources/bearer", "/console/sources/acme", "/console/sources/forgotten",
             "/console/callbacks", f"/console/callbacks/{callback['id']}", "/console/receivers", broken(inbox),
             "/console/sources/nobody")  # fmt: skip
    for number, path in enumerate(paths):
        page.goto(path)
        hold(page, tmp_path / f"{number}.png")
    page.get_by_role("button", name="Sign out").click()
    hold(page, tmp_path / "left.png")


def hold(page: Page, picture: Path) -> None:
    """Take a picture of a page, and find nothing wrong with it."""
    page.screenshot(path=picture, full_page=True)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
