"""Every address of the API, as the application has them: who may ask, and who may not (docs/security-tests.md)."""

import asyncio
from collections.abc import Mapping, Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from tests.unit.ingest.application import (
    PROBLEM,
    READ_KEY,
    SECRETS,
    SUBMIT_KEY,
    House,
    assert_problem,
    running,
)

EVERYBODYS = {
    "/healthz",
    "/readyz",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/docs",
    "/assets/{digest}/{name}",
    "/favicon.ico",
}
PROVEN_OTHERWISE = {"/hooks/{source}", "/artifacts/{job}/{name}"}  # by a signature, or by a link of their own
READING = ("GET", "HEAD")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


def closed(house: House) -> list[str]:
    """The paths that want a key."""
    app = house.http._transport.app  # type: ignore[attr-defined]
    assert isinstance(app, Starlette)
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    assert paths >= EVERYBODYS | PROVEN_OTHERWISE | {"/jobs", "/jobs/{id}"}
    return sorted(paths - EVERYBODYS - PROVEN_OTHERWISE)


async def ask_everywhere(
    house: House, methods: Sequence[str], *, headers: Mapping[str, str] | None = None, query: str = ""
) -> dict[tuple[str, str], httpx.Response]:
    """What every closed path answers to these methods, about a job that is there."""
    told = (await house.submit({"type": "a"})).json()
    found = {}
    for path in closed(house):
        ids = {"id": told["event_id"] if path.startswith("/events") else told["job_id"], "name": "github"}
        for method in methods:
            url = path.format_map(ids) + query
            found[method, path] = await house.http.request(method, url, headers=headers, json={"type": "a"})
    return found


def assert_all_refused(answers: dict[tuple[str, str], httpx.Response], statuses: set[int]) -> None:
    wrong = {
        asked: answer.status_code for asked, answer in answers.items() if answer.status_code not in statuses
    }
    assert wrong == {}
    assert all(answer.headers["Content-Type"] == PROBLEM for answer in answers.values())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer guessed"},
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Bearer {SECRETS['github']}"},
        {"Cookie": "session=admin", "X-Api-Key": "key-of-all", "X-Forwarded-For": "127.0.0.1"},
    ],
)
def test_nothing_but_a_key_opens_anything(headers: dict[str, str]) -> None:
    """A082, A083."""

    async def check() -> None:
        async with running() as house:
            answers = await ask_everywhere(house, READING + CHANGING, headers=headers)
            assert_all_refused(answers, {401, 405})
            for path in closed(house):
                assert 401 in {answers[method, path].status_code for method in READING + CHANGING}
            assert house.redis.llen("rq:queue:default") == 1

    asyncio.run(check())


def test_who_may_read_changes_nothing_and_who_may_submit_reads_nothing() -> None:
    """A082: scopes, at every address."""

    async def check() -> None:
        async with running() as house:
            changing = await ask_everywhere(house, CHANGING, headers={"Authorization": f"Bearer {READ_KEY}"})
            reading = await ask_everywhere(house, READING, headers={"Authorization": f"Bearer {SUBMIT_KEY}"})
            assert_all_refused(changing, {403, 405})
            assert_all_refused(reading, {403, 405})

    asyncio.run(check())


def test_a_link_opens_nothing_but_its_own_job() -> None:
    """A090, A092: at every other address it is worth as much as nothing."""

    async def check() -> None:
        async with running() as house:
            link = (await house.submit({"type": "a"})).json()["status_url"]
            assert (await house.http.get(link)).status_code == 200
            answers = await ask_everywhere(house, READING + CHANGING, query="?" + link.partition("?")[2])
            assert_all_refused(answers, {401, 404, 405})

    asyncio.run(check())


@pytest.mark.parametrize(
    "path", ["/JOBS", "//jobs", "/./jobs", "/jobs%2f", "/jobs%00", "/jobs/..;/", "/jobs;a", "/healthz/../jobs", "/jobs/."]
)  # fmt: skip
def test_another_spelling_of_an_address_opens_nothing(path: str) -> None:
    """A086."""

    async def check() -> None:
        async with running() as house:
            for method in ("GET", "POST"):
                url = httpx.URL("http://hookline", raw_path=path.encode())
                answer = await house.http.request(method, url)
                assert answer.status_code in (401, 404, 405)
                assert_problem(answer, answer.status_code, answer.json()["code"])

    asyncio.run(check())
