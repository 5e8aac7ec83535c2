"""What pages show, and to whom: viewers can be kept from what senders and handlers said, and nothing that strangers wrote is more than text."""

import asyncio
import json
import re
from typing import Any

import pytest

from infra.ledger.grades import Probe
from infra.ledger.jobs import Report
from infra.ledger.receivers import receiver_id
from infra.ledger.records import Finished, Progress, Settlement
from tests.unit.ingest.application import NOW, House
from tests.unit.ingest.console_visits import VIEWER, visited
from tests.unit.ingest.identity_provider import SETTINGS, Standin
from tests.unit.ingest.test_console_oidc import come_in
from tests.unit.ingest.test_console_pages import XSS, Elements, failed, text_of
from tests.unit.ingest.test_console_receivers import called

URL = "https://127.0.0.1/inbox"
RECEIVER = f"/console/receivers/{receiver_id(URL)}"
LISTS = ("/console/", "/console/events", "/console/jobs", "/console/failures", "/console/callbacks", "/console/receivers", "/console/sources", "/console/audit", "/console/queues", "/console/workers", "/console/schedules")  # fmt: skip
SAID = ("payload", "header", "result", "log", "trace", "progress", "reply")


def run(check: Any) -> None:
    asyncio.run(check())


async def ended_and_called(house: House, claim: Any) -> list[str]:
    """What runs comes to a result, another job fails, and a receiver answers. Returns the pages that tell of it."""
    await house.ledger.jobs.settle("w1", [Settlement(claim=claim, outcome=Finished(result='"h1dden-result"'), handler="scenario:it")])  # fmt: skip
    job_id, event_id = await failed(house, trace="h1dden-trace", sequence=2)
    callback_id = await called(house, reply="h1dden-reply", sequence=3)
    return [
        f"/console/events/{event_id}",
        f"/console/jobs/{job_id}",
        f"/console/callbacks/{callback_id}",
        RECEIVER,
    ]


@pytest.mark.parametrize("may_see", [True, False])
def test_a_viewer_is_kept_from_all_that_was_said_or_from_none(may_see: bool) -> None:
    async def check() -> None:
        settings = {
            "HOOKLINE_CONSOLE_USERS": VIEWER,
            "HOOKLINE_CONSOLE_VIEWERS_SEE": "payloads" if may_see else "records",
        }
        async with visited(settings=settings, signed_in=False) as (house, browser):
            await browser.sign_in("vera's password", name="vera")
            await house.tell_handlers(("narrow", "*"), ("api", "*"))
            answer = await house.post("narrow", {"said": "h1dden-payload"}, X_Note="h1dden-header")
            event, job = (f"/console/{kind}s/{answer.json()[f'{kind}_id']}" for kind in ("event", "job"))
            claim = await house.claim()
            line = json.dumps({"level": "info", "message": "h1dden-log"})
            await house.ledger.jobs.report(
                [Report(claim, Progress(current=1, message="h1dden-progress"), (line,))]
            )
            shown = ""
            for path in (event, job, "/console/jobs", "/console/workers"):
                page = await text_of(browser, path)
                assert ("h1dden-progress" in page) is (may_see and path != event), path
                shown += page
            ended = await ended_and_called(house, claim)
            searched = "/console/search?q=h1dden-payload"
            for path in (*LISTS, event, f"{event}?raw=1", job, *ended, "/console/sources/narrow", searched):
                shown += (
                    (await text_of(browser, path))
                    .replace('value="h1dden-payload"', "")
                    .replace('“<span dir="auto">h1dden-payload', "")
                )
            assert {word for word in SAID if f"h1dden-{word}" in shown} == (set(SAID) if may_see else set())
            assert (await browser.get(f"{event}/body")).status_code == (200 if may_see else 403)
            found = event in await text_of(browser, searched)
            assert found is may_see

    run(check)


@pytest.mark.parametrize("hostile", ["\\ud800", "\\u0000", "\\u202e", "\\u2028"])
def test_text_that_is_hardly_text_breaks_no_page(hostile: str) -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await house.tell_handlers(("narrow", "*"))
            said = "refused as it comes" if hostile == "\\ud800" else hostile
            answer = await house.post("narrow", f'{{"said": "{said}", "{said}": 1}}'.encode())
            assert answer.status_code == 202
            claim = await house.claim()
            await house.ledger.jobs.settle("w1", [Settlement(claim=claim, outcome=Finished(result=f'"{hostile}"'), handler="scenario:it")])  # fmt: skip
            for kind in ("event", "job"):
                await text_of(browser, f"/console/{kind}s/{answer.json()[f'{kind}_id']}")

    run(check)


def assert_inert(text: str, path: str) -> None:
    """Nothing in it runs, leads elsewhere or loads anything but ours."""
    elements = Elements()
    elements.feed(text)
    for tag, attributes in elements.found:
        assert tag not in ("iframe", "base", "object", "embed", "img"), path
        assert not any(name.startswith("on") or name == "style" for name in attributes), path
        for name in ("src", "href", "action"):
            assert not re.match(r"(?!/|\?|#)", attributes.get(name) or "/"), (path, tag, attributes)
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/assets/"), path
    assert ">49<" not in text, path


def test_what_a_receiver_answers_and_what_its_check_came_to_stays_text() -> None:
    """A073 and A078, of receivers."""

    async def check() -> None:
        async with visited() as (house, browser):
            everything = "\n".join(XSS)
            callback_id = await called(house, reply=everything, error=everything)
            await house.ledger.grades.note(URL, "F", [Probe(one, one, one[:1], one) for one in XSS])
            for path in ("/console/receivers", RECEIVER, f"/console/callbacks/{callback_id}", "/console/callbacks", "/console/"):  # fmt: skip
                assert_inert(await text_of(browser, path), path)
            assert "&lt;svg" in await text_of(browser, RECEIVER)

    run(check)


def test_what_somebody_is_called_at_the_provider_stays_text() -> None:
    """A073, of the names that an identity provider tells."""

    async def check() -> None:
        provider = Standin(NOW)
        settings = {
            **SETTINGS,
            "HOOKLINE_CONSOLE_OIDC_OPERATORS": "groups=operators",
            "HOOKLINE_CLIENT_HEADER": "X-Real-IP",
        }
        async with visited(settings=settings, signed_in=False, connect_provider=provider.connect) as (
            house,
            browser,
        ):
            event_id = (await house.submit({"type": "a"})).json()["event_id"]
            for number, hostile in enumerate(XSS):
                provider.claims = {
                    "email": None,
                    "name": hostile,
                    "sub": f"{number}{hostile}",
                    "groups": ["operators"],
                }
                browser.http.headers["X-Real-IP"] = f"203.0.113.{number}"
                assert (await come_in(browser, provider)).status_code == 303
                await browser.press(f"/console/events/{event_id}", f"/console/events/{event_id}/replay")
                for path in ("/console/audit", f"/console/events/{event_id}"):
                    assert_inert(await text_of(browser, path), path)
            provider.claims = {"email": None, "name": "<svg/onload=alert(1)>", "groups": []}
            refused = await come_in(browser, provider)
            assert refused.status_code == 403
            assert_inert(refused.text, "the door")

    run(check)
