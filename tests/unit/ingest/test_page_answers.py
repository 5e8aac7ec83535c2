"""Who gets a page, and who JSON; what a page says where something is refused; what pages load."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis.asyncio

from infra.ids import BATCH, JOB
from tests.unit.ingest.application import API_KEY, SUBMIT_KEY, House, assert_problem, running

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def look(house: House, url: str, **headers: str) -> httpx.Response:
    """As a browser does."""
    return await house.http.get(url, headers={"Accept": BROWSER, **headers})


def assert_page(answer: httpx.Response, status: int, *words: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["Vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    for one in words:
        assert one in answer.text


async def submitted(house: House, **submission: Any) -> tuple[str, str]:
    """A job, and where it can be read."""
    told = (await house.submit({"type": "a", **submission})).json()
    return told["job_id"], told["status_url"]


@pytest.mark.parametrize(
    ("public_url", "told"),
    [("https://hooks.example.com", "max-age=31536000"), ("http://hooks.example.com", None)],
)
def test_who_came_by_https_is_to_come_so_always(public_url: str, told: str | None) -> None:
    """A094."""

    async def check() -> None:
        async with running(settings={"HOOKLINE_PUBLIC_URL": public_url}) as house:
            _, url = await submitted(house)
            for shown in (url, url[:-1]):
                answer = await look(house, shown)
                assert answer.headers.get("Strict-Transport-Security") == told

    asyncio.run(check())


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("*/*", False),
        ("application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
    ],
)
def test_what_is_accepted_decides_between_a_page_and_json(accept: str, page: bool) -> None:
    async def check() -> None:
        async with running() as house:
            _, job = await submitted(house)
            batch = (await house.submit([{"type": "a"}])).headers["Location"]
            for url in (job, batch, job[:-1] + "?token=no"):
                answer = await house.http.get(url, headers={"Accept": accept})
                assert answer.headers["Content-Type"].startswith("text/html") is page
                assert answer.headers["Vary"] == "Accept"

    asyncio.run(check())


def test_programs_that_say_nothing_get_json_that_varies() -> None:
    async def check() -> None:
        async with running() as house:
            _, url = await submitted(house)
            answer = await house.http.get(url)
            assert (answer.headers["Content-Type"], answer.headers["Vary"]) == ("application/json", "Accept")

    asyncio.run(check())


def test_a_key_opens_a_page_that_is_not_live_and_steers_nothing() -> None:
    async def check() -> None:
        async with running() as house:
            job_id, _ = await submitted(house, link="cancel")
            answer = await look(house, f"/jobs/{job_id}", Authorization=f"Bearer {API_KEY}")
            assert_page(answer, 200, job_id)
            for word in ("token=", "live.js", "<form"):
                assert word not in answer.text

    asyncio.run(check())


@pytest.mark.parametrize("of_batch", [False, True])
def test_an_expired_link_says_so_in_words(of_batch: bool) -> None:
    async def check() -> None:
        async with running() as house:
            url = (await submitted(house))[1]
            if of_batch:
                url = (await house.submit([{"type": "a"}])).headers["Location"]
            house.clock.advance(timedelta(days=8))
            assert_page(await look(house, url), 401, "This link does not work", "a new one")
            assert_problem(await house.http.get(url), 401, "unauthorized")

    asyncio.run(check())


@pytest.mark.parametrize("path", [f"/jobs/{JOB}{'0' * 26}", f"/batches/{BATCH}{'0' * 26}", "/jobs/<script>"])
def test_what_is_not_there_is_a_page_too(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await look(house, path, Authorization=f"Bearer {API_KEY}")
            assert_page(answer, 404, "There is nothing here")
            assert "<script>" not in answer.text

    asyncio.run(check())


def test_a_key_that_may_not_read_is_refused_on_a_page() -> None:
    async def check() -> None:
        async with running() as house:
            job_id, _ = await submitted(house)
            answer = await look(house, f"/jobs/{job_id}", Authorization=f"Bearer {SUBMIT_KEY}")
            assert_page(answer, 403)

    asyncio.run(check())


def test_addresses_for_programs_stay_with_json() -> None:
    async def check() -> None:
        async with running() as house:
            for path in ("/jobs", "/events", "/nothing", f"/jobs/{JOB}/stream"):
                assert (await look(house, path)).headers["Content-Type"] == "application/problem+json"

    asyncio.run(check())


def test_redis_that_does_not_answer_is_told_on_a_page() -> None:
    broken = False

    def connect(make: Callable[[], redis.asyncio.Redis]) -> redis.asyncio.Redis:
        client = make()
        execute = client.execute_command

        async def perhaps(*arguments: Any, **options: Any) -> Any:
            if broken:
                raise redis.asyncio.ConnectionError
            return await execute(*arguments, **options)

        client.execute_command = perhaps  # type: ignore[method-assign]
        return client

    async def check() -> None:
        nonlocal broken
        async with running(connect=connect) as house:
            batch = (await house.submit([{"type": "a"}])).headers["Location"]
            broken = True
            answer = await look(house, batch)
            broken = False
            assert_page(answer, 503, "just now")
            assert answer.headers["Retry-After"] == "5"

    asyncio.run(check())


def test_the_parts_of_a_batch_are_linked_for_as_long_as_the_batch_is() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.submit([{"type": "a", "link": "cancel"}, {"type": "b"}])
            batch = answer.headers["Location"]
            house.clock.advance(timedelta(days=6))
            parts = [one["status_url"] for one in (await house.http.get(batch)).json()["jobs"]]
            page = (await look(house, batch)).text
            for url, told in zip(parts, answer.json(), strict=True):
                assert url in page
                assert (await house.http.get(url)).json()["id"] == told["job_id"]
                assert_problem(await house.http.post(url.replace("?", "/cancel?")), 403, "scope_missing")
            house.clock.advance(timedelta(days=1, seconds=1))
            assert [(await house.http.get(url)).status_code for url in (batch, *parts)] == [401] * 3

    asyncio.run(check())


def test_a_key_gets_links_to_the_parts_that_are_new() -> None:
    async def check() -> None:
        async with running() as house:
            batch_id = (await house.submit([{"type": "a"}])).json()[0]["batch_id"]
            house.clock.advance(timedelta(days=8))
            answer = await house.http.get(
                f"/batches/{batch_id}", headers={"Authorization": f"Bearer {API_KEY}"}
            )
            (part,) = answer.json()["jobs"]
            assert (await house.http.get(part["status_url"])).status_code == 200

    asyncio.run(check())


def test_assets_are_kept_for_good_at_an_address_that_changes_with_them() -> None:
    async def check() -> None:
        async with running() as house:
            _, url = await submitted(house)
            page = (await look(house, url)).text
            found = {word.strip('">') for word in page.replace('"', " ").split() if "/assets/" in word}
            assert {one.rpartition("/")[2] for one in found} == {"hookline.css", "live.js", "mark.svg"}
            script = next(one for one in found if one.endswith("/live.js"))
            beside = re.findall(r'from "\./([^"]+)"', (await house.http.get(script)).text)
            assert beside
            for one in (*found, *(script.replace("live.js", name) for name in beside)):
                answer = await house.http.get(one)
                assert answer.status_code == 200
                assert "immutable" in answer.headers["Cache-Control"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                plain = await house.http.get(one, headers={"Accept-Encoding": "identity"})
                assert answer.headers["Content-Encoding"] == "gzip"
                assert "Content-Encoding" not in plain.headers
                assert plain.content == answer.content
                _, _, digest, name = one.split("/")
                for wrong in (f"/assets/{digest[::-1]}/{name}", f"/assets/{digest}/..%2f{name}"):
                    assert (await house.http.get(wrong)).status_code == 404
            assert (await house.http.get("/favicon.ico")).headers["Content-Type"] == "image/svg+xml"

    asyncio.run(check())
