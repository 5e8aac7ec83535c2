"""What the browser tests share: Debian's Chromium, and a Hookline for it to look at."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, sync_playwright

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import System, serving, system
from tests.conftest import missing

HANDLERS = Path(__file__).with_name("project")
_REFUSED = "Failed to load resource: the server responded with a status of 4"  # how Chromium notes a page that is a refusal
collect_ignore = ["project"]  # its handlers are for worker processes


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker process that the tests of a module share."""
    settings = {"HOOKLINE_HANDLERS": "scenario,pages", "PYTHONPATH": str(HANDLERS)}
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.worker()
        running.web()
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module only: as long as Playwright runs, its event loop is in the way of any other."""
    program = shutil.which("chromium")
    if program is None:
        missing("no chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, house: System) -> Iterator[Callable[..., Page]]:
    """``open_page(path, width=360, color_scheme="dark", java_script_enabled=False)``: a page in a browser of its own.

    What went wrong in it, what its policy refused, and whatever asked to be seen, makes the test fail at its end.
    """
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def interrupted(dialog: Dialog) -> None:
        troubles.append(dialog.message)
        dialog.dismiss()

    def logged(said: ConsoleMessage) -> None:
        if said.type == "error" and not said.text.startswith(_REFUSED):
            troubles.append(said.text)

    def opened(path: str, *, width: int = 1280, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=str(house.http.base_url), viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("dialog", interrupted)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", logged)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
