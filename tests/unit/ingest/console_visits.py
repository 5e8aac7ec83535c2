"""What the tests of the console build: somebody with a browser."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.unit.ingest.application import House, running

PASSWORD = "correct horse battery"
# argon2 of "vera's password", at the least cost there is: what is tested is not argon2
VIEWER = "vera:viewer:$argon2id$v=19$m=8,t=1,p=1$GFGgJG1sNtoC1QZRRthcbQ$EsaWQ4gLdXYnP6a0Uh8rNYO/8tcQYrWu+/eaBJ7K9HE"
CONSOLE = {"HOOKLINE_CONSOLE_PASSWORD": PASSWORD, "HOOKLINE_PUBLIC_URL": "http://hookline"}
BROWSER = {"Origin": "http://hookline", "Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Browser:
    """Follows no redirect by itself, and keeps cookies."""

    http: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def post(self, path: str, form: Mapping[str, str] = {}, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, data=dict(form), headers={**BROWSER, **given})

    async def sign_in(self, password: str = PASSWORD, *, name: str = "operator") -> httpx.Response:
        return await self.post("/console/login", {"name": name, "password": password})

    async def press(self, page: str, action: str, form: Mapping[str, str] = {}) -> httpx.Response:
        """What a button of a page does: the form that leads there, with what it carries."""
        token = csrf_of((await self.get(page)).text)
        return await self.post(action, {"csrf": token, **form})


async def text_of(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text)
    return answer.text


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


@asynccontextmanager
async def visited(
    *, settings: Mapping[str, str] | None = None, signed_in: bool = True, **options: Any
) -> AsyncIterator[tuple[House, Browser]]:
    """A house whose console is open, and somebody in front of it."""
    async with running(settings={**CONSOLE, **(settings or {})}, **options) as house:
        browser = Browser(house.http)
        if signed_in:
            assert (await browser.sign_in()).status_code == 303
        yield house, browser
