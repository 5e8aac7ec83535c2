"""The pages of sources: what to paste, what came, how old the secrets are, why requests were refused; and a test event."""

import asyncio
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from infra.ledger import keys
from ingest.problems import BODY_TOO_LARGE
from tests.unit.ingest.application import SECRETS, SOURCES, House
from tests.unit.ingest.console_visits import VIEWER, visited
from tests.unit.ingest.test_console_pages import text_of

MORE = """
[pubkey]
provider = "sendgrid"
[slack]
[sentry]
[stripe]
[postmark]
"""
PUBLIC_KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
MORE_SECRETS = {**SECRETS, "pubkey": PUBLIC_KEY, "slack": "s3cret-of-slack", "stripe": "whsec_x", "sentry": "s3cret-of-sentry", "postmark": "u:s3cret-of-postmark"}  # fmt: skip


def run(check: Any) -> None:
    asyncio.run(check())


async def refused(house: House, source: str) -> None:
    """A request is refused, and its sample kept."""
    await house.post(source, {"a": 1}, X_Hub_Signature_256="sha256=" + "0" * 64)
    async with asyncio.timeout(10):
        while not await house.ledger.refusals.newest(source):
            await asyncio.sleep(0.001)


def test_every_source_is_a_row_with_its_address_and_what_was_refused() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await refused(house, "github")
            event_id = (await house.post("fireflies", {"event": "x", "meeting_id": "1"})).json()["event_id"]
            page = await text_of(browser, "/console/sources")
            assert "http://hookline/hooks/github" in page
            assert 'href="/console/sources/github#refused-title">1<' in page
            assert event_id in page
            assert "not set: all is refused" in page  # `forgotten` has no secret

    run(check)


def test_a_source_tells_why_its_requests_were_refused() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await refused(house, "github")
            page = await text_of(browser, "/console/sources/github")
            assert "No change that we know makes it hold" in page
            assert "Refused within the hour" in page
            assert "Nothing." in await text_of(browser, "/console/sources/make")
            assert "SOURCE_FORGOTTEN_SECRET" in await text_of(browser, "/console/sources/forgotten")
            assert (await browser.get("/console/sources/nobody")).status_code == 404

    run(check)


def test_a_secret_that_is_older_than_a_year_is_shown_as_that() -> None:
    async def check() -> None:
        async with visited(secrets={**SECRETS, "github": "new-one,old-one"}) as (house, browser):
            page = await text_of(browser, "/console/sources/github")
            assert page.count("first seen") == 2
            assert "more than a year" not in page
            for name, moments in house.redis.hgetall(keys.SECRETS).items():
                first, last = (int(one) for one in moments.split())
                year = timedelta(days=400) // timedelta(milliseconds=1)
                house.redis.hset(keys.SECRETS, name, f"{first - year} {last}")
            assert "more than a year" in await text_of(browser, "/console/sources/github")

    run(check)


def test_secrets_are_noted_when_the_process_starts_and_never_shown() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            async with asyncio.timeout(10):
                while not house.redis.exists(keys.SECRETS):
                    await asyncio.sleep(0.001)
            pages = [await text_of(browser, path) for path in ("/console/sources", "/console/sources/github")]
            assert not any(secret in page for page in pages for secret in SECRETS.values())

    run(check)


@pytest.mark.parametrize("source", ["fireflies", "github", "make", "billing", "acme", "located", "narrow", "slack", "stripe", "sentry", "postmark"])  # fmt: skip
def test_a_test_event_goes_the_whole_way(source: str) -> None:
    async def check() -> None:
        async with visited(sources=SOURCES + MORE, secrets=MORE_SECRETS) as (house, browser):
            page = f"/console/sources/{source}"
            answer = await browser.press(page, f"{page}/test")
            assert answer.status_code == 303, answer.text
            path, _, told = answer.headers["Location"].partition("?")
            assert told == "done=test"
            event = await house.ledger.reading.event(path.removeprefix("/console/events/"))
            assert event is not None
            assert event.source == source
            assert len(event.jobs) == 1
            assert "went the whole way" in await text_of(browser, answer.headers["Location"])
            (deed, *_) = await house.ledger.desk.deeds()
            assert (deed.act, deed.on) == ("test", source)

            again = await browser.press(page, f"{page}/test")
            assert again.headers["Location"].partition("?")[0] != path  # each is a new one

    run(check)


def test_a_source_that_can_not_sign_says_so_and_sends_nothing() -> None:
    async def check() -> None:
        async with visited(sources=SOURCES + MORE, secrets=MORE_SECRETS) as (house, browser):
            page = "/console/sources/pubkey"
            refused = await browser.press(page, f"{page}/test")
            assert refused.status_code == 409
            assert "its own test button" in refused.text
            page = "/console/sources/forgotten"
            assert f"{page}/test" not in await text_of(browser, page)
            assert (await browser.press("/console/events", f"{page}/test")).status_code == 409
            gone = await browser.press("/console/events", "/console/sources/nobody/test")
            assert gone.status_code == 404
            assert (await house.ledger.lists.events()).items == []

    run(check)


def test_a_test_event_that_is_not_taken_is_a_page_that_says_why() -> None:
    async def check() -> None:
        async with visited(sources=SOURCES.replace('max_body = "1KiB"', 'max_body = "1B"')) as (_, browser):
            answer = await browser.press("/console/sources/narrow", "/console/sources/narrow/test")
            assert answer.status_code == 502
            assert BODY_TOO_LARGE.title in unescape(answer.text)

    run(check)


def test_a_viewer_sends_no_test_event() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER}
        async with visited(settings=settings, signed_in=False) as (_, browser):
            await browser.sign_in("vera's password", name="vera")
            assert "/test" not in await text_of(browser, "/console/sources/github")
            answer = await browser.press("/console/events", "/console/sources/github/test")
            assert answer.status_code == 403

    run(check)
