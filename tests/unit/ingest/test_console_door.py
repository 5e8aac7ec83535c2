"""The console's door: who gets in, how often they may try, and what their session is worth."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from ingest.console.sessions import COOKIE
from tests.unit.ingest.application import running
from tests.unit.ingest.console_visits import BROWSER, PASSWORD, VIEWER, Browser, csrf_of, visited

POSTS = (
    "/console/logout",
    "/console/events/evt_00000000000000000000000000/replay",
    "/console/events/evt_00000000000000000000000000/edit",
    "/console/jobs/job_00000000000000000000000000/retry",
    "/console/jobs/job_00000000000000000000000000/cancel",
    "/console/failures/0123456789abcdef/retry",
    "/console/replays/rep_00000000000000000000000000/stop",
    "/console/callbacks/cb_00000000000000000000000000/redeliver",
    "/console/receivers/rcv_00000000000000000000000000/pause",
    "/console/receivers/rcv_00000000000000000000000000/resume",
)


def run(check: Any) -> None:
    asyncio.run(check())


def test_without_a_password_there_is_no_console() -> None:
    async def check() -> None:
        async with running() as house:
            for path in ("/console", "/console/", "/console/login", "/console/events"):
                assert (await house.http.get(path)).status_code == 404

    run(check)


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/events",
        "/console/..;/",
        "/console/login/",
        "/console/%2e%2e/events",
        "/console//events",
    ],
)
def test_who_is_not_signed_in_sees_the_door(path: str) -> None:
    """A086, at the console."""

    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            answer = await browser.get(path)
            assert answer.status_code in (303, 404)
            assert answer.headers.get("Location", "/console/login").startswith("/console/login")
            assert "Sign out" not in answer.text

    run(check)


@pytest.mark.parametrize("path", ["/CONSOLE", "//console", "/consoles", "/./console//x"])
def test_no_other_spelling_leads_in(path: str) -> None:
    """A086, at the console."""

    async def check() -> None:
        async with visited(signed_in=False) as (house, _):
            url = house.http.base_url.copy_with(raw_path=path.encode())
            answer = await house.http.get(url, headers={"X-Original-URL": "/console/events"})
            assert answer.status_code in (303, 404)
            assert "Sign out" not in answer.text

    run(check)


def test_the_right_password_opens_a_session_in_a_cookie_no_script_can_read() -> None:
    """A089."""

    async def check() -> None:
        settings = {"HOOKLINE_PUBLIC_URL": "https://hooks.example.com"}
        async with visited(signed_in=False, settings=settings) as (house, browser):
            answer = await browser.post(
                "/console/login", {"password": PASSWORD}, Origin="https://hooks.example.com"
            )
            assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
            cookie = answer.headers["Set-Cookie"]
            for word in ("HttpOnly", "SameSite=Lax", "Path=/console", "Secure", "Max-Age=43200"):
                assert word in cookie
            header = {"Cookie": cookie.partition(";")[0]}
            assert (await house.http.get("/console/events", headers=header)).status_code == 200

    run(check)


def test_by_http_the_cookie_is_not_kept_from_the_browser() -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            answer = await browser.sign_in()
            assert "Secure" not in answer.headers["Set-Cookie"]
            assert "Strict-Transport-Security" not in answer.headers
            secured = await browser.post("/console/login", {"password": PASSWORD}, X_Forwarded_Proto="https")
            assert "Secure" in secured.headers["Set-Cookie"]
            assert "Strict-Transport-Security" in secured.headers

    run(check)


@pytest.mark.parametrize("password", ["", "guess", PASSWORD + " ", "x" * 2000, "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")])  # fmt: skip
def test_another_password_does_not(password: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            answer = await browser.sign_in(password)
            assert answer.status_code == 401
            assert "Set-Cookie" not in answer.headers
            if password:
                assert password not in answer.text
                assert password not in caplog.text

    run(check)


def test_thirty_wrong_passwords_meet_a_limit_and_leave_a_line_without_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A084."""

    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            answers = [await browser.sign_in(f"guess-{number}") for number in range(30)]
            assert [answer.status_code for answer in answers[:10]] == [401] * 10
            assert {answer.status_code for answer in answers[10:]} == {429}
            assert int(answers[-1].headers["Retry-After"]) > 0
            assert (await browser.sign_in()).status_code == 429

    run(check)
    assert "console: wrong password" in caplog.text
    assert "guess-" not in caplog.text


def test_one_name_is_tried_only_so_often_from_anywhere() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CLIENT_HEADER": "X-Real-IP"}
        async with visited(signed_in=False, settings=settings) as (_, browser):
            statuses = [
                (
                    await browser.post(
                        "/console/login", {"password": "wrong"}, X_Real_IP=f"203.0.113.{number}"
                    )
                ).status_code
                for number in range(65)
            ]
            assert statuses == [401] * 60 + [429] * 5

    run(check)


def test_every_sign_in_is_a_new_session() -> None:
    """A089."""

    async def check() -> None:
        async with visited() as (_, browser):
            before = browser.http.cookies[COOKIE]
            await browser.sign_in()
            after = browser.http.cookies[COOKIE]
            assert before != after
            browser.http.cookies.set(COOKIE, before, path="/console", domain="hookline")
            stale = await browser.http.get("/console/events", headers={"Cookie": f"{COOKIE}={before}"})
            assert stale.status_code == 303

    run(check)


def test_a_session_is_dead_after_signing_out_however_its_cookie_is_spelt() -> None:
    """A089 and A091."""

    async def check() -> None:
        async with visited() as (_, browser):
            cookie = browser.http.cookies[COOKIE]
            answer = await browser.press("/console/events", "/console/logout")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/console/login")
            browser.http.cookies.clear()
            for spelling in (cookie, cookie + "=", cookie + "é"):
                header = {"Cookie": f"{COOKIE}={spelling}".encode()}
                again = await browser.http.get("/console/events", headers=header)
                assert again.status_code == 303

    run(check)


def test_a_session_ends_by_itself() -> None:
    async def check() -> None:
        async with visited(settings={"HOOKLINE_CONSOLE_SESSION": "1h"}) as (house, browser):
            house.clock.advance(timedelta(minutes=59))
            assert (await browser.get("/console/events")).status_code == 200
            house.clock.advance(timedelta(minutes=2))
            assert (await browser.get("/console/events")).status_code == 303

    run(check)


@pytest.mark.parametrize(
    "cookie",
    ["", "nonsense", "a.b.c", "x" * 5000, "é", "operator", f'"{COOKIE}"', "id:proof:operator.AAAA.BBBB"],
)
def test_a_cookie_that_is_not_ours_opens_nothing(cookie: str) -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (house, _):
            header = {"Cookie": f"{COOKIE}={cookie}".encode()}
            assert (await house.http.get("/console/events", headers=header)).status_code == 303

    run(check)


def test_a_session_made_with_another_password_or_key_is_none() -> None:
    async def check() -> None:
        async with visited() as (_, browser):
            cookie = browser.http.cookies[COOKIE]
        for settings in (
            {"HOOKLINE_CONSOLE_PASSWORD": "another long password"},
            {"HOOKLINE_SECRET_KEY": "another-key"},
        ):
            async with visited(settings=settings, signed_in=False) as (house, _):
                header = {"Cookie": f"{COOKIE}={cookie}"}
                assert (await house.http.get("/console/events", headers=header)).status_code == 303

    run(check)


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.test",
        "/\\evil.test",
        "https:evil.test",
        "https://evil.test/console/",
        "%2f%2fevil.test",
        "javascript:alert(1)",
        "/%09/evil.test",
        "/console/\\..\\evil",
        "/console/../hooks",
        "/console//evil.test",
        "/console/\r\nSet-Cookie: a=b",
    ],
)
def test_signing_in_never_leads_elsewhere(wanted: str) -> None:
    """A088."""

    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            page = await browser.http.get("/console/login", params={"next": wanted})
            assert 'name="next" value="/console/"' in page.text
            answer = await browser.post("/console/login", {"password": PASSWORD, "next": wanted})
            assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")

    run(check)


def test_signing_in_leads_back_to_where_somebody_wanted_to_be() -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            door = (await browser.get("/console/events?status=failed")).headers["Location"]
            form = (await browser.get(door)).text
            wanted = re.search(r'name="next" value="([^"]+)"', form)
            assert wanted is not None
            answer = await browser.post("/console/login", {"password": PASSWORD, "next": wanted[1]})
            assert answer.headers["Location"] == "/console/events?status=failed"

    run(check)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://hookline.evil.test"},
    ],
)
def test_what_another_site_sends_is_refused_with_the_cookie_and_the_token(
    path: str, headers: dict[str, str]
) -> None:
    """A087, at the console."""

    async def check() -> None:
        async with visited() as (_, browser):
            token = csrf_of((await browser.get("/console/events")).text)
            answer = await browser.post(path, {"csrf": token}, **headers)
            assert answer.status_code == 403
            assert (await browser.get("/console/events")).status_code == 200

    run(check)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "0" * 32}, {"csrf": "é"}])
def test_a_form_without_this_sessions_token_is_refused(path: str, form: dict[str, str]) -> None:
    """A087, at the console."""

    async def check() -> None:
        async with visited() as (_, browser):
            assert (await browser.post(path, form)).status_code == 403

    run(check)


@pytest.mark.parametrize("path", POSTS)
def test_a_get_changes_nothing_and_text_is_no_form(path: str) -> None:
    """A087, at the console."""

    async def check() -> None:
        async with visited() as (_, browser):
            assert (await browser.get(path)).status_code == 405
            answer = await browser.http.post(path, content=b"csrf=x", headers={**BROWSER, "Content-Type": "text/plain"})  # fmt: skip
            assert answer.status_code == 403

    run(check)


def test_a_viewer_looks_and_changes_nothing() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER}
        async with visited(settings=settings, signed_in=False) as (house, browser):
            assert 'name="name"' in (await browser.get("/console/login")).text
            assert (await browser.sign_in("vera's password", name="vera")).status_code == 303
            event_id = (await house.submit({"type": "a", "payload": {"secret": "seen"}})).json()["event_id"]
            page = (await browser.get(f"/console/events/{event_id}")).text
            assert "(viewer)" in page
            assert "seen" in page
            assert f"/console/events/{event_id}/replay" not in page
            refused = await browser.press("/console/events", f"/console/events/{event_id}/replay")
            assert refused.status_code == 403
            assert "Ask an operator" in refused.text

    run(check)


def test_a_viewer_can_be_kept_from_payloads() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER, "HOOKLINE_CONSOLE_VIEWERS_SEE": "records"}
        async with visited(settings=settings, signed_in=False) as (house, browser):
            await browser.sign_in("vera's password", name="vera")
            event_id = (await house.submit({"type": "a", "payload": {"a": "h1dden"}})).json()["event_id"]
            page = (await browser.get(f"/console/events/{event_id}")).text
            assert "h1dden" not in page
            assert "not shown to viewers" in page
            assert (await browser.get(f"/console/events/{event_id}/body")).status_code == 403
            assert event_id not in (await browser.get("/console/search?q=h1dden")).text

    run(check)


@pytest.mark.parametrize(("name", "password"), [("vera", "wrong"), ("nobody", "vera's password"), ("", "x")])
def test_a_name_without_its_password_does_not_get_in(name: str, password: str) -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER}
        async with visited(settings=settings, signed_in=False) as (_, browser):
            assert (await browser.sign_in(password, name=name)).status_code == 401

    run(check)


def test_what_is_done_is_noted_with_who_did_it() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            event_id = (await house.submit({"type": "a"})).json()["event_id"]
            await browser.press(f"/console/events/{event_id}", f"/console/events/{event_id}/replay")
            deeds = await house.ledger.desk.deeds()
            assert [(deed.by, deed.act, deed.on) for deed in deeds] == [
                ("operator", "replay", event_id),
                ("operator", "sign in", ""),
            ]
            assert event_id in (await browser.get("/console/audit")).text

    run(check)


def test_pages_are_kept_by_no_cache_and_framed_by_nobody() -> None:
    """A094, at the console."""

    async def check() -> None:
        async with visited() as (_, browser):
            for path in ("/console/events", "/console/nowhere", "/console/login"):
                if path == "/console/login":
                    browser.http.cookies.clear()
                headers = (await browser.get(path)).headers
                assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in headers

    run(check)


def test_a_key_of_the_api_and_a_link_open_no_console() -> None:
    """A092, at the console."""

    async def check() -> None:
        async with visited(signed_in=False) as (house, _):
            link = (await house.submit({"type": "a"})).json()["status_url"]
            token = link.split("token=")[1]
            answers = [
                await house.http.get("/console/events", headers={"Authorization": "Bearer key-of-all"}),
                await house.http.get(f"/console/events?token={token}"),
            ]
            assert [answer.status_code for answer in answers] == [303, 303]

    run(check)


def test_two_people_are_two_sessions() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER}
        async with visited(settings=settings) as (house, browser):
            token = csrf_of((await browser.get("/console/events")).text)
            browser.http.cookies.clear()
            other = Browser(house.http)
            await other.sign_in("vera's password", name="vera")
            answer = await other.post("/console/logout", {"csrf": token})
            assert answer.status_code == 403

    run(check)
