"""The pages of receivers: what goes there and how that stands, the grade, and a check on demand."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from infra.ledger.grades import Probe
from infra.ledger.receivers import receiver_id
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery
from tests.unit.ingest.application import SUBMIT_KEY, WHSEC, House, until
from tests.unit.ingest.console_visits import VIEWER, visited
from tests.unit.ingest.test_console_pages import failed, text_of

URL = "https://127.0.0.1/inbox"
PAGE = f"/console/receivers/{receiver_id(URL)}"
OWN_SECRET = "whsec_b3duIG93biBvd24gb3duIG93biBvd24="


def run(check: Any) -> None:
    asyncio.run(check())


class Checking:
    """Checks receivers when it is let, and keeps with what."""

    def __init__(self, *, open_: bool = True) -> None:
        self.asked: list[tuple[str, str]] = []
        self.let = asyncio.Event()
        if open_:
            self.let.set()

    async def __call__(self, url: str, secret: str) -> tuple[str, Sequence[Probe]]:
        self.asked.append((url, secret))
        await self.let.wait()
        return "C", [
            Probe("good", "204", "A", "takes a signed callback"),
            Probe("stale", "204", "C", "can be replayed"),
        ]


async def called(
    house: House,
    *,
    url: str = URL,
    status: int = 500,
    reply: str = "no",
    error: str | None = None,
    **job: Any,
) -> str:
    """A callback that went there once. Returns its id."""
    await failed(house, callback_url=url, **job)
    (due,), _ = await house.ledger.callbacks.due("s1", sequence=1, most=1, hold=timedelta(minutes=1))
    attempt = CallbackAttempt(
        number=1,
        at=house.clock.now(),
        duration=timedelta(milliseconds=12),
        status=status,
        reply=reply,
        error=error,
    )
    told = Delivery(
        callback=due, attempt=attempt, status=CallbackStatus.PENDING, retry_after=timedelta(hours=1)
    )
    await house.ledger.callbacks.record([told])
    return due.id


def test_a_receiver_is_a_page_with_what_went_there_last_and_its_answer() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            callback_id = await called(house, reply="out of paper", error="it answered 500")
            assert PAGE in await text_of(browser, "/console/receivers")
            assert f'href="{PAGE}"' in await text_of(browser, f"/console/callbacks/{callback_id}")
            page = await text_of(browser, PAGE)
            for words in (URL, callback_id, "out of paper", "failing", "Not checked yet", "500"):
                assert words in page

    run(check)


def test_a_receiver_is_paused_and_resumed() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            callback_id = await called(house)
            answer = await browser.press(PAGE, f"{PAGE}/pause")
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?done=pause")
            page = await text_of(browser, answer.headers["Location"])
            assert "by an operator" in page
            assert f"{PAGE}/resume" in page
            await house.ledger.callbacks.due("s2", sequence=1, most=9, hold=timedelta(minutes=1))
            assert "receiver_paused" in await text_of(browser, f"/console/callbacks/{callback_id}")
            answer = await browser.press(PAGE, f"{PAGE}/resume")
            assert answer.headers["Location"] == f"{PAGE}?done=resume"
            assert "pending" in await text_of(browser, f"/console/callbacks/{callback_id}")

    run(check)


def test_a_receiver_is_checked_on_demand_and_its_grade_stays() -> None:
    async def check() -> None:
        checking = Checking(open_=False)
        settings = {"HOOKLINE_CALLBACK_SECRET": WHSEC}
        async with visited(settings=settings, check_receiver=checking) as (house, browser):
            await called(house, url=f"{URL}?job=1")
            answer = await browser.press(PAGE, f"{PAGE}/check")
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?done=check")
            page = await text_of(browser, PAGE)
            assert "A check runs" in page
            assert f"{PAGE}/check" not in page

            again = await browser.press(PAGE, f"{PAGE}/check")
            assert again.headers["Location"] == f"{PAGE}?done=already"

            checking.let.set()
            async with asyncio.timeout(10):
                while "can be replayed" not in (page := await text_of(browser, PAGE)):
                    await asyncio.sleep(0.001)
            assert '<span class="grade bad">C</span>' in page
            assert '<span class="grade bad">C</span>' in await text_of(browser, "/console/receivers")
            assert checking.asked == [(URL, WHSEC)]
            assert (await house.ledger.desk.deeds())[0].act == "check"

    run(check)


def test_a_receiver_of_a_source_with_a_secret_of_its_own_is_checked_with_that() -> None:
    async def check() -> None:
        checking = Checking()
        sources = f"""
        [narrow]
        provider = "bearer"
        callback_url = "{URL}"
        callback_secret = "env:OWN"
        """
        async with visited(
            settings={"HOOKLINE_CALLBACK_SECRET": WHSEC},
            check_receiver=checking,
            sources=sources,
            secrets={"narrow": "s"},
            environ={"OWN": OWN_SECRET},
        ) as (house, browser):
            await house.post("narrow", {"a": 1})
            await house.ledger.pausing.pause(URL)  # so that it is known
            await house.tell_handlers(("narrow", "*"))
            await house.finish(await house.claim())
            await browser.press(PAGE, f"{PAGE}/check")
            await until(lambda: checking.asked)
            assert checking.asked == [(URL, OWN_SECRET)]

    run(check)


def test_a_receiver_of_an_api_key_with_a_secret_of_its_own_is_checked_with_that() -> None:
    async def check() -> None:
        checking = Checking()
        settings = {
            "HOOKLINE_CALLBACK_SECRET": WHSEC,
            "HOOKLINE_API_KEY_CALLBACK_SECRETS": f"sender:{OWN_SECRET}",
        }
        async with visited(settings=settings, check_receiver=checking) as (house, browser):
            await house.submit({"type": "a", "callback_url": URL}, key=SUBMIT_KEY)
            await house.ledger.pausing.pause(URL)  # so that it is known
            await house.finish(await house.claim())
            await browser.press(PAGE, f"{PAGE}/check")
            await until(lambda: checking.asked)
            assert checking.asked == [(URL, OWN_SECRET)]

    run(check)


@pytest.mark.parametrize(
    ("settings", "options"),
    [({}, {"check_receiver": Checking()}), ({"HOOKLINE_CALLBACK_SECRET": WHSEC}, {})],
    ids=["no secret", "nothing that sends"],
)
def test_what_can_not_be_checked_is_a_page_that_says_so(
    settings: dict[str, str], options: dict[str, Any]
) -> None:
    async def check() -> None:
        async with visited(settings=settings, **options) as (house, browser):
            await called(house)
            assert (await browser.press(PAGE, f"{PAGE}/check")).status_code == 409

    run(check)


def test_a_viewer_looks_at_receivers_and_changes_none() -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER, "HOOKLINE_CALLBACK_SECRET": WHSEC}
        async with visited(settings=settings, signed_in=False, check_receiver=Checking()) as (house, browser):
            await browser.sign_in("vera's password", name="vera")
            await called(house)
            page = await text_of(browser, PAGE)
            assert '<form method="post" action="/console/receivers' not in page
            for act in ("check", "pause", "resume"):
                assert (await browser.press("/console/events", f"{PAGE}/{act}")).status_code == 403

    run(check)
