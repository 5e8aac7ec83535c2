"""The receiver of docs/receive-callbacks.md takes what we send."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clock import SystemClock
from infra.ledger.records import CallbackStatus
from infra.settings import Settings
from infra.signatures import CallbackKey, new_whsk, standard_webhooks_headers
from tests.unit.worker.callback_jobs import due
from worker.callbacks.deliver import Sender
from worker.callbacks.post import Post

PAGE = (Path(__file__).parents[3] / "docs" / "receive-callbacks.md").read_text(encoding="utf-8")
SECRET = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc="


def receiver_of_the_page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    code, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
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
                Post(transport, secrets_for=lambda _source: (secret,), timeout=timedelta(seconds=5)),
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
    _, code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
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
