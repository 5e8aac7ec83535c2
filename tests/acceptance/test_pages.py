"""What browsers get at the links that we hand out: over HTTP, of real jobs (CONTRACT, section 6)."""

import uuid
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import API_KEY, System, assert_problem

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def look(house: System, url: str) -> httpx.Response:
    return house.http.get(url, headers=BROWSER)


def waiting(house: System, **submission: Any) -> dict[str, Any]:
    """A job that does not begin by itself."""
    told: dict[str, Any] = house.submit({"type": "echo", "run_in": "1h", **submission}).json()
    return told


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attributes)))

    Reader().feed(page)
    return found


def test_a_browser_gets_a_page_and_a_program_json(house: System) -> None:
    told = house.submit({"type": "echo", "payload": {"title": "Grüße"}}).json()
    house.ended(told["job_id"])
    page, program = look(house, told["status_url"]), house.http.get(told["status_url"])
    assert (page.headers["Content-Type"], page.headers["Vary"]) == ("text/html; charset=utf-8", "Accept")
    assert "Grüße" in page.text
    assert (program.headers["Vary"], program.json()["status"]) == ("Accept", "finished")
    waited = house.http.get(
        told["status_url"], params={"wait": "5"} | dict(httpx.URL(told["status_url"]).params)
    )
    assert waited.json()["status"] == "finished"


def test_head_has_the_headers_alone(house: System) -> None:
    url = waiting(house)["status_url"]
    head = house.http.head(url, headers=BROWSER)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_page_has_nothing_inline_and_loads_nothing_from_elsewhere(house: System) -> None:
    """A094."""
    batch = house.submit([{"type": "echo"}, {"type": "echo", "run_in": "1h"}]).headers["Location"]
    for url in (waiting(house, link="cancel")["status_url"], batch):
        page = look(house, url)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert (page.headers["X-Content-Type-Options"], page.headers["Referrer-Policy"]) == (
            "nosniff",
            "no-referrer",
        )
        assert "Set-Cookie" not in page.headers
        for tag, attributes in elements(page.text):
            assert tag != "style"
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            if tag in ("script", "link"):
                asset = house.http.get(attributes.get("src") or attributes.get("href") or "")
                assert asset.status_code == 200
        assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/jobs/{id}", 401, "This link does not work"),
        ("/jobs/{id}?token=nonsense", 401, "This link does not work"),
        ("/jobs/{other}?token={token}", 404, "There is nothing here"),
        ("/batches/{id}?token={token}", 401, "This link does not work"),
    ],
)
def test_a_refusal_is_a_page_for_browsers_and_a_problem_for_programs(
    house: System, path: str, status: int, words: str
) -> None:
    told = waiting(house)
    token = str(told["status_url"]).partition("?token=")[2]
    path = path.format(id=told["job_id"], other=waiting(house)["job_id"], token=token)
    if path.startswith("/batches"):
        path = path.replace(token, token[:-4])
    page, program = look(house, path), house.http.get(path)
    assert (page.status_code, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert words in page.text
    assert page.headers["Vary"] == program.headers["Vary"] == "Accept"
    assert program.headers["Content-Type"] == "application/problem+json"


def test_a_link_that_may_only_read_shows_no_button(house: System) -> None:
    """A092: and what the button would do is refused."""
    told = waiting(house)
    assert "<form" not in look(house, told["status_url"]).text
    refused = house.http.post(told["status_url"].replace("?", "/cancel?"), headers=BROWSER)
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert "Back to the job" in refused.text
    assert house.job(told["job_id"])["status"] == "scheduled"


def test_the_button_cancels_once_and_leads_back_to_the_page(house: System) -> None:
    told = waiting(house, link="cancel")
    (action,) = [
        attributes["action"] or ""
        for tag, attributes in elements(look(house, told["status_url"]).text)
        if tag == "form"
    ]
    done = house.http.post(action, headers=BROWSER, data={})
    assert (done.status_code, done.headers["Location"]) == (303, told["status_url"])
    page = look(house, done.headers["Location"]).text
    assert "was canceled" in page
    assert "<form" not in page
    again = house.http.post(action, headers=BROWSER)
    assert again.status_code == 409
    assert "It had ended already" in again.text
    assert told["status_url"].partition("?")[0] in again.text
    assert_problem(house.http.post(action), 409, "job_ended")


def test_looking_never_cancels(house: System) -> None:
    told = waiting(house, link="cancel")
    for url in (told["status_url"], told["status_url"].replace("?", "/cancel?")):
        look(house, url)
        house.http.head(url)
    assert house.job(told["job_id"])["status"] == "scheduled"


def test_a_batch_leads_to_its_jobs(house: System) -> None:
    gate = uuid.uuid4().hex
    answer = house.submit(
        [{"type": "echo"}, {"type": "gated", "payload": {"gate": gate}}, {"type": "rejecting"}]
    )
    jobs = [one["job_id"] for one in answer.json()]
    house.ended(jobs[0])
    house.ended(jobs[2], "failed")
    page = look(house, answer.headers["Location"]).text
    assert "2 of 3 ended" in page
    assert "no such project" in page
    links = [
        attributes["href"] or ""
        for tag, attributes in elements(page)
        if tag == "a" and "token" in str(attributes)
    ]
    assert [house.http.get(link).json()["id"] for link in links] == jobs
    house.open_gate(gate)
    house.ended(jobs[1])
    assert "has ended" in look(house, answer.headers["Location"]).text


def test_a_key_opens_a_page_too(house: System) -> None:
    told = waiting(house)
    page = house.http.get(f"/jobs/{told['job_id']}", headers=BROWSER | {"Authorization": f"Bearer {API_KEY}"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "waits for its time" in page.text
