"""The console's pages: what an operator sees, and what the buttons do."""

import asyncio
import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.jobs import Report
from infra.ledger.records import Arrival, Claim, ErrorInfo, Failed, HandlerEntry, Progress, Settlement
from infra.ledger.troubles import Failures, Place
from tests.unit.ingest.application import NOW, House
from tests.unit.ingest.console_visits import VIEWER, Browser, text_of, visited

XSS = json.loads((Path(__file__).parents[2] / "data" / "xss_payloads.json").read_text("utf-8"))
TRACE = 'Traceback: here\n  File "/app/scenario.py", line 7, in it\nKeyError'
URL = "https://127.0.0.1/inbox"


def run(check: Any) -> None:
    asyncio.run(check())


async def failed(
    house: House, *, message: str = "it broke", trace: str = TRACE, sequence: int = 1, **job: Any
) -> tuple[str, str]:
    """A job that was given up, and its event."""
    told = (await house.submit({"type": "a", **job})).json()
    await house.tell_handlers(("api", "*"))
    claim = await house.claim(sequence=sequence)
    error = ErrorInfo(type="KeyError", message=message, trace=trace)
    await house.ledger.jobs.settle(
        "w1", [Settlement(claim=claim, outcome=Failed(error=error), handler="scenario:it")]
    )
    return told["job_id"], told["event_id"]


def test_every_section_is_a_page_even_where_there_is_nothing_yet() -> None:
    async def check() -> None:
        async with visited() as (_, browser):
            home = await text_of(browser, "/console/")
            sections = re.findall(r'<li><a href="(/console/[a-z]*)"', home)
            assert len(sections) >= 7
            for path in [*sections, "/console", "/console/receivers", "/console/search"]:
                page = await text_of(browser, path)
                assert page.count("<h1") == 1
                assert len(page.encode()) < 40_000
            assert "No worker is alive" in home

    run(check)


async def full(house: House) -> None:
    """More of everything than a page shows."""
    names = [f"handlers.meetings.summaries:handler_{number}" for number in range(80)]
    manifest = [HandlerEntry(source="api", type=name, handler=name) for name in names]
    await house.ledger.workers.renew("w1", lease=timedelta(minutes=1), queues=["default"], manifest=manifest, record={})  # fmt: skip
    await house.ledger.jobs.claim("w1", sequence=9, slots=55, queues=["default"], lease=timedelta(minutes=1))
    places = [Place(handler=name, type="KeyError", place="handlers/meetings.py:7") for name in names]
    told = Failures(message="it broke " * 30, job_id=JOB + "0" * 26, attempts=7, given_up=3)
    await house.ledger.troubles.note(dict.fromkeys(places, told))


def test_the_first_load_is_small() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            for number in range(60):
                await house.submit({"type": "a", "payload": {"number": number}})
            await full(house)
            (job, *_) = (await house.ledger.lists.jobs()).items
            sections = re.findall(r'<li><a href="(/console/[a-z]*)"', await text_of(browser, "/console/"))
            for path in (*sections, f"/console/events/{job.event_id}", f"/console/jobs/{job.id}"):
                assert await first_load(browser, path) <= 60_000, path

    run(check)


async def first_load(browser: Browser, path: str) -> int:
    """The bytes of a page and of all that it loads."""
    page = await text_of(browser, path)
    loaded = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert {part.rpartition(".")[2] for part in loaded} == {"css", "js", "svg"}
    size = len(page.encode())
    for part in loaded:
        answer = await browser.get(part)
        size += answer.num_bytes_downloaded
        loaded += [
            f"{part.rpartition('/')[0]}/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)
        ]
    return size


LARGE = {
    "text": "x" * 100_000,
    "quotes and controls": "\"\\\x00<&'" * 16_000,
    "not ASCII": "\U0001f30d" * 25_000,
    "many keys": {f"key-{number}": [number, None] for number in range(4_000)},
}


@pytest.mark.parametrize("said", LARGE.values(), ids=LARGE)
def test_the_first_load_is_small_whatever_was_said(said: Any) -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            told = (await house.submit({"type": "a", "payload": {"said": said, "end": "the-last"}})).json()
            await house.tell_handlers(("api", "*"))
            claim = await house.claim()
            lines = tuple(
                json.dumps({"level": "info", "message": f"line-{number}-" + "<x>" * 300})
                for number in range(200)
            )
            await house.ledger.jobs.report([Report(claim, None, lines)])
            await house.finish(claim, [said, "the-last"])
            event, job = (f"/console/{kind}s/{told[f'{kind}_id']}" for kind in ("event", "job"))
            for path in (event, f"{event}?raw=1", job):
                assert await first_load(browser, path) <= 60_000, path
                page = await text_of(browser, path)
                assert "?whole=1" in page
                assert "line-199-" in page
                assert "line-150-" not in page
                assert "<textarea" not in page
            assert "line-10-" in await text_of(browser, f"{job}?whole=1")
            assert "line-10-" in await text_of(browser, f"{event}?whole=1")

    run(check)


def test_lists_are_small_however_long_the_names_in_them_are() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            name = "\U0001f30d" * 120
            for number in range(60):
                url = f"https://127.0.0.1/{number}/{'x' * 1_900}"
                told = await house.submit({"type": f"{name}{number}", "tag": name, "callback_url": url})
                assert told.status_code == 202
            await house.tell_handlers(("api", "*"))
            claims = await house.ledger.jobs.claim(
                "w1", sequence=1, slots=30, queues=["default"], lease=timedelta(minutes=1)
            )
            error = ErrorInfo(type="KeyError", message="<" * 900, trace=TRACE)
            await house.ledger.jobs.settle("w1", [Settlement(claim=claim, outcome=Failed(error=error), handler="scenario:it") for claim in claims])  # fmt: skip
            await full(house)
            for _ in range(250):
                await house.ledger.desk.note(
                    by=name[:64], act="pause queue", on=name * 3, client="203.0.113.7"
                )
            narrowed = f"/console/events?type={name}0"
            for path in ("/console/", "/console/events", narrowed, "/console/jobs", "/console/callbacks", "/console/receivers", "/console/workers", "/console/audit", f"/console/search?q={name}"):  # fmt: skip
                assert await first_load(browser, path) <= 60_000, path

    run(check)


def test_a_timeline_shows_its_beginning_and_its_newest_entries() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            event_id = (await house.submit({"type": "a", "payload": {"n": 1}})).json()["event_id"]
            page = f"/console/events/{event_id}"
            for _ in range(90):
                await browser.press(page, f"{page}/replay")
            assert await first_load(browser, page) <= 60_000
            text = await text_of(browser, page)
            assert "Received" in text
            assert text.count(">Queued<") == 20
            assert "91, of which the last are" in text
            assert "older entries" not in await text_of(browser, f"{page}?whole=1")

    run(check)


def test_more_is_shown_and_edited_where_it_is_asked_for() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            payload = {"said": "x" * 20_000, "end": "the-last"}
            event_id = (await house.submit({"type": "a", "payload": payload})).json()["event_id"]
            page = f"/console/events/{event_id}"
            assert "the-last" not in await text_of(browser, page)
            assert "the-last" in await text_of(browser, f"{page}?whole=1")
            assert "the-last" in await text_of(browser, f"{page}?whole=1&raw=1")
            editing = await text_of(browser, f"{page}?edit=1")
            assert "the-last" in editing.partition("<textarea")[2]

    run(check)


def test_an_event_shows_its_whole_story() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            job_id, event_id = await failed(house, payload={"meeting": 7}, callback_url=URL)
            page = await text_of(browser, f"/console/events/{event_id}")
            for words in (
                "Received",
                "Queued",
                "Attempt 1",
                "KeyError: it broke",
                "Ended",
                job_id,
                "meeting",
            ):
                assert words in page
            assert "style=" not in page
            raw = await text_of(browser, f"/console/events/{event_id}?raw=1")
            assert "&#34;meeting&#34;:7" in raw.replace(" ", "")

    run(check)


def test_an_event_is_replayed_and_replayed_with_another_payload() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            _, event_id = await failed(house, payload={"n": 1})
            page = f"/console/events/{event_id}"
            answer = await browser.press(page, f"{page}/replay")
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{page}?done=replay")
            assert "Replayed" in await text_of(browser, answer.headers["Location"])
            again = await house.ledger.reading.event(event_id)
            assert again is not None
            assert len(again.jobs) == 2
            seen = re.search(r'name="seen" value="(\d+)"', await text_of(browser, page))
            assert seen is not None
            assert seen[1] == "2"
            late = await browser.press(page, f"{page}/replay", {"seen": "1"})
            assert late.headers["Location"] == f"{page}?done=already"
            assert (await browser.press(page, f"{page}/replay", {"seen": "2"})).headers[
                "Location"
            ] == f"{page}?done=replay"

            answer = await browser.press(page, f"{page}/edit", {"payload": '{"n": 2}'})
            new = answer.headers["Location"].split("/")[3].partition("?")[0]
            edited = await house.ledger.reading.event(new)
            assert edited is not None
            assert (json.loads(edited.body), edited.replay_of) == ({"n": 2}, event_id)
            assert (await browser.press(page, f"{page}/edit", {"payload": "{"})).status_code == 422

    run(check)


def test_a_failed_job_is_retried_and_an_open_one_canceled() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            job_id, _ = await failed(house)
            page = f"/console/jobs/{job_id}"
            assert "Traceback: here" in await text_of(browser, page)
            assert (await browser.press(page, f"{page}/retry")).status_code == 303
            assert (await browser.press(page, f"{page}/retry")).status_code == 409
            assert (await browser.press(page, f"{page}/cancel")).status_code == 303
            assert (await browser.press(page, f"{page}/cancel")).status_code == 409
            job = await house.ledger.reading.job(job_id)
            assert job is not None
            assert job.status == "canceled"
            acts = await house.ledger.reading.acts(job_id)
            assert [(act.act, act.by) for act in acts] == [
                ("retry", "operator (console)"),
                ("cancel", "operator (console)"),
            ]

    run(check)


def test_lists_are_narrowed_and_paged_by_links() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            for number in range(60):
                await house.submit({"type": "even" if number % 2 else "odd"})
            first = await text_of(browser, "/console/events")
            found = re.search(r'rel="next" href="([^"]+)"', first)
            assert found is not None
            second = await text_of(browser, found[1].replace("&amp;", "&"))
            seen = [re.findall(r'href="/console/events/(evt_\w+)"', page) for page in (first, second)]
            assert [len(set(ids)) for ids in seen] == [50, 10]
            assert set(seen[0]).isdisjoint(seen[1])
            narrowed = await text_of(browser, "/console/events?type=odd&source=&tag=")
            assert len(set(re.findall(r"/console/events/(evt_\w+)", narrowed))) == 30
            assert "Needs one of" in await text_of(browser, "/console/jobs?status=lost")
            assert "This list takes" in await text_of(browser, "/console/jobs?lost=1")

    run(check)


def test_failures_are_grouped_and_a_group_is_retried() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            job_id, _ = await failed(house)
            place = Place(handler="scenario:it", type="KeyError", place="scenario.py:7")
            await house.ledger.troubles.note({place: Failures(message="it broke", job_id=job_id, attempts=1, given_up=1)})  # fmt: skip
            page = await text_of(browser, "/console/failures")
            assert "scenario.py:7" in page
            action = re.search(r'action="(/console/failures/[^"]+)"', page)
            assert action is not None
            answer = await browser.press("/console/failures", action[1])
            assert answer.status_code == 303
            progress = await text_of(browser, answer.headers["Location"])
            assert "0 of 1 begun" in progress
            replay = answer.headers["Location"].partition("?")[0]
            again = await browser.press("/console/failures", action[1])
            assert again.headers["Location"] == f"{replay}?done=already"
            assert (await browser.press(replay, f"{replay}/stop")).status_code == 303
            assert (await browser.press(replay, f"{replay}/stop")).status_code == 409

    run(check)


def test_of_those_who_retry_a_group_at_the_same_moment_one_begins_it() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            job_id, _ = await failed(house)
            place = Place(handler="scenario:it", type="KeyError", place="scenario.py:7")
            await house.ledger.troubles.note({place: Failures(job_id=job_id, attempts=1, given_up=1)})
            pressing = (
                browser.press("/console/failures", f"/console/failures/{place.id}/retry") for _ in range(4)
            )
            answers = await asyncio.gather(*pressing)
            told = [answer.headers["Location"].partition("?") for answer in answers]
            assert len({address for address, _, _ in told}) == 1
            assert sorted(done for _, _, done in told) == ["done=already"] * 3 + ["done=retry+all"]

    run(check)


def test_of_one_handlers_failures_those_of_one_place_are_retried() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            inner = f'{TRACE[:-8]}  File "/app/helping.py", line 3, in help\nKeyError'
            jobs = [
                await failed(house, trace=trace, sequence=n) for n, trace in enumerate((TRACE, inner, ""), 1)
            ]
            places = [Place(handler="scenario:it", type="KeyError", place=place) for place in ("scenario.py:7", "helping.py:3", "")]  # fmt: skip
            for place, (job_id, _) in zip(places, jobs, strict=True):
                await house.ledger.troubles.note({place: Failures(job_id=job_id, attempts=1, given_up=1)})
            for place, (job_id, _) in zip(places, jobs, strict=True):
                answer = await browser.press("/console/failures", f"/console/failures/{place.id}/retry")
                replay = answer.headers["Location"].split("/")[3].partition("?")[0]
                assert house.redis.lrange(f"hookline:replay-plan:{replay}", 0, -1) == [job_id.encode()]

    run(check)


def test_a_handler_is_paused_where_its_failures_stand() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await failed(house)
            place = Place(handler="scenario:it", type="KeyError", place="scenario.py:7")
            await house.ledger.troubles.note({place: Failures(attempts=1, given_up=1)})
            page = await text_of(browser, "/console/failures")
            assert 'action="/console/handlers/scenario%3Ait/pause"' in page
            answer = await browser.press(
                "/console/failures", "/console/handlers/scenario:it/pause", {"back": "/console/failures"}
            )
            assert answer.headers["Location"] == "/console/failures?done=pause+handler"
            assert "/console/handlers/scenario%3Ait/resume" in await text_of(browser, "/console/failures")

    run(check)


def test_a_callback_is_shown_redelivered_and_its_receiver_paused() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            await failed(house, callback_url=URL)
            listed = await text_of(browser, "/console/callbacks")
            found = re.search(r"/console/callbacks/(cb_\w+)", listed)
            assert found is not None
            page = f"/console/callbacks/{found[1]}"
            assert URL in await text_of(browser, page)
            assert (await browser.press(page, f"{page}/redeliver")).status_code == 303

    run(check)


def test_search_goes_straight_to_an_id_and_looks_for_the_rest() -> None:
    async def check() -> None:
        async with visited() as (house, browser):
            job_id, event_id = await failed(house, payload={"who": "Zaphod"})
            for asked, there in ((job_id, "/console/jobs/"), (f" {event_id.upper()} ", "/console/events/")):
                answer = await browser.http.get("/console/search", params={"q": asked})
                assert answer.headers["Location"] == there + asked.strip().lower()
            for asked in ("zaphod", "a"):
                assert event_id in await text_of(browser, f"/console/search?q={asked}")
            assert "Nothing found" in await text_of(browser, "/console/search?q=nobody")

    run(check)


@pytest.mark.parametrize(
    ("asked", "by"), [("narrow", "source"), ("order-1187", "tag"), ("order.paid", "type")]
)
def test_search_looks_for_sources_and_tags_and_types_for_viewers_too(asked: str, by: str) -> None:
    async def check() -> None:
        settings = {"HOOKLINE_CONSOLE_USERS": VIEWER, "HOOKLINE_CONSOLE_VIEWERS_SEE": "records"}
        async with visited(settings=settings, signed_in=False) as (house, browser):
            await browser.sign_in("vera's password", name="vera")
            sent = {
                "source": await house.post("narrow", {"n": 1}),
                "tag": await house.submit({"type": "a", "tag": "order-1187"}),
                "type": await house.submit({"type": "order.paid"}),
            }
            page = await text_of(browser, f"/console/search?q={asked}")
            assert re.findall(r'href="/console/events/(evt_\w+)"', page) == [sent[by].json()["event_id"]]
            assert f"<td>{by}</td>" in page

    run(check)


@pytest.mark.parametrize(
    "path",
    [
        "/console/nowhere",
        "/console/events/evt_00000000000000000000000000",
        "/console/jobs/nonsense",
        "/console/callbacks/cb_00000000000000000000000000",
        "/console/receivers/rcv_00000000000000000000000000",
        "/console/replays/rep_00000000000000000000000000",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(path: str) -> None:
    async def check() -> None:
        async with visited() as (_, browser):
            answer = await browser.get(path)
            assert answer.status_code in (303, 404)
            if answer.status_code == 404:
                assert "There is nothing here." in answer.text

    run(check)


async def recorded_with(house: House, headers: dict[str, str]) -> str:
    """The id of an event that came with these headers."""
    suffix = new_suffix()
    arrival = Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source="acme",
        type="a",
        received_at=NOW,
        body=b"{}",
        headers=headers,
    )
    await house.ledger.events.accept([arrival])
    return arrival.event_id


async def told_by_a_handler(house: House, text: str) -> Claim:
    """A job that runs, whose handler has said that wherever it can; its tag is that as well, as far as a tag may be."""
    tag = "".join(character for character in text if character.isprintable())[:64] or "t"
    suffix = new_suffix()
    await house.ledger.events.accept(
        [Arrival(event_id=EVENT + suffix, job_id=JOB + suffix, source="acme", type="a", received_at=NOW, body=b"{}", tag=tag)]
    )  # fmt: skip
    claim = await house.claim(sequence=2)
    assert claim.event_id == EVENT + suffix
    progress = Progress(current=1, total=2, message=text, stage=text, item=text)
    await house.ledger.jobs.report([Report(claim, progress, (json.dumps({"level": text, "message": text}),))])
    return claim


async def refused(house: House, text: str) -> None:
    """A request whose signature, and whatever else a diagnosis may look at, is that."""
    header = "".join(character for character in text if " " <= character <= "~")
    headers = {
        "X_Hub_Signature_256": f"sha256={header}",
        "X_GitHub_Event": header,
        "X_GitHub_Delivery": header,
    }
    answer = await house.post("github", text.encode("utf-8", "replace"), **headers)
    assert answer.status_code == 401
    async with asyncio.timeout(10):
        while not await house.ledger.refusals.newest("github"):
            await asyncio.sleep(0.001)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("hostile", XSS)
def test_what_strangers_write_stays_text_in_every_page(hostile: str) -> None:
    """A073, A074, A075, A076, A078 and A079, over the strings of the catalogue."""

    async def check() -> None:
        async with visited() as (house, browser):
            job_id, event_id = await failed(
                house,
                message=hostile,
                trace=f"{TRACE}: {hostile}",
                type=hostile[:100].replace("\x1b", "").replace("\x07", "").replace("\u2028", "") or "a",
                payload={"value": hostile, hostile: 1},
                metadata={"note": hostile},
                tag="t",
                callback_url=f"https://127.0.0.1/{'%3Cscript%3E'}?q=%3Csvg/onload=alert(1)%3E",
            )
            place = Place(handler=hostile, type=hostile, place=hostile)
            await house.ledger.troubles.note({place: Failures(message=hostile, job_id=job_id, attempts=1, given_up=1)})  # fmt: skip
            told = await told_by_a_handler(house, hostile)
            headed = await recorded_with(house, {"user-agent": hostile, "x-note": hostile})
            await refused(house, hostile)
            pages = [
                "/console/", "/console/events", "/console/jobs", "/console/failures", "/console/callbacks", "/console/receivers",
                "/console/audit", f"/console/events/{event_id}", f"/console/events/{event_id}?raw=1&done=x", f"/console/jobs/{job_id}",
                f"/console/events/{headed}", f"/console/events/{told.event_id}", f"/console/jobs/{told.job_id}", "/console/workers",
                "/console/sources", "/console/sources/github",
            ]  # fmt: skip
            texts = [await text_of(browser, path) for path in pages]
            assert 'class="log"' in texts[pages.index(f"/console/jobs/{told.job_id}")]
            await house.finish(told, {hostile: [hostile]})
            ended = [
                f"/console/events/{told.event_id}?whole=1&edit=1",
                f"/console/jobs/{told.job_id}?whole=1",
            ]
            texts += [await text_of(browser, path) for path in ended]
            for path in ("/console/search", "/console/events", "/console/login"):
                name = {"/console/search": "q", "/console/login": "next"}.get(path, "type")
                texts.append((await browser.http.get(path, params={name: hostile, "done": hostile})).text)
            for text in texts:
                elements = Elements()
                elements.feed(text)
                for tag, attributes in elements.found:
                    assert tag not in ("iframe", "base", "object", "embed")
                    assert not any(name.startswith("on") or name == "style" for name in attributes)
                    for name in ("src", "href", "action"):
                        assert not re.match(r"(?!/|\?|#)", attributes.get(name) or "/"), (tag, attributes)
                    if tag == "script":
                        assert (attributes.get("src") or "").startswith("/assets/")
                assert ">49<" not in text

    run(check)


def test_bytes_are_saved_and_never_shown() -> None:
    """A080, in the console."""

    async def check() -> None:
        async with visited() as (house, browser):
            answer = await house.post("narrow", b"<svg onload=alert(1)>", Content_Type="image/svg+xml")
            event_id = answer.json()["event_id"]
            saved = await browser.get(f"/console/events/{event_id}/body")
            assert saved.content == b"<svg onload=alert(1)>"
            assert saved.headers["Content-Type"] == "application/octet-stream"
            assert saved.headers["Content-Disposition"].startswith("attachment")
            assert "sandbox" in saved.headers["Content-Security-Policy"]
            assert "<svg onload" not in await text_of(browser, f"/console/events/{event_id}")

    run(check)
