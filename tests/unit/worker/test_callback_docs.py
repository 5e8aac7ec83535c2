"""The receiver of docs/receive-callbacks.md takes what we send."""

import asyncio
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clock import SystemClock
from infra.ledger.records import CallbackStatus
from infra.settings import Settings
from infra.signatures import CallbackKey, CallbackSecrets, new_whsk, standard_webhooks_headers
from tests.unit.worker.callback_jobs import due
from worker.callbacks.deliver import Sender
from worker.callbacks.post import Post

PAGE = (Path(__file__).parents[3] / "docs" / "receive-callbacks.md").read_text(encoding="utf-8")
SECRET = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc="


def example(heading: str) -> str:
    """The first Python block below a heading."""
    below = PAGE.split(f"\n{heading}\n")[1]
    return below.split("```python\n")[1].split("```")[0]


def receiver_of_the_page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    code = example("## Verify it")
    monkeypatch.setenv("HOOKLINE_CALLBACK_SECRET", SECRET)
    namespace: dict[str, Any] = {}
    exec(compile(code, "docs/receive-callbacks.md", "exec"), namespace)
    return namespace


def test_the_python_receiver_takes_a_callback_once_and_refuses_a_forgery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = receiver_of_the_page(monkeypatch)

    async def send_as(secret: str, number: int) -> tuple[CallbackStatus, int | None]:
        transport = httpx.ASGITransport(app=page["app"])
        async with transport:
            sender = Sender(
                Post(transport, secrets=CallbackSecrets([secret]), timeout=timedelta(seconds=5)),
                clock=SystemClock(),
                schedule=(timedelta(seconds=5),),
                jitter=lambda: 0.5,
                status_url=lambda _job_id: None,
            )
            callback = due("http://127.0.0.1/inbox", number=number)
            delivery = (await sender.send(callback)).delivery
            return delivery.status, delivery.attempt.status

    forged = "whsec_" + "QUFB" * 8
    assert asyncio.run(send_as(SECRET, 1)) == (CallbackStatus.DELIVERED, 204)
    assert asyncio.run(send_as(SECRET, 1)) == (CallbackStatus.DELIVERED, 204)
    assert asyncio.run(send_as(forged, 2)) == (CallbackStatus.PENDING, 401)
    assert list(page["outcomes"]) == ["cb_1"]
    assert page["outcomes"]["cb_1"]["result"] == {"n": 1}


def test_the_page_verifies_without_a_shared_secret() -> None:
    code = example("### Without a shared secret")
    page: dict[str, Any] = {}
    exec(compile(code, "docs/receive-callbacks.md", "exec"), page)
    key, other = (CallbackKey(new_whsk(lambda length, of=of: of * length)) for of in (b"a", b"b"))
    headers = standard_webhooks_headers(
        [SECRET], message_id="cb_1", timestamp=SystemClock().now(), body=b"{}", private_keys=[other, key]
    )
    stranger = CallbackKey(new_whsk(bytes)).public_key
    assert page["holds"](key.public_key, headers, b"{}")
    assert not page["holds"](key.public_key, headers, b"{} ")
    assert not page["holds"](stranger, headers, b"{}")
    assert not page["holds"](key.public_key, headers | {"webhook-signature": "v1a,a v1a, v1"}, b"{}")


def zapier_step(body: bytes, *, age: timedelta = timedelta(0), **changes: str) -> dict[str, Any]:
    """What the step gives to the next one, for a callback of ours or one with other input."""
    headers = standard_webhooks_headers(
        ["whsec_" + "QUFB" * 8, SECRET], message_id="cb_1", timestamp=SystemClock().now() - age, body=body
    )
    given = {name.removeprefix("webhook-"): value for name, value in headers.items()}
    step: dict[str, Any] = {"input_data": {**given, "raw_body": body.decode(), "secret": SECRET, **changes}}
    exec(compile(example("### In Zapier"), "docs/receive-callbacks.md", "exec"), step)
    output: dict[str, Any] = step["output"]
    return output


def test_the_zapier_step_passes_on_what_is_signed() -> None:
    told = {"type": "job.finished", "data": {"result": "café ☕"}}
    body = json.dumps(told, ensure_ascii=False).encode()
    assert zapier_step(body) == {"id": "cb_1", **told}
    assert zapier_step(body, age=timedelta(minutes=4))["id"] == "cb_1"


@pytest.mark.parametrize(
    ("changes", "age"),
    [
        ({"raw_body": '{"type": "job.failed"}'}, 0),
        ({"id": "cb_2"}, 0),
        ({"secret": "whsec_bm90IHRoZSBvbmU="}, 0),
        ({"signature": "v1,"}, 0),
        ({"signature": "ä"}, 0),
        ({"timestamp": "soon"}, 0),
        ({"timestamp": ""}, 0),
        ({}, 6),
        ({}, -6),
    ],
)
def test_the_zapier_step_stops_at_what_is_not(changes: dict[str, str], age: int) -> None:
    with pytest.raises(ValueError, match=r"secret|too old|invalid literal"):
        zapier_step(b'{"type": "job.finished"}', age=timedelta(minutes=age), **changes)


MAKE = {
    "get": lambda items, place: (items[place - 1 :] or [""])[0],
    "map": lambda items, key, known, value: [item[key] for item in items if item[known] == value],
    "sha256": lambda text, _base64, key, _key_in_base64: b64encode(
        hmac.digest(b64decode(key), text.encode(), "sha256")
    ).decode(),
    "formatDate": lambda moment, _seconds: int(moment.timestamp()),
}
HOLDS: dict[str, Callable[[str, str], bool]] = {
    "Text: contains": lambda text, part: part in text,
    "Numeric: greater than": lambda one, other: one.isdigit() and int(one) > int(other),
    "Numeric: less than": lambda one, other: one.isdigit() and int(one) < int(other),
}


def made_of(cell: str, modules: dict[int, Any]) -> str:
    """A cell of the page with its formulas worked out, as far as it has them; Make's own engine knows more."""

    def worked_out(formula: re.Match[str]) -> str:
        python = re.sub(r"\b(\d)\.(\w+)", r'modules[\1]["\2"]', formula[1]).replace(";", ",")
        return str(eval(python, {**MAKE, "modules": modules, "now": SystemClock().now()}))

    return re.sub(r"\{\{(.*?)\}\}", worked_out, cell.strip().strip("`"))


def through_make(signed: bytes, *, age: timedelta = timedelta(0), **changes: str) -> bool:
    """Whether the filter of the page lets a callback through."""
    headers = standard_webhooks_headers(
        ["whsec_" + "QUFB" * 8, SECRET], message_id="cb_1", timestamp=SystemClock().now() - age, body=signed
    )
    headers |= {f"webhook-{name}": value for name, value in changes.items()}
    section = PAGE.split("\n### In Make\n")[1].split("\n### ")[0]
    tables = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    variables, conditions = ([row.strip("|") for row in table.splitlines()[2:]] for table in tables)
    hook = {
        "value": changes.get("body", signed.decode()),
        "__IMTHEADERS__": [{"name": name, "value": value} for name, value in headers.items()],
    }
    modules: dict[int, Any] = {1: hook, 2: {}}
    for row in variables:
        name, cell = row.split("|")
        modules[2][name.strip(" `")] = made_of(cell, modules)
    found = []
    for row in conditions:
        left, operator, right = row.replace("SECRET", SECRET.removeprefix("whsec_")).split("|")
        found.append(HOLDS[operator.strip()](made_of(left, modules), made_of(right, modules)))
    assert len(found) == 3
    return all(found)


def test_the_filter_in_make_passes_on_what_is_signed() -> None:
    assert through_make('{"result":"café"}'.encode())
    assert through_make(b"{}", age=timedelta(minutes=4))


@pytest.mark.parametrize(
    ("changes", "age"),
    [
        ({"body": '{"type":"job.failed"}'}, 0),
        ({"id": "cb_2"}, 0),
        ({"signature": ""}, 0),
        ({"signature": "v1,AAAA"}, 0),
        ({"timestamp": ""}, 0),
        ({"timestamp": "soon"}, 0),
        ({}, 6),
        ({}, -6),
    ],
)
def test_the_filter_in_make_stops_what_is_not(changes: dict[str, str], age: int) -> None:
    assert not through_make(b"{}", age=timedelta(minutes=age), **changes)


def test_a_signature_that_is_not_base64_gets_401(monkeypatch: pytest.MonkeyPatch) -> None:
    page = receiver_of_the_page(monkeypatch)

    async def scenario() -> int:
        headers = {
            "webhook-id": "cb_1",
            "webhook-timestamp": str(int(SystemClock().now().timestamp())),
            "webhook-signature": "v1,a",
        }
        transport = httpx.ASGITransport(app=page["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.post("/inbox", content=b"{}", headers=headers)).status_code

    assert asyncio.run(scenario()) == 401


def test_the_page_states_the_default_schedule_and_timeout() -> None:
    settings = Settings.load({})
    assert len(settings.callback_schedule) == 7
    assert "`5s,5m,30m,2h,5h,10h,10h`" in PAGE
    assert f"{settings.callback_timeout.total_seconds():g} seconds in all" in PAGE
    assert timedelta(days=1) < sum(settings.callback_schedule, timedelta()) < timedelta(days=1.2)
