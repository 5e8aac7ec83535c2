"""Bodies of every kind, from a sender's POST to what a handler gets as its payload and to the callback."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import CALLBACK_SECRET, STATIC_KEY, System, assert_problem
from tests.acceptance.inbox import Inbox

BOUNDARY = "------------------------d74496d66958873e"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="event"\r\n\r\nmail.received\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    f"Content-Type: text/plain\r\n\r\nattached\r\n--{BOUNDARY}--\r\n"
)


def post(house: System, body: str | bytes, content_type: str, source: str = "bearer") -> httpx.Response:
    headers = {"Authorization": f"Bearer {STATIC_KEY}", "Prefer": "wait=10"}
    if content_type:
        headers["Content-Type"] = content_type
    return house.http.post(f"/hooks/{source}", content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        ('{"id": 7, "text": "ü"}', "application/json", {"id": 7, "text": "ü"}),
        ("[1, null]", "application/vnd.acme+json; charset=utf-8", [1, None]),
        ('{"id": 7}', "", {"id": 7}),
        ("From=%2B1&Body=hi", "application/x-www-form-urlencoded", "From=%2B1&Body=hi"),
        (MULTIPART, f"multipart/form-data; boundary={BOUNDARY}", MULTIPART),
        ("grüße", "text/plain; charset=utf-8", "grüße"),
        ("<a/>", "application/xml", "<a/>"),
        ("", "text/plain", ""),
        ("", "", ""),
    ],
    ids=["json", "+json", "json unsaid", "form", "multipart", "text", "xml", "empty text", "empty"],
)
def test_the_payload_is_the_parsed_body_or_its_text(
    house: System, body: str, content_type: str, payload: Any
) -> None:
    answer = post(house, body.encode(), content_type)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "finished"
    assert answer.json()["result"]["payload"] == payload


@pytest.mark.parametrize("body", ["", "{", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_what_says_it_is_json_and_is_none_is_refused_once_its_secret_holds(house: System, body: str) -> None:
    assert_problem(post(house, body, "application/json"), 400, "body_malformed")
    refused = house.http.post("/hooks/bearer", content=body, headers={"Content-Type": "application/json"})
    assert_problem(refused, 401, "signature_invalid")


@pytest.mark.parametrize("files", [None, {"file": ("a.bin", b"\x00\xff")}], ids=["encoded", "multipart"])
def test_a_form_names_its_event_its_id_and_where_to_call_back(
    house: System, inbox: Inbox, files: Mapping[str, Any] | None
) -> None:
    name = "multipart" if files else "encoded"
    data = {"event": "mail.received", "id": f"id-{name}", "callback_url": inbox.answer(f"form-{name}", 200)}
    request = httpx.Request("POST", "http://made", data=data, files=files)
    content_type = request.headers["Content-Type"]

    first, again = (post(house, request.read(), content_type, "forms") for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert first.json()["id"] == again.json()["id"]
    told = inbox.wait_for(f"form-{name}", 1)[0].verified(CALLBACK_SECRET)
    assert told["data"]["event_type"] == "mail.received"
