"""``GET /events/{id}``, its body, its timeline, and its signed export."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.exports import ExportError, Exports
from infra.ids import EVENT
from infra.ledger.jobs import Report
from infra.ledger.records import (
    CallbackAttempt,
    CallbackStatus,
    Delivery,
    ErrorInfo,
    Failed,
    Progress,
    Retried,
    Settlement,
)
from tests.unit.ingest.application import (
    API_KEY,
    NOW,
    READ_KEY,
    SECRETS,
    SUBMIT_KEY,
    House,
    assert_problem,
    running,
)

MINUTE = timedelta(minutes=1)
URL = "https://receiver.example.com/inbox"
PAYLOADS = [b"<script>alert(1)</script>", b"<svg onload=alert(1)>", b"\xff\x00\xfe", b"{{7*7}}", b""]


async def get(house: House, path: str, key: str = READ_KEY, **query: Any) -> Any:
    return await house.http.get(path, params=query, headers={"Authorization": f"Bearer {key}"})


async def sent(house: House, **headers: str) -> dict[str, Any]:
    """What the sender of an event with a callback was told."""
    told: dict[str, Any] = (
        await house.post("acme", {"type": "order", "callback_url": URL}, X_Acme_Delivery="d-1", **headers)
    ).json()
    return told


async def lived(house: House) -> dict[str, Any]:
    """An event that came twice, and again with another body; its job failed once, said something, and was called back."""
    told = await sent(house, X_Forwarded_For="203.0.113.9")
    await sent(house)
    await house.post("acme", {"type": "another"}, X_Acme_Delivery="d-1")
    error = ErrorInfo(type="ValueError", message="no total")
    claim = await house.claim()
    await house.ledger.jobs.settle(
        "w1", [Settlement(claim=claim, outcome=Retried(delay=timedelta(0), error=error), handler="m:f")]
    )
    (claim,) = await house.ledger.jobs.claim("w2", sequence=1, slots=1, queues=["default"], lease=MINUTE)
    line = json.dumps({"at": "2026-11-21T20:41:12.000Z", "level": "info", "message": "half <b>way</b>"})
    await house.ledger.steps.keep(claim, "step:fetch", "{}")
    await house.ledger.jobs.report([Report(claim, Progress(current=1, total=2), (line,))])
    await house.ledger.jobs.settle(
        "w2", [Settlement(claim=claim, outcome=Failed(error=error), handler="m:f")]
    )
    (due,), _ = await house.ledger.callbacks.due("s", sequence=1, most=1, hold=MINUTE)
    post = CallbackAttempt(number=1, at=NOW, duration=timedelta(milliseconds=80), status=500, reply="oh no")
    await house.ledger.callbacks.record(
        [Delivery(callback=due, attempt=post, status=CallbackStatus.DEAD, reason="given up")]
    )
    return told


def of_kind(entries: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["kind"] == kind]


def test_an_event_is_shown_with_all_that_became_of_it() -> None:
    async def check() -> None:
        async with running() as house:
            told = await lived(house)
            shown = (await get(house, f"/events/{told['event_id']}")).json()
            entries = shown["timeline"]
            assert [entry["kind"] for entry in entries if entry["at"] is None] == ["duplicates"]
            times = [entry["at"] for entry in entries if entry["at"] is not None]
            assert times == sorted(times)
            (received,), (verified,) = of_kind(entries, "received"), of_kind(entries, "verified")
            assert (received["size"], received["forwarded_for"]) == (shown["size"], "203.0.113.9")
            assert received["client"] == "127.0.0.1"
            (queued,) = of_kind(entries, "queued")
            took = datetime.fromisoformat(queued["at"]) - datetime.fromisoformat(received["at"])
            assert received["took_ms"] == max(0, round(took.total_seconds() * 1000))
            assert (verified["provider"], verified["covers"]) == ("hmac", "body")
            (duplicates,) = of_kind(entries, "duplicates")
            assert (duplicates["count"], duplicates["differing"]) == (2, 1)
            assert [
                (entry["number"], entry["worker"], entry["outcome"], entry["error"]["message"])
                for entry in of_kind(entries, "attempt")
            ] == [(1, "w1", "retried", "no total"), (2, "w2", "failed", "no total")]
            assert [entry["message"] for entry in of_kind(entries, "log")] == ["half <b>way</b>"]
            (steps,) = of_kind(entries, "steps")
            assert (steps["round"], steps["attempt"], steps["names"]) == (1, 2, ["fetch"])
            assert [entry["status"] for entry in of_kind(entries, "ended")] == ["failed"]
            (post,) = of_kind(entries, "callback")
            assert (post["status"], post["reply"], post["duration_ms"]) == (500, "oh no", 80)
            assert {entry["job_id"] for entry in entries if "job_id" in entry} == {told["job_id"]}

    asyncio.run(check())


def test_steps_stand_with_the_attempt_that_kept_them_in_their_order() -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            claim = await house.claim()
            for name in ("step:second", "step:first", "until:2026"):
                await house.ledger.steps.keep(claim, name, "{}")
            house.redis.hdel(f"hookline:steps:{told['job_id']}", "kept:second")  # as an older version left it
            again = Retried(delay=timedelta(0), error=ErrorInfo(type="ValueError", message="no total"))
            await house.ledger.jobs.settle("w1", [Settlement(claim=claim, outcome=again, handler="m:f")])
            (claim,) = await house.ledger.jobs.claim(
                "w2", sequence=1, slots=1, queues=["default"], lease=MINUTE
            )
            for name in ("step:third", "step:a fourth"):
                await house.ledger.steps.keep(claim, name, "{}")
            entries = (await get(house, f"/events/{told['event_id']}")).json()["timeline"]
            kept = of_kind(entries, "steps")
            assert [(entry["attempt"], entry["names"]) for entry in kept] == [
                (1, ["first"]),
                (2, ["third", "a fourth"]),
                (None, ["second"]),
            ]
            assert [entry["at"] is None for entry in kept] == [False, False, True]

    asyncio.run(check())


def test_what_runs_is_on_the_timeline_with_its_progress() -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            claim = await house.claim()
            await house.ledger.jobs.report([Report(claim, Progress(current=1, total=4))])
            (attempt,) = of_kind(
                (await get(house, f"/events/{told['event_id']}")).json()["timeline"], "attempt"
            )
            assert (attempt["number"], attempt["ended_at"], attempt["progress"]["percent"]) == (1, None, 25)

    asyncio.run(check())


def test_who_did_what_is_on_the_timeline() -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            operator = {"Authorization": f"Bearer {API_KEY}"}
            assert (await house.http.post(f"/jobs/{told['job_id']}/cancel", headers=operator)).is_success
            entries = (await get(house, f"/events/{told['event_id']}")).json()["timeline"]
            assert [(entry["act"], entry["by"]) for entry in of_kind(entries, "act")] == [("cancel", "all")]

    asyncio.run(check())


def test_a_job_of_our_own_names_the_key_that_took_it() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"}, key=SUBMIT_KEY)).json()
            shown = (await get(house, f"/events/{told['event_id']}")).json()
            assert shown["accepted_by"] == shown["timeline"][0]["accepted_by"] == "sender"
            assert of_kind(shown["timeline"], "verified") == []

    asyncio.run(check())


def test_no_secret_and_no_signature_is_shown() -> None:
    """A104."""

    async def check() -> None:
        async with running() as house:
            told = await sent(
                house, Authorization="Bearer s3cret-of-acme", Cookie="session=1", X_Api_Key="abc", X_Auth_Key="def",
                Svix_Signature="v1,abc", X_Trace="kept",
            )  # fmt: skip
            shown = (await get(house, f"/events/{told['event_id']}")).json()
            hidden = {name for name, value in shown["headers"].items() if value == "***"}
            assert hidden == {
                "authorization", "cookie", "x-api-key", "x-auth-key", "svix-signature", "x-acme-signature",
            }  # fmt: skip
            assert shown["headers"]["x-trace"] == "kept"
            for path in ("", "/export"):
                text = (await get(house, f"/events/{told['event_id']}{path}")).text
                assert not [secret for secret in SECRETS.values() if secret in text]

    asyncio.run(check())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_body_is_given_raw_and_inert(payload: bytes) -> None:
    """A080."""

    async def check() -> None:
        async with running() as house:
            told = (await house.post("narrow", payload or b" ", Content_Type="text/html")).json()
            answer = await get(house, f"/events/{told['event_id']}/body")
            assert answer.content == (payload or b" ")
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Disposition"] == f'attachment; filename="{told["event_id"]}.bin"'
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"

    asyncio.run(check())


def test_a_body_that_is_no_text_is_marked() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.post("narrow", b"\xff\x00", Content_Type="image/png")).json()
            shown = (await get(house, f"/events/{told['event_id']}")).json()
            assert (shown["body"], shown["body_encoding"], shown["size"]) == ("/wA=", "base64", 2)

    asyncio.run(check())


# -- export ------------------------------------------------------------------------------------------------------------


def test_an_export_holds_everything_and_its_signature() -> None:
    async def check() -> None:
        async with running() as house:
            told = await lived(house)
            answer = await get(house, f"/events/{told['event_id']}/export")
            assert answer.headers["Content-Disposition"] == f'attachment; filename="{told["event_id"]}.json"'
            document = Exports(["new-key"]).verify(answer.json())
            assert document["event"]["id"] == told["event_id"]
            assert "callback_url" in document["event"]["body"]
            assert [job["id"] for job in document["jobs"]] == [told["job_id"]]
            assert document["jobs"][0]["callback"]["attempts"][0]["reply"] == "oh no"
            assert (
                document["timeline"] == (await get(house, f"/events/{told['event_id']}")).json()["timeline"]
            )
            assert Exports(["newer-key", "new-key"]).verify(answer.json()) == document
            with pytest.raises(ExportError, match="another key"):
                Exports(["old-key"]).verify(answer.json())

    asyncio.run(check())


def test_an_export_without_its_body() -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            document = (await get(house, f"/events/{told['event_id']}/export", body="false")).json()[
                "document"
            ]
            assert not document["event"].keys() & {"body", "body_encoding"}
            assert_problem(await get(house, f"/events/{told['event_id']}/export", body="no"), 422, "invalid")

    asyncio.run(check())


# -- who may look ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/body", "/export"])
@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 200), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_an_event_needs_the_scope_read(path: str, key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            assert (await get(house, f"/events/{told['event_id']}{path}", key)).status_code == status

    asyncio.run(check())


@pytest.mark.parametrize("path", ["", "/body", "/export"])
def test_the_link_to_a_job_opens_no_event(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            told = await sent(house)
            token = told["status_url"].partition("?token=")[2]
            answer = await house.http.get(f"/events/{told['event_id']}{path}?token={token}")
            assert_problem(answer, 401, "unauthorized")

    asyncio.run(check())


@pytest.mark.parametrize("path", ["", "/body", "/export"])
@pytest.mark.parametrize("event_id", [EVENT + "0" * 26, "nonsense", "job_" + "0" * 26, "%00", "é"])
def test_an_event_that_is_not_there_is_404(path: str, event_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await get(house, f"/events/{event_id}{path}"), 404, "not_found")

    asyncio.run(check())


def test_an_event_that_was_changed_is_not_there() -> None:
    """A101."""

    async def check() -> None:
        async with running() as house:
            told, other = await sent(house), (await house.submit({"type": "a"})).json()
            house.redis.hset(f"hookline:event:{told['event_id']}", "body", b"<b>another</b>")
            for path in ("", "/body", "/export"):
                assert_problem(await get(house, f"/events/{told['event_id']}{path}"), 404, "not_found")
                assert (await get(house, f"/events/{other['event_id']}{path}")).is_success

    asyncio.run(check())
