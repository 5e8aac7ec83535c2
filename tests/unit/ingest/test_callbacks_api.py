"""``GET /callbacks`` and ``POST /callbacks/{id}/redeliver``; and what of a callback is for the operator alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from infra.ids import CALLBACK
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery
from tests.unit.ingest.application import API_KEY, NOW, READ_KEY, SUBMIT_KEY, House, assert_problem, running

URL = "https://receiver.example.com/inbox"


async def given_up(house: House, *, turn: int = 1) -> dict[str, Any]:
    """What the sender of a job was told, whose callback has come to nothing."""
    told: dict[str, Any] = (await house.submit({"type": "a", "callback_url": URL})).json()
    minute = timedelta(minutes=1)
    (claim,) = await house.ledger.jobs.claim("w1", sequence=turn, slots=1, queues=["default"], lease=minute)
    await house.finish(claim)
    ((due,), _) = await house.ledger.callbacks.due("s", sequence=turn, most=1, hold=minute)
    attempt = CallbackAttempt(
        number=1,
        at=NOW,
        duration=timedelta(milliseconds=80),
        status=500,
        reply="a stack trace",
        error="10.0.0.7 says no",
    )
    await house.ledger.callbacks.record(
        [Delivery(callback=due, attempt=attempt, status=CallbackStatus.DEAD, reason="given up")]
    )
    return told


def callback_of(told: dict[str, Any]) -> str:
    return CALLBACK + told["job_id"].removeprefix("job_")


async def get(house: House, path: str, key: str = API_KEY, **query: Any) -> Any:
    return await house.http.get(path, params=query, headers={"Authorization": f"Bearer {key}"})


async def redeliver(house: House, callback_id: str, key: str = API_KEY) -> Any:
    return await house.http.post(
        f"/callbacks/{callback_id}/redeliver", headers={"Authorization": f"Bearer {key}"}
    )


# -- what is shown to whom ---------------------------------------------------------------------------------------------


def test_who_has_a_link_sees_of_a_callback_its_fate_alone() -> None:
    """A070, A071: what the receiver said, and why it was not reached, would tell of the inner network."""

    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            by_link = (await house.http.get(told["status_url"])).json()["callback"]
            assert by_link == {
                "id": callback_of(told),
                "url": URL,
                "status": "dead",
                "attempts": [{"number": 1, "at": "2026-11-21T20:41:11.000Z", "status": 500}],
            }

    asyncio.run(check())


def test_who_has_a_key_sees_why_and_what_came_back() -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            shown = (await get(house, f"/jobs/{told['job_id']}", READ_KEY)).json()["callback"]
            assert shown["reason"] == "given up"
            assert shown["attempts"][0]["reply"] == "a stack trace"
            assert shown["attempts"][0]["error"] == "10.0.0.7 says no"

    asyncio.run(check())


def test_who_waits_for_the_answer_learns_no_more_than_by_a_link() -> None:
    async def check() -> None:
        async with running() as house:
            refused = {"callback_url": "https://10.0.0.1/inbox", "type": "x"}
            sending = asyncio.create_task(house.post("acme", refused, X_Acme_Delivery="d-1", Prefer="wait=9"))
            while not house.redis.llen("rq:queue:default"):
                await asyncio.sleep(0.001)
            await house.finish(await house.claim())
            callback = (await sending).json()["callback"]
            assert (callback["status"], callback.keys()) == ("blocked", {"id", "url", "status", "attempts"})

    asyncio.run(check())


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 202),
        ({"HOOKLINE_CALLBACK_HOSTS": "*.example.com"}, 202),
        ({"HOOKLINE_CALLBACK_HOSTS": "*.make.com"}, 422),
        ({"HOOKLINE_CALLBACK_PORTS": "8443"}, 422),
    ],
)
def test_hosts_and_ports_that_are_not_called_are_refused_at_once(
    settings: dict[str, str], status: int
) -> None:
    async def check() -> None:
        async with running(settings=settings) as house:
            answer = await house.submit({"type": "a", "callback_url": URL})
            assert (answer.status_code, answer.json().get("code")) == (
                status,
                None if status == 202 else "callback_url_refused",
            )

    asyncio.run(check())


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_the_newest_first_with_their_jobs() -> None:
    async def check() -> None:
        async with running() as house:
            first = await given_up(house)
            (item,) = (await get(house, "/callbacks")).json()["items"]
            assert (item["id"], item["job_id"], item["source"]) == (
                callback_of(first),
                first["job_id"],
                "api",
            )
            assert (item["status"], item["reason"], item["attempts"][0]["status"]) == (
                "dead",
                "given up",
                500,
            )

    asyncio.run(check())


def test_the_list_is_read_page_by_page() -> None:
    async def check() -> None:
        async with running() as house:
            told = [await given_up(house, turn=turn) for turn in (1, 2, 3)]
            one = (await get(house, "/callbacks", limit=2)).json()
            other = (await get(house, "/callbacks", limit=2, cursor=one["next_cursor"])).json()
            found = [item["id"] for page in (one, other) for item in page["items"]]
            assert sorted(found) == sorted(map(callback_of, told))
            assert (len(one["items"]), other["next_cursor"]) == (2, None)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"status": "dead"}, 1),
        ({"status": "delivered"}, 0),
        ({"source": "api"}, 1),
        ({"source": "acme"}, 0),
        ({"status": "dead", "source": "api"}, 1),
    ],
)
def test_the_list_is_narrowed(query: dict[str, str], number: int) -> None:
    async def check() -> None:
        async with running() as house:
            await given_up(house)
            assert len((await get(house, "/callbacks", **query)).json()["items"]) == number

    asyncio.run(check())


# -- again -------------------------------------------------------------------------------------------------------------


def test_a_callback_is_made_again_under_its_old_id() -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            answer = await redeliver(house, callback_of(told))
            assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (
                200,
                "pending",
                None,
            )
            again, _ = await house.ledger.callbacks.due("s", sequence=2, most=9, hold=timedelta(minutes=1))
            assert [(due.id, due.url, due.attempts, due.earlier) for due in again] == [
                (callback_of(told), URL, 1, 1)
            ]
            assert (await redeliver(house, callback_of(told))).status_code == 200

    asyncio.run(check())


def test_before_its_job_has_ended_it_is_409() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "callback_url": URL})).json()
            assert_problem(await redeliver(house, callback_of(told)), 409, "job_open")

    asyncio.run(check())


@pytest.mark.parametrize("callback_id", [CALLBACK + "0" * 26, "nonsense", "job_" + "0" * 26, "%00"])
def test_what_is_not_there_is_404(callback_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert_problem(await redeliver(house, callback_id), 404, "not_found")

    asyncio.run(check())


def test_a_job_without_a_callback_has_none_to_make_again() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            await house.finish(await house.claim())
            before = house.contents()
            assert_problem(await redeliver(house, callback_of(told)), 404, "not_found")
            assert house.contents() == before

    asyncio.run(check())


# -- one ---------------------------------------------------------------------------------------------------------------


def test_one_is_shown_as_the_list_has_it() -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            shown = await get(house, f"/callbacks/{callback_of(told)}", READ_KEY)
            (listed,) = (await get(house, "/callbacks")).json()["items"]
            assert (shown.status_code, shown.json()) == (200, listed)
            assert [one["reply"] for one in shown.json()["attempts"]] == ["a stack trace"]

    asyncio.run(check())


def test_one_of_a_job_without_a_callback_is_404() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            await house.finish(await house.claim())
            for callback_id in (callback_of(told), CALLBACK + "0" * 26, "nonsense", told["job_id"]):
                assert_problem(await get(house, f"/callbacks/{callback_id}"), 404, "not_found")

    asyncio.run(check())


@pytest.mark.parametrize(("key", "status"), [(SUBMIT_KEY, 403), ("nobody's", 401)])
def test_one_is_for_a_key_that_may_read(key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            assert (await get(house, f"/callbacks/{callback_of(told)}", key)).status_code == status

    asyncio.run(check())


# -- many, again -------------------------------------------------------------------------------------------------------


async def redeliver_many(house: House, wanted: Any, key: str = API_KEY) -> Any:
    return await house.http.post(
        "/callbacks/redeliver", json=wanted, headers={"Authorization": f"Bearer {key}"}
    )


async def waits(house: House, *, turn: int) -> list[str]:
    """The callbacks that are due."""
    due, _ = await house.ledger.callbacks.due("s", sequence=turn, most=9, hold=timedelta(minutes=1))
    return [one.id for one in due]


def test_many_are_counted_and_nothing_is_sent() -> None:
    async def check() -> None:
        async with running() as house:
            for turn in (1, 2):
                await given_up(house, turn=turn)
            before = house.contents()
            answer = await redeliver_many(house, {"dry_run": True})
            assert (answer.status_code, answer.json()) == (
                200,
                {"dry_run": True, "count": 2, "complete": True, "redelivered": 0},
            )
            assert house.contents() == before

    asyncio.run(check())


def test_many_are_made_again_the_oldest_first_and_so_many_a_second() -> None:
    async def check() -> None:
        async with running() as house:
            ids = [callback_of(await given_up(house, turn=turn)) for turn in (1, 2, 3)]
            answer = (await redeliver_many(house, {"status": "dead", "source": "api", "rate": 2})).json()
            assert answer == {"dry_run": False, "count": 3, "complete": True, "redelivered": 3}
            due_at = dict(house.redis.zrange("hookline:outbox", 0, -1, withscores=True))
            oldest, *others = (due_at[callback_id.encode()] for callback_id in ids)
            assert [round(due - oldest) for due in others] == [500, 1000]
            assert await waits(house, turn=4) == ids[:1]
            assert (await redeliver_many(house, {})).json()["count"] == 0

    asyncio.run(check())


def test_what_waits_already_is_left_as_it_is() -> None:
    """By two calls at the same time, and by one that comes later."""

    async def check() -> None:
        async with running() as house:
            ids = [callback_of(await given_up(house, turn=turn)) for turn in (1, 2, 3)]
            answers = await asyncio.gather(*(redeliver_many(house, {"rate": 2}) for _ in range(2)))
            assert {answer.status_code for answer in answers} == {200}
            waiting = house.redis.zrange("hookline:outbox", 0, -1, withscores=True)
            assert [callback_id.decode() for callback_id, _ in waiting] == ids
            assert (await redeliver_many(house, {"rate": 1})).json()["count"] == 0
            assert house.redis.zrange("hookline:outbox", 0, -1, withscores=True) == waiting
            for callback_id in ids:
                event_id = (await get(house, f"/callbacks/{callback_id}")).json()["event_id"]
                timeline = (await get(house, f"/events/{event_id}")).json()["timeline"]
                assert [entry["act"] for entry in timeline if entry["kind"] == "act"] == ["redeliver"]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"source": "api", "type": "a"}, 1),
        ({"source": "acme"}, 0),
        ({"type": "b"}, 0),
        ({"queue": "low"}, 0),
        ({"tag": "x"}, 0),
        ({"status": "delivered"}, 0),
        ({"status": "blocked"}, 0),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
        ({"since": "2000-01-01T00:00:00Z"}, 1),
    ],
)
def test_many_are_those_that_the_filter_finds(wanted: dict[str, str], count: int) -> None:
    async def check() -> None:
        async with running() as house:
            await given_up(house)
            answer = (await redeliver_many(house, wanted)).json()
            assert (answer["count"], answer["redelivered"]) == (count, count)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("wanted", "at"),
    [
        ({"status": "pending"}, "status"),
        ({"status": "failed"}, "status"),
        ({"status": 1}, "status"),
        ({"since": "soon"}, "since"),
        ({"ids": []}, "ids"),
        ({"limit": 5}, "limit"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"rate": 0}, "rate"),
        ({"rate": 1001}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": "20"}, "rate"),
        ([], "$"),
    ],
)
def test_what_can_not_be_understood_makes_none_again(wanted: Any, at: str) -> None:
    async def check() -> None:
        async with running() as house:
            await given_up(house)
            before = house.contents()
            answer = await redeliver_many(house, wanted)
            assert_problem(answer, 422, "invalid")
            assert at in answer.json()["detail"]
            assert house.contents() == before

    asyncio.run(check())


def test_who_made_many_again_stands_in_the_audit_log_and_in_their_timelines() -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            await redeliver_many(house, {"dry_run": True})
            assert await house.ledger.desk.deeds() == []
            await redeliver_many(house, {"source": "api"})
            (deed,) = await house.ledger.desk.deeds()
            assert (deed.by, deed.act, deed.on) == ("all (API)", "redeliver callbacks", "api")
            timeline = (await get(house, f"/events/{told['event_id']}")).json()["timeline"]
            assert [(entry["act"], entry["by"]) for entry in timeline if entry["kind"] == "act"] == [
                ("redeliver", "all")
            ]

    asyncio.run(check())


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 403), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_making_many_again_needs_the_scope_operate(key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            await given_up(house)
            for wanted in ({}, {"dry_run": True}):
                assert (await redeliver_many(house, wanted, key)).status_code == status
            assert (await get(house, "/callbacks")).json()["items"][0]["status"] == "dead"

    asyncio.run(check())


@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 403), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_making_it_again_needs_the_scope_operate(key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            told = await given_up(house)
            assert (await redeliver(house, callback_of(told), key)).status_code == status
            assert (await get(house, "/callbacks")).json()["items"][0]["status"] == "dead"

    asyncio.run(check())


def test_the_methods_are_told() -> None:
    async def check() -> None:
        async with running() as house:
            answers = (
                await house.http.post("/callbacks"),
                await house.http.get(f"/callbacks/{CALLBACK}1/redeliver"),
                await house.http.post(f"/callbacks/{CALLBACK}1"),
                await house.http.get("/callbacks/redeliver"),
            )
            assert [answer.headers["Allow"] for answer in answers] == [
                "GET, HEAD",
                "POST",
                "GET, HEAD",
                "POST",
            ]

    asyncio.run(check())
