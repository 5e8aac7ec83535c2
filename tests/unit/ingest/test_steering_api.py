"""``POST /jobs/{id}/retry`` and ``POST /events/{id}/replay``: who may, what they do, and what they refuse."""

import asyncio
from typing import Any

import pytest

from infra.ids import EVENT, JOB
from infra.ledger.records import Claim, ErrorInfo, Failed, Settlement
from tests.unit.ingest.application import (
    API_KEY,
    READ_KEY,
    SUBMIT_KEY,
    House,
    assert_problem,
    running,
)

CALLBACK_URL = "https://receiver.example/inbox"
REFUSED = [
    (READ_KEY, 403, "scope_missing"),
    (SUBMIT_KEY, 403, "scope_missing"),
    ("nobody's", 401, "unauthorized"),
]


async def ask(house: House, path: str, content: Any = None, *, key: str = API_KEY, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.http.post(path, json=content, headers={"Authorization": f"Bearer {key}", **given})


async def shown(house: House, path: str) -> dict[str, Any]:
    answer = await house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def failed(house: House, **submission: Any) -> Claim:
    """A job that was given up."""
    await house.submit({"type": "a", **submission})
    claim = await house.claim()
    outcome = Failed(error=ErrorInfo(type="Reject", message="no such meeting"))
    await house.ledger.jobs.settle("w1", [Settlement(claim=claim, outcome=outcome, handler="scenario:it")])
    return claim


# -- retry -------------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_queued_again_and_shown_as_it_then_is() -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house, callback_url=CALLBACK_URL)
            answer = await ask(house, f"/jobs/{claim.job_id}/retry")
            told = answer.json()
            assert (answer.status_code, told["status"], told["round"], told["position"]) == (
                200,
                "queued",
                2,
                1,
            )
            assert told["callback"]["id"] == f"cb_{claim.job_id[4:]}-2"
            assert [(one["round"], one["outcome"]) for one in told["attempts"]] == [(1, "failed")]
            assert [(act.act, act.by) for act in await house.ledger.reading.acts(claim.job_id)] == [
                ("retry", "all")
            ]
            assert_problem(await ask(house, f"/jobs/{claim.job_id}/retry"), 409, "job_not_failed")

    asyncio.run(check())


def test_what_has_not_failed_is_409() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            assert_problem(await ask(house, f"/jobs/{told['job_id']}/retry"), 409, "job_not_failed")
            await ask(house, f"/jobs/{told['job_id']}/cancel")
            assert_problem(await ask(house, f"/jobs/{told['job_id']}/retry"), 409, "job_not_failed")

    asyncio.run(check())


@pytest.mark.parametrize(
    "path",
    [
        f"/jobs/{JOB}{'0' * 26}/retry",
        "/jobs/x/retry",
        f"/events/{EVENT}{'0' * 26}/replay",
        "/events/x/replay",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await ask(house, path), 404, "not_found")

    asyncio.run(check())


@pytest.mark.parametrize(("key", "status", "code"), REFUSED)
@pytest.mark.parametrize("kind", ["retry", "replay"])
def test_a_key_needs_the_scope_operate(kind: str, key: str, status: int, code: str) -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house)
            path = f"/jobs/{claim.job_id}/retry" if kind == "retry" else f"/events/{claim.event_id}/replay"
            assert_problem(await ask(house, path, key=key), status, code)
            assert (await shown(house, f"/jobs/{claim.job_id}"))["status"] == "failed"

    asyncio.run(check())


def test_a_link_neither_retries_nor_replays() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "link": "cancel"})).json()
            token = told["status_url"].partition("?token=")[2]
            for path in (f"/jobs/{told['job_id']}/retry", f"/events/{told['event_id']}/replay"):
                assert_problem(await house.http.post(path, params={"token": token}), 401, "unauthorized")

    asyncio.run(check())


@pytest.mark.parametrize("path", ["/jobs/x/retry", "/events/x/replay"])
def test_only_post_steers(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})
            assert_problem(answer, 405, "method_not_allowed")
            assert answer.headers["Allow"] == "POST"

    asyncio.run(check())


# -- replay ------------------------------------------------------------------------------------------------------------


def test_an_old_event_gets_a_new_job() -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(
                house, payload={"n": 1}, callback_url=CALLBACK_URL, tag="org-7", metadata={"m": 1}
            )
            answer = await ask(house, f"/events/{claim.event_id}/replay")
            told = answer.json()
            assert (answer.status_code, told["event_id"], told["status"], told["duplicate"]) == (
                202,
                claim.event_id,
                "queued",
                False,
            )
            assert told["job_id"] != claim.job_id
            job = (await house.http.get(told["status_url"])).json()
            assert (job["event_id"], job["tag"], job["metadata"]) == (claim.event_id, "org-7", {"m": 1})
            assert (job["callback"]["id"], job["callback"]["url"]) == (
                f"cb_{told['job_id'][4:]}",
                CALLBACK_URL,
            )
            again = await house.claim(sequence=2)
            assert (again.job_id, again.body) == (told["job_id"], b'{"n":1}')
            assert (await shown(house, f"/jobs/{claim.job_id}"))["status"] == "failed"

    asyncio.run(check())


def test_a_replay_goes_to_the_queue_that_is_named() -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house)
            told = (await ask(house, f"/events/{claim.event_id}/replay", {"queue": "low"})).json()
            assert (await shown(house, f"/jobs/{told['job_id']}"))["queue"] == "low"

    asyncio.run(check())


@pytest.mark.parametrize("payload", [{"n": 2}, None, [1], "text"])
def test_another_payload_makes_a_new_event_that_names_the_old_one(payload: Any) -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(
                house, payload={"n": 1}, callback_url=CALLBACK_URL, tag="org-7", metadata={"m": 1}
            )
            told = (await ask(house, f"/events/{claim.event_id}/replay", {"payload": payload})).json()
            assert told["event_id"] != claim.event_id
            event = await house.ledger.reading.event(told["event_id"])
            assert event is not None
            assert (event.replay_of, event.accepted_by, event.tag, event.metadata) == (
                claim.event_id,
                "all",
                "org-7",
                {"m": 1},
            )
            assert (await house.ledger.reading.event(claim.event_id)).replay_of is None  # type: ignore[union-attr]
            again = await house.claim(sequence=2)
            assert (again.job_id, again.source, again.type) == (told["job_id"], "api", "a")
            assert again.body != claim.body
            assert (await shown(house, f"/jobs/{again.job_id}"))["callback"]["url"] == CALLBACK_URL

    asyncio.run(check())


def test_an_edited_webhook_keeps_its_headers() -> None:
    async def check() -> None:
        async with running() as house:
            sent = (await house.post("acme", {"type": "paid"}, X_Acme_Delivery="d1")).json()
            told = (
                await ask(house, f"/events/{sent['event_id']}/replay", {"payload": {"type": "paid", "n": 2}})
            ).json()
            event = await house.ledger.reading.event(told["event_id"])
            assert event is not None
            assert (event.source, event.type, event.headers["x-acme-delivery"]) == ("acme", "paid", "d1")
            assert event.provider_event_id is None
            again = (await house.post("acme", {"type": "paid"}, X_Acme_Delivery="d1")).json()
            assert (again["duplicate"], again["event_id"]) == (True, sent["event_id"])

    asyncio.run(check())


def test_what_no_worker_handles_is_not_replayed_until_one_does() -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house)
            await house.tell_handlers(("api", "b"))
            assert_problem(await ask(house, f"/events/{claim.event_id}/replay"), 422, "invalid")
            await house.tell_handlers(("api", "a"), queue="high")
            told = (await ask(house, f"/events/{claim.event_id}/replay")).json()
            assert (await shown(house, f"/jobs/{told['job_id']}"))["queue"] == "high"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "body_malformed"),
        (b"[]", 422, "invalid"),
        (b'{"que":"low"}', 422, "invalid"),
        (b'{"queue":7}', 422, "invalid"),
        (b'{"queue":"a b"}', 422, "invalid"),
    ],
)
def test_a_wish_that_can_not_be_read_is_refused(content: bytes, status: int, code: str) -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house)
            answer = await house.http.post(
                f"/events/{claim.event_id}/replay",
                content=content,
                headers={"Authorization": f"Bearer {API_KEY}"},
            )
            assert_problem(answer, status, code)
            assert (await house.ledger.reading.event(claim.event_id)).jobs == (claim.job_id,)  # type: ignore[union-attr]

    asyncio.run(check())


def test_who_waits_gets_the_job() -> None:
    async def check() -> None:
        async with running() as house:
            claim = await failed(house)
            waiting = asyncio.create_task(ask(house, f"/events/{claim.event_id}/replay", Prefer="wait=10"))
            await house.finish(await house.claim(sequence=2), {"ok": True})
            answer = await waiting
            assert (answer.status_code, answer.json()["result"]) == (200, {"ok": True})

    asyncio.run(check())
