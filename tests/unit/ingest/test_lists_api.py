"""``GET /jobs``, ``GET /events`` and ``GET /callbacks``: pages, filters, and who may read them."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.filters import FILTERS
from tests.unit.ingest.application import (
    API_KEY,
    NOW,
    READ_KEY,
    SUBMIT_KEY,
    House,
    assert_problem,
    lasting,
    running,
)

LISTS = ("/jobs", "/events", "/callbacks")
PARAMETERS = (*FILTERS, "limit", "cursor", "provider_event_id")
URL = "https://receiver.example.com/inbox"


async def get(house: House, path: str, key: str = READ_KEY, **query: Any) -> Any:
    return await house.http.get(path, params=query, headers={"Authorization": f"Bearer {key}"})


def test_a_job_is_listed_without_what_is_large() -> None:
    async def check() -> None:
        async with running() as house:
            told = (
                await house.submit({"type": "a", "tag": "t", "metadata": {"n": 1}, "callback_url": URL})
            ).json()
            await house.finish(await house.claim(), {"large": "x" * 1000})
            (item,) = (await get(house, "/jobs")).json()["items"]
            whole = (await get(house, f"/jobs/{told['job_id']}")).json()
            assert item.keys() < whole.keys() | {"attempt"}
            assert not item.keys() & {"attempts", "logs", "result"}
            assert (item["status"], item["tag"], item["attempt"], item["metadata"]) == (
                "finished",
                "t",
                1,
                {"n": 1},
            )
            assert item["callback"] == {name: whole["callback"][name] for name in ("id", "url", "status")}

    asyncio.run(check())


def test_an_event_is_listed_with_its_status_and_without_its_body() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.post("acme", {"type": "order"}, X_Acme_Delivery="d-1")).json()
            await house.post("acme", {"type": "order"}, X_Acme_Delivery="d-1")
            (item,) = (await get(house, "/events")).json()["items"]
            assert not item.keys() & {"headers", "body"}
            assert (item["id"], item["status"], item["size"], item["duplicates"], item["jobs"]) == (
                told["event_id"], "queued", 17, 1, [told["job_id"]],
            )  # fmt: skip

    asyncio.run(check())


def test_an_event_is_found_by_the_id_that_its_sender_gave_it() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.post("acme", {"type": "order"}, X_Acme_Delivery="d-1")).json()
            await house.post("acme", {"type": "order"}, X_Acme_Delivery="d-2")
            found = (await get(house, "/events", source="acme", provider_event_id="d-1")).json()
            assert ([item["id"] for item in found["items"]], found["next_cursor"]) == (
                [told["event_id"]],
                None,
            )
            nobody = await get(house, "/events", source="github", provider_event_id="d-1")
            assert nobody.json() == {"items": [], "next_cursor": None}
            for query in ({}, {"type": "order", "source": "acme"}):
                assert_problem(await get(house, "/events", provider_event_id="d-1", **query), 422, "invalid")

    asyncio.run(check())


@pytest.mark.parametrize("path", ["/jobs", "/events"])
def test_a_list_is_read_page_by_page(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            told = [(await house.submit({"type": "a"})).json() for _ in range(5)]
            found, query = [], {}
            for size in (2, 2, 1):
                page = (await get(house, path, limit=2, **query)).json()
                assert len(page["items"]) == size
                found += [item["id"] for item in page["items"]]
                query = {"cursor": page["next_cursor"]}
            assert page["next_cursor"] is None
            name = "job_id" if path == "/jobs" else "event_id"
            assert sorted(found) == sorted(each[name] for each in told)

    asyncio.run(check())


def test_filters_narrow_a_list() -> None:
    async def check() -> None:
        async with running() as house:
            one = (await house.submit({"type": "a", "tag": "t", "queue": "low"})).json()["job_id"]
            other = (await house.submit({"type": "b"})).json()["job_id"]
            assert (
                await house.http.post(f"/jobs/{other}/cancel", headers={"Authorization": f"Bearer {API_KEY}"})
            ).is_success
            for query, ids in [
                ({"tag": "t"}, [one]),
                ({"queue": "low", "status": "queued"}, [one]),
                ({"status": "canceled", "source": "api"}, [other]),
                ({"type": "b"}, [other]),
                ({"type": "b", "status": "queued"}, []),
                ({"source": "acme"}, []),
                ({"until": "2020-01-01T00:00:00Z"}, []),
                ({"since": "2020-01-01T00:00:00+02:00", "tag": "t"}, [one]),
                ({"since": "3650d", "tag": "t"}, [one]),
            ]:
                found = (await get(house, "/jobs", **query)).json()["items"]
                assert [item["id"] for item in found] == ids, query

    asyncio.run(check())


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        {"status": "lost"}, {"status": ""}, {"limit": "0"}, {"limit": "101"}, {"limit": "-1"}, {"limit": "1e9"},
        {"limit": "NaN"}, {"limit": "\u0665"}, {"cursor": "x"}, {"cursor": "time.1.\x00"}, {"cursor": "kind.1.a"},
        {"cursor": "status.1.a"}, {"offset": str(2**63)}, {"sort": "__class__"}, {"since": "now"},
        {"since": "2026-11-21"}, {"since": "2026-11-21T20:00:00"}, {"until": "9" * 30 + "d"}, {"since": "999999999d"},
        {"type": "x" * 201}, {f"p{number}": "1" for number in range(20)},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_list_does_not_take_is_said(path: str, query: dict[str, str]) -> None:
    """A095."""

    async def check() -> None:
        async with running() as house:
            answer = await get(house, path, **query)
            if query == {"status": ""}:
                assert answer.status_code == 200  # an empty parameter is none
            else:
                assert_problem(answer, 422, "invalid")

    asyncio.run(check())


def test_whatever_is_asked_for_is_answered_or_refused() -> None:
    with lasting() as (house, run):

        @given(words=st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=30), max_size=5))
        def ask(words: dict[str, str]) -> None:
            async def check() -> None:
                for path in LISTS:
                    assert (await get(house, path, **words)).status_code in (200, 422)

            run(check())

        ask()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("key", "status"), [(READ_KEY, 200), (SUBMIT_KEY, 403), ("nobody's", 401)])
def test_a_list_needs_the_scope_read(path: str, key: str, status: int) -> None:
    async def check() -> None:
        async with running() as house:
            assert (await get(house, path, key)).status_code == status

    asyncio.run(check())


@pytest.mark.parametrize("path", LISTS)
def test_a_link_to_one_job_lists_nothing(path: str) -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            token = told["status_url"].partition("?token=")[2]
            assert_problem(await house.http.get(f"{path}?token={token}"), 401, "unauthorized")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("path", "allowed"), [("/jobs", "GET, HEAD, POST"), ("/events", "GET, HEAD"), ("/callbacks", "GET, HEAD")]
)
def test_the_methods_are_told(path: str, allowed: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.http.delete(path)
            assert_problem(answer, 405, "method_not_allowed")
            assert answer.headers["Allow"] == allowed
            head = await house.http.head(path, headers={"Authorization": f"Bearer {READ_KEY}"})
            assert head.status_code == 200

    asyncio.run(check())


def test_times_are_by_the_clock_of_the_process() -> None:
    async def check() -> None:
        async with running(now=NOW.replace(year=2015)) as house:
            await house.submit({"type": "a"})
            assert len((await get(house, "/jobs", since="1h")).json()["items"]) == 1
            assert len((await get(house, "/jobs", until="1h")).json()["items"]) == 0

    asyncio.run(check())
