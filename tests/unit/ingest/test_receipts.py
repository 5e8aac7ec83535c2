"""Who waits for a job's end, for how long, and what they are told."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.signatures import Headers
from ingest.receipts import LONGEST_WAIT, preferred_wait
from tests.unit.ingest.application import API_KEY, House, running, until


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("wait=5; foo, respond-async", 5),
        ("wait=5, wait=9", 5),
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=9999", 60),
        ("wait=0", 0),
        ("", 0),
        ("wait", 0),
        ("wait=", 0),
        ("wait=-1", 0),
        ("wait=+1", 0),
        ("wait=1.5", 0),
        ("wait=1e1", 0),
        ("wait=5s", 0),
        ("wait=99999", 0),
        ("await=5", 0),
        ("foo; wait=5", 0),
        ("wait=\u0665", 0),
        ("wait=nan", 0),
    ],
)
def test_a_preference_is_read_as_rfc_7240_writes_it(prefer: str, seconds: int) -> None:
    assert preferred_wait(Headers.of({"Prefer": prefer})) == seconds


@given(prefer=st.text() | st.from_regex(r"(?i)\s*wait\s*=\s*[0-9\"]*[,;]?.*"))
def test_whatever_is_preferred_nobody_waits_for_longer_than_a_minute(prefer: str) -> None:
    assert 0 <= preferred_wait(Headers([(b"prefer", prefer.encode("utf-8", "replace"))])) <= LONGEST_WAIT


def test_whoever_goes_away_while_waiting_is_waited_for_no_longer() -> None:
    """Over bare ASGI, for a client that leaves in the middle is what httpx can't be."""

    async def check() -> None:
        async with running() as house:
            app = house.http._transport.app  # type: ignore[attr-defined]
            left, sent = asyncio.Event(), []
            messages: list[dict[str, object]] = [{"type": "http.request", "body": b'{"type":"a"}'}]

            async def receive() -> dict[str, object]:
                if messages:
                    return messages.pop()
                await left.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, object]) -> None:
                sent.append(message)

            headers = house.signed("acme", b'{"type":"a"}', Prefer="wait=60")
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/hooks/acme",
                "raw_path": b"/hooks/acme",
                "query_string": b"",
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            }
            asking = asyncio.create_task(app(scope, receive, send))
            await until(lambda: house.redis.llen("rq:queue:default"))
            left.set()
            async with asyncio.timeout(5):
                await asking
            assert house.redis.llen("rq:queue:default") == 1  # what was stored stays stored
            assert [message.get("status") for message in sent] == [499, None]  # to a closed connection

    asyncio.run(check())


def test_what_was_stored_is_acknowledged_even_when_the_server_ends_during_the_wait() -> None:
    async def check() -> None:
        async with running() as house:
            asking = asyncio.create_task(house.post("acme", {"type": "a"}, Prefer="wait=60"))
            await until(lambda: house.redis.llen("rq:queue:default"))
            await asyncio.sleep(0.02)
            asking.cancel()  # as uvicorn does when its patience with requests under way is over
            async with asyncio.timeout(5):
                answer = await asking
            assert (answer.status_code, answer.json()["duplicate"]) == (202, False)

    asyncio.run(check())


def test_what_was_stored_is_acknowledged_even_when_redis_goes_away_during_the_wait() -> None:
    async def check() -> None:
        async with running() as house:
            server = house.redis.connection_pool.connection_kwargs["server"]
            asking = asyncio.create_task(house.post("acme", {"type": "a"}, Prefer="wait=60"))
            await until(lambda: house.redis.llen("rq:queue:default"))
            server.connected = False
            async with asyncio.timeout(10):
                answer = await asking
            assert (answer.status_code, answer.json()["duplicate"]) == (202, False)

    asyncio.run(check())


def test_a_duplicate_may_wait_for_the_first_ones_job() -> None:
    async def check() -> None:
        async with running() as house:
            await house.post("fireflies", {"meeting_id": "M", "event": "e"})
            asking = asyncio.create_task(
                house.post("fireflies", {"meeting_id": "M", "event": "e"}, Prefer="wait=60")
            )
            await asyncio.sleep(0.02)
            await house.finish(await house.claim(), [1])
            answer = await asking
            assert (answer.status_code, answer.json()["result"]) == (200, [1])

    asyncio.run(check())


async def reading(house: House, path: str) -> int:
    return (await house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})).status_code


def test_a_batch_is_told_of_each_in_their_order() -> None:
    async def check() -> None:
        async with running() as house:
            first = await house.submit({"type": "a", "payload": 1, "idempotency_key": "k"})
            answer = await house.submit(
                [
                    {"type": "a", "payload": 1, "idempotency_key": "k"},
                    {"type": "a", "payload": 2, "idempotency_key": "k"},
                    {"type": "a", "payload": 3},
                    {"type": "a", "payload": 4, "idempotency_key": "n"},
                    {"type": "a", "payload": 4, "idempotency_key": "n"},
                ]
            )
            told = answer.json()
            assert answer.status_code == 202
            assert [each["duplicate"] for each in told] == [True, True, False, False, True]
            assert [each.get("code") for each in told] == [None, "idempotency_conflict", None, None, None]
            assert told[0]["job_id"] == told[1]["job_id"] == first.json()["job_id"]
            assert told[3]["job_id"] == told[4]["job_id"]
            assert json.dumps(told).count("status_url") == 5
            assert [await reading(house, each["status_url"]) for each in told] == [200] * 5

    asyncio.run(check())
