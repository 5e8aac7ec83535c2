"""Refusals: what they look like, that each is documented, and that there is no other kind of answer."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest import problems
from ingest.problems import BODY_TOO_LARGE, INVALID, SIGNATURE_INVALID, Kind, Problem
from tests.unit.ingest.application import API_KEY, House, assert_problem, running

ROOT = Path(__file__).parents[3]
KINDS = [kind for kind in vars(problems).values() if isinstance(kind, Kind)]


def test_the_page_has_one_row_per_problem() -> None:
    page = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \| (.+?) \| .+ \|$", page, re.MULTILINE)
    assert rows == [(kind.code, str(kind.status), kind.title) for kind in KINDS]


def test_the_page_says_which_close_the_connection() -> None:
    page = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"^With (.+?) the connection is closed", page, re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", told)) == {
        kind.code for kind in KINDS if "Connection" in kind.headers
    }


def test_a_code_means_one_thing() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(400 <= kind.status < 600 and kind.title.endswith(".") for kind in KINDS)
    assert all("Retry-After" in kind.headers for kind in KINDS if kind.status == 503)


def test_a_problem_has_the_members_of_rfc_9457_and_its_own() -> None:
    reply = Problem(BODY_TOO_LARGE, "At most 7 bytes are taken.", event_id="evt_1").reply()
    assert (reply.status_code, reply.headers["Content-Type"]) == (413, "application/problem+json")
    assert (reply.headers["Connection"], reply.headers["Cache-Control"]) == ("close", "no-store")
    assert json.loads(bytes(reply.body)) == {
        "type": "urn:hookline:problem:body_too_large",
        "title": "The body is too large.",
        "status": 413,
        "code": "body_too_large",
        "detail": "At most 7 bytes are taken.",
        "event_id": "evt_1",
    }


def test_a_problem_repeats_little_of_what_was_sent() -> None:
    assert len(Problem(INVALID, "x" * 1_000_000).reply().body) < 600


def test_a_problem_never_tells_what_it_was_raised_from() -> None:
    problem = Problem(SIGNATURE_INVALID)
    problem.__cause__ = ValueError("the secret is hunter2")
    assert b"hunter2" not in bytes(problem.reply().body)


# -- the application's own refusals ------------------------------------------------------------------------------------


async def ask(house: House, method: str, path: str, **headers: str) -> Any:
    return await house.http.request(method, path, headers={"Authorization": f"Bearer {API_KEY}", **headers})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/hooks",
        "/hooks/",
        "/jobs/",
        "/jobs/a/b",
        "/healthz/",
        "/HEALTHZ",
        "/admin/..;/",
        "/%00",
        "/x" * 3000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_any_other_address_is_a_404_and_no_redirect(method: str, path: str) -> None:
    """A086."""

    async def check() -> None:
        async with running() as house:
            assert_problem(await ask(house, method, path, Host="evil.test"), 404, "not_found")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/hooks/acme", "POST"),
        ("/jobs", "GET, HEAD, POST"),
        ("/jobs/job_00000000000000000000000000", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
    ],
)
def test_every_address_says_which_methods_it_takes(path: str, allowed: str) -> None:
    async def check() -> None:
        async with running() as house:
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"} - set(
                allowed.split(", ")
            ):
                answer = await ask(house, method, path)
                members = assert_problem(answer, 405, "method_not_allowed")
                assert answer.headers["Allow"] == allowed
                assert members["detail"] == f"Use {allowed.replace(', ', ' or ')}."

    asyncio.run(check())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/jobs", "/hooks/acme", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_other_site_may_ask_in_a_browser(method: str, path: str) -> None:
    """A093, A094."""

    async def check() -> None:
        async with running() as house:
            answer = await ask(
                house, method, path, Origin="https://evil.test", **{"Access-Control-Request-Method": "POST"}
            )
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"

    asyncio.run(check())


def test_what_strangers_ask_for_is_logged_in_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    """A105."""

    async def check() -> None:
        async with running() as house:
            with caplog.at_level("DEBUG", "ingest"):
                await ask(house, "GET", "/nowhere%0d%0ax" + "y" * 10_000)
            (line,) = caplog.records
            assert (line.levelname, line.getMessage()) == ("INFO", "refused: not_found")
            assert len(str(vars(line)["path"])) == 200

    asyncio.run(check())


def test_a_fault_of_ours_is_a_500_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with running() as house:

            def fail(*_: object) -> None:
                raise ZeroDivisionError("the secret is hunter2")

            monkeypatch.setattr("ingest.receive.arrival_of", fail)
            house.http._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
            answer = await house.post("acme", {"type": "a"})
            assert_problem(answer, 500, "internal")
            assert "hunter2" not in answer.text
            assert house.stored() == set()

    asyncio.run(check())


# -- probes ------------------------------------------------------------------------------------------------------------


def test_the_process_says_that_it_lives_without_asking_anybody() -> None:
    async def check() -> None:
        async with running() as house:
            house.redis.connection_pool.connection_kwargs["server"].connected = False
            answer = await house.http.get("/healthz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    asyncio.run(check())


def test_it_is_ready_once_a_worker_lives_and_redis_answers() -> None:
    async def check() -> None:
        async with running() as house:
            server = house.redis.connection_pool.connection_kwargs["server"]
            alone = await house.http.get("/readyz")
            assert (alone.status_code, alone.json()) == (
                503,
                {"status": "unready", "reasons": ["no worker is alive: what is accepted waits"]},
            )
            await house.tell_handlers(("acme", "*"))
            assert (await house.http.get("/readyz")).json() == {"status": "ready", "reasons": []}
            server.connected = False
            cut_off = await house.http.get("/readyz")
            assert (cut_off.status_code, cut_off.json()["reasons"]) == (503, ["Redis does not answer"])
            server.connected = True
            assert (await house.http.get("/readyz")).status_code == 200

    asyncio.run(check())
