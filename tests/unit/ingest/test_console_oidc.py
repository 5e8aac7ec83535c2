"""Signing in at the console by an identity provider: who gets in, and every way in which nobody does."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from infra.clock import ManualClock
from infra.settings import Settings, SettingsError
from ingest.console import oidc
from ingest.console.provider import Provider, ProviderAway, Question
from ingest.console.questions import COOKIE as QUESTION
from ingest.console.sessions import COOKIE
from tests.unit.ingest.application import NOW, House
from tests.unit.ingest.console_visits import CONSOLE, PASSWORD, VIEWER, Browser, visited
from tests.unit.ingest.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    SETTINGS,
    Standin,
    jwk_of,
    rsa_key,
    signed,
    unsigned,
)

OVER = "That sign-in is over"
UNBELIEVABLE = "can&#39;t be believed"


def run(check: Any) -> None:
    asyncio.run(check())


@asynccontextmanager
async def knocking(
    settings: Mapping[str, str] | None = None, **standin: Any
) -> AsyncIterator[tuple[House, Browser, Standin]]:
    """Somebody at the door of a console that a provider lets people into."""
    provider = Standin(NOW, **standin)
    told = {**SETTINGS, **(settings or {})}
    async with visited(settings=told, signed_in=False, connect_provider=provider.connect) as (house, browser):
        yield house, browser, provider


async def begin(browser: Browser, wanted: str = "/console/") -> str:
    """Where the provider is asked."""
    answer = await browser.http.get("/console/oidc/start", params={"next": wanted})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


async def come_in(browser: Browser, provider: Standin, wanted: str = "/console/") -> httpx.Response:
    back = provider.visit(await begin(browser, wanted))
    return await browser.get(back.removeprefix("http://hookline"))


def test_who_the_provider_knows_comes_in_and_gets_where_they_wanted_to_be() -> None:
    async def check() -> None:
        async with knocking() as (house, browser, provider):
            door = (await browser.get("/console/login?next=/console/jobs")).text
            assert 'href="/console/oidc/start?next=%2Fconsole%2Fjobs"' in door
            assert "id.example.com" in door
            assert 'type="password"' not in door
            answer = await come_in(browser, provider, "/console/jobs?status=failed")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/console/jobs?status=failed")
            page = (await browser.get("/console/jobs")).text
            assert "ada@example.com" in page
            assert "(viewer)" not in page
            (deed,) = await house.ledger.desk.deeds()
            assert (deed.by, deed.act) == ("ada@example.com", "sign in by OIDC")
            assert "sign in by OIDC" in (await browser.get("/console/audit")).text

    run(check)


def test_the_question_tells_the_provider_nothing_but_hashes_and_chance() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, _provider):
            address = urlsplit(await begin(browser))
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ISSUER}/authorize"
            assert asked["redirect_uri"] == "http://hookline/console/oidc/return"
            assert asked["scope"] == "openid email profile"
            assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
            cookie = browser.http.cookies["hookline_console_oidc"]
            assert asked["state"] in cookie
            assert asked["nonce"] not in cookie
            other = parse_qs(urlsplit(await begin(browser)).query)
            assert all(other[name][0] != asked[name] for name in ("state", "nonce", "code_challenge"))

    run(check)


@pytest.mark.parametrize("secure", [True, False])
def test_the_questions_cookie_is_for_no_script_and_no_other_page(secure: bool) -> None:
    async def check() -> None:
        public_url = "https://hooks.example.com" if secure else "http://hookline"
        async with knocking({"HOOKLINE_PUBLIC_URL": public_url}) as (_, browser, _provider):
            cookie = (await browser.get("/console/oidc/start")).headers["Set-Cookie"]
            for word in ("HttpOnly", "SameSite=Lax", "Path=/console/oidc", "Max-Age=600"):
                assert word in cookie
            assert ("Secure" in cookie) is secure

    run(check)


@pytest.mark.parametrize(
    ("described", "secret"),
    [
        ({}, True),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, True),
        ({}, False),
    ],
)
def test_the_code_is_redeemed_as_the_provider_wants_it(described: dict[str, Any], secret: bool) -> None:
    async def check() -> None:
        settings = {} if secret else {"HOOKLINE_CONSOLE_OIDC_CLIENT_SECRET": ""}
        async with knocking(settings, described=described) as (_, browser, provider):
            assert (await come_in(browser, provider)).status_code == 303
            (request,) = provider.asked
            form = parse_qs(request.content.decode())
            if secret and not described:
                expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
                assert request.headers["Authorization"] == f"Basic {expected}"
                assert "client_secret" not in form
            else:
                assert "Authorization" not in request.headers
                assert form["client_id"] == [CLIENT_ID]
                assert form.get("client_secret") == ([CLIENT_SECRET] if secret else None)

    run(check)


@pytest.mark.parametrize(
    ("claims", "role"),
    [({"email": "vera@example.com"}, "viewer"), ({"email_verified": False}, None)],
)
def test_the_role_is_what_the_settings_make_of_the_claims(claims: dict[str, Any], role: str | None) -> None:
    async def check() -> None:
        async with knocking(claims=claims) as (house, browser, provider):
            answer = await come_in(browser, provider)
            if role is None:
                assert answer.status_code == 403
                assert "may not come in" in answer.text
                assert COOKIE not in browser.http.cookies
                assert await house.ledger.desk.deeds() == []
            else:
                assert answer.status_code == 303
                assert f"({role})" in (await browser.get("/console/events")).text

    run(check)


def test_a_claim_within_a_claim_counts_by_its_path() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_OIDC_OPERATORS": "realm_access.roles=hookline"}
        claims = {"email": None, "realm_access": {"roles": ["hookline"]}, "name": "operator"}
        async with knocking(settings, claims=claims) as (house, browser, provider):
            assert (await come_in(browser, provider)).status_code == 303
            (deed,) = await house.ledger.desk.deeds()
            assert (
                deed.by == "operator [1]"
            )  # nobody can call themselves what somebody of the settings is called

    run(check)


@pytest.mark.parametrize(
    ("sign", "claims"),
    [
        (unsigned, {}),
        (lambda claims: signed(claims, key=rsa_key("another's")), {}),
        (signed, {"nonce": "another"}),
        (signed, {"aud": "another"}),
        (signed, {"exp": int((NOW - timedelta(minutes=2)).timestamp())}),
    ],
    ids=["alg none", "another's key", "another nonce", "for another", "expired"],
)
def test_a_token_that_is_worth_nothing_lets_nobody_in(
    sign: Callable[[Mapping[str, Any]], str], claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """`test_signature_identity_token.py` has all the others."""

    async def check() -> None:
        async with knocking(sign=sign, claims=claims) as (house, browser, provider):
            answer = await come_in(browser, provider)
            assert (answer.status_code, UNBELIEVABLE in answer.text) == (502, True)
            assert COOKIE not in browser.http.cookies
            assert await house.ledger.desk.deeds() == []

    with caplog.at_level(logging.WARNING):
        run(check)
    assert "can't be believed" in caplog.text
    assert CLIENT_SECRET not in caplog.text


def test_a_key_that_is_new_is_fetched_and_a_shared_one_is_never_taken() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, provider):
            assert (await come_in(browser, provider)).status_code == 303
            new = rsa_key("another's")
            provider.keys.append(jwk_of(new, kid="two"))
            provider.sign = lambda claims: signed(claims, key=new, kid="two")
            assert (await come_in(browser, provider)).status_code == 303
            shared = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
            provider.keys.append({"kty": "oct", "k": shared, "kid": "three"})
            provider.sign = lambda claims: jwt.encode(
                dict(claims), b"k" * 32, "HS256", headers={"kid": "three"}
            )
            assert (await come_in(browser, provider)).status_code == 502

    run(check)


def test_a_state_is_good_for_once() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, provider):
            back = provider.visit(await begin(browser)).removeprefix("http://hookline")
            cookie = browser.http.cookies["hookline_console_oidc"]
            assert (await browser.get(back)).status_code == 303
            assert "hookline_console_oidc" not in browser.http.cookies
            browser.http.cookies.clear()
            again = await browser.http.get(back, headers={"Cookie": f"hookline_console_oidc={cookie}"})
            assert (again.status_code, OVER in again.text) == (403, True)
            assert len(provider.asked) == 1

    run(check)


def test_whoever_did_not_ask_is_not_answered() -> None:
    """A087, of signing in: nobody becomes somebody else by a link, and no stranger makes us call the provider."""

    async def check() -> None:
        async with knocking() as (house, browser, provider):
            back = provider.visit(await begin(browser)).removeprefix("http://hookline")
            cookie = browser.http.cookies["hookline_console_oidc"]
            browser.http.cookies.clear()

            async def asks(path: str, cookie: str) -> None:
                header = {"Cookie": f"hookline_console_oidc={cookie}"} if cookie else {}
                answer = await browser.http.get(path, headers=header)
                assert (answer.status_code, OVER in answer.text) == (403, True)

            await asks(back, "")
            await asks(back, cookie[:-3])
            await asks(back, "x" * 2000)
            await asks(back.replace("state=", "state=0"), cookie)
            await asks(back.replace("state=", "state=%C3%A9"), cookie)
            await asks(back.partition("&state")[0], cookie)
            house.clock.advance(timedelta(minutes=11))
            await asks(back, cookie)
            assert provider.asked == []

    run(check)


def test_an_answer_of_another_provider_is_refused_before_its_code_is_redeemed() -> None:
    """RFC 9207."""

    async def check() -> None:
        async with knocking() as (_, browser, provider):
            back = provider.visit(await begin(browser)).replace("iss=https://id", "iss=https://evil")
            answer = await browser.get(back.removeprefix("http://hookline"))
            assert answer.status_code == 502
            assert provider.asked == []

    run(check)


@pytest.mark.parametrize("error", ["access_denied", "<svg/onload=alert(1)>"])
def test_whom_the_provider_does_not_let_in_is_told_so(error: str) -> None:
    async def check() -> None:
        async with knocking() as (_, browser, _provider):
            state = parse_qs(urlsplit(await begin(browser)).query)["state"][0]
            answer = await browser.http.get("/console/oidc/return", params={"error": error, "state": state})
            assert (answer.status_code, "let nobody in" in answer.text) == (403, True)
            assert "<svg" not in answer.text

    run(check)


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 500},
        {"described": {"issuer": "https://evil.example.com"}},
        {"described": {"authorization_endpoint": "javascript:alert(1)"}},
        {"described": {"token_endpoint": "http://id.example.com/token"}},
        {"described": {"jwks_uri": None}},
    ],
    ids=str,
)
def test_a_provider_that_is_away_or_says_odd_things_is_asked_nothing(broken: dict[str, Any]) -> None:
    async def check() -> None:
        standin = Standin(NOW, **broken)
        provider = Provider.of(
            Settings.load({**CONSOLE, **SETTINGS}), clock=ManualClock(NOW), connect=standin.connect
        )
        assert provider is not None
        with pytest.raises(ProviderAway):
            await provider.address(Question(state="s", nonce="n", verifier="v"))
        assert await provider.farewell() is None
        await provider.stop()

    run(check)


def test_while_the_provider_is_away_a_page_says_so_and_passwords_open() -> None:
    async def check() -> None:
        async with knocking({"HOOKLINE_CONSOLE_PASSWORD": PASSWORD}, status=500) as (_, browser, _provider):
            answer = await browser.get("/console/oidc/start")
            assert (answer.status_code, "be reached" in answer.text) == (502, True)
            assert (await browser.sign_in()).status_code == 303

    run(check)


def test_the_guard_keeps_the_provider_from_sending_us_into_the_inner_network() -> None:
    async def check() -> None:
        settings = {**SETTINGS, "HOOKLINE_CONSOLE_OIDC_ISSUER": "https://10.0.0.1"}
        async with visited(settings=settings, signed_in=False) as (_, browser):
            assert (await browser.get("/console/oidc/start")).status_code == 502

    run(check)


def test_passwords_stay_beside_the_provider() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_PASSWORD": PASSWORD, "HOOKLINE_CONSOLE_USERS": VIEWER}
        async with knocking(settings) as (_, browser, provider):
            door = (await browser.get("/console/login")).text
            assert 'type="password"' in door
            assert "/console/oidc/start" in door
            assert (await browser.sign_in("vera's password", name="vera")).status_code == 303
            assert (await come_in(browser, provider)).status_code == 303
            assert "ada@example.com" in (await browser.get("/console/events")).text

    run(check)


def test_without_passwords_no_password_opens() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, _provider):
            for name in ("operator", "operator:ada@example.com"):
                assert (await browser.sign_in("", name=name)).status_code == 401

    run(check)


def test_signing_out_ends_the_session_and_says_where_the_providers_own_ends() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, provider):
            await come_in(browser, provider)
            cookie = browser.http.cookies[COOKIE]
            answer = await browser.press("/console/events", "/console/logout")
            assert answer.status_code == 200
            assert f'href="{ISSUER}/logout?client_id={CLIENT_ID}' in answer.text
            again = await browser.http.get("/console/events", headers={"Cookie": f"{COOKIE}={cookie}"})
            assert again.status_code == 303

    run(check)


@pytest.mark.parametrize(
    "settings",
    [
        {"HOOKLINE_CONSOLE_OIDC_OPERATORS": "grace@example.com"},
        {"HOOKLINE_CONSOLE_OIDC_ISSUER": "https://other.example.com"},
        {"HOOKLINE_CONSOLE_OIDC_ISSUER": "", "HOOKLINE_CONSOLE_PASSWORD": PASSWORD},
    ],
    ids=str,
)
def test_a_session_ends_when_the_settings_bring_in_others(settings: dict[str, str]) -> None:
    async def check() -> None:
        async with knocking() as (_, browser, provider):
            await come_in(browser, provider)
            header = {"Cookie": f"{COOKIE}={browser.http.cookies[COOKIE]}"}
            assert (await browser.get("/console/events")).status_code == 200
        async with knocking() as (_, browser, _provider):
            assert (await browser.http.get("/console/events", headers=header)).status_code == 200
        async with knocking(settings) as (_, browser, _provider):
            assert (await browser.http.get("/console/events", headers=header)).status_code == 303

    run(check)


def test_only_so_many_come_back_from_one_address() -> None:
    async def check() -> None:
        async with knocking() as (_, browser, _provider):
            path = "/console/oidc/return?state=x"
            unasked = {(await browser.get(path)).status_code for _ in range(20)}
            assert unasked == {403}, (
                "who never began one is not counted, for other sites can send a browser here"
            )
            cookie = {"Cookie": f"{QUESTION}=made-up"}
            statuses = [(await browser.http.get(path, headers=cookie)).status_code for _ in range(11)]
            assert statuses == [403] * 10 + [429]

    run(check)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"HOOKLINE_CONSOLE_OIDC_CLIENT_ID": ""}, "CLIENT_ID"),
        ({"HOOKLINE_PUBLIC_URL": ""}, "PUBLIC_URL"),
        ({"HOOKLINE_CONSOLE_OIDC_OPERATORS": "", "HOOKLINE_CONSOLE_OIDC_VIEWERS": ""}, "OPERATORS"),
    ],
)
def test_what_is_missing_stops_the_start(missing: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Provider.of(Settings.load({**CONSOLE, **SETTINGS, **missing}), clock=ManualClock(NOW))


def test_where_no_provider_is_set_its_addresses_are_none() -> None:
    async def check() -> None:
        async with visited(signed_in=False) as (_, browser):
            for path in (oidc.START, oidc.RETURN):
                assert (await browser.get(path)).headers["Location"].startswith("/console/login")

    run(check)
