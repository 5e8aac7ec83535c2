"""One web process over several ledgers: what a stranger sees of it, and what he does not."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import fakeredis
import httpx
import pytest
import redis.asyncio

from infra.cli.connections import Connections
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.records import Arrival, Claim, Settlement, Waiting
from infra.redis_client import connect, connect_sync, memory
from infra.settings import Settings, SettingsError
from infra.shards import in_shard, shard_in
from ingest.app import create_sharded_app
from ingest.openapi.calls import CALLS
from ingest.parts import assemble
from ingest.sources import load_sources

KEY, SECRET = "key-of-all", "s3cret-of-acme-and-others"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
SOURCES = """
[acme]
provider = "bearer"
event_id = "json:$.id"
[shop]
provider = "bearer"
spread_by = "json:$.order"
[payments]
provider = "bearer"
event_id = "json:$.id"
wait_key = "json:$.order"
spread_by = "json:$.order"
[apart]
provider = "bearer"
event_id = "json:$.id"
wait_key = "json:$.order"
"""


@dataclass(frozen=True)
class Shards:
    """Servers, not yet in use.

    Args:
        connect: one a shard.
        fakes: the servers in memory, to be cut off; none where they are real.
    """

    connect: Sequence[Callable[[], redis.asyncio.Redis]]
    fakes: Sequence[fakeredis.FakeServer] = ()


@dataclass(frozen=True, kw_only=True)
class House:
    """A web process over them, and their ledgers, to play the workers."""

    http: httpx.AsyncClient
    ledgers: Sequence[Ledger]
    fakes: Sequence[fakeredis.FakeServer]

    async def send(self, payload: Any, source: str = "acme") -> httpx.Response:
        return await self.http.post(
            f"/hooks/{source}", json=payload, headers={"Authorization": f"Bearer {SECRET}"}
        )

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, headers=AUTHORISED, **more)

    async def post(self, path: str, content: Any = None) -> httpx.Response:
        return await self.http.post(path, headers=AUTHORISED, json=content)

    async def claim(self, shard: int) -> list[Claim]:
        return await self.ledgers[shard].jobs.claim(
            f"w{shard}", sequence=1, slots=100, queues=["default"], lease=timedelta(minutes=1)
        )


def fakes(count: int) -> Shards:
    servers = [fakeredis.FakeServer() for _ in range(count)]
    return Shards([lambda server=server: memory(server).asynchronous for server in servers], servers)  # type: ignore[misc]


@pytest.fixture(
    params=["two fakes", "three fakes", pytest.param("valkey and redis", marks=pytest.mark.needs_server)]
)
def shards(request: pytest.FixtureRequest) -> Shards:
    if request.param != "valkey and redis":
        return fakes(2 if request.param == "two fakes" else 3)
    servers = [request.getfixturevalue(name) for name in ("valkey", "redis_server")]
    for server in servers:
        with connect_sync(server.url) as client:
            client.flushall()  # they are this session's own
    return Shards([lambda url=server.url: connect(url) for server in servers])  # type: ignore[misc]


@asynccontextmanager
async def running(shards: Shards, **more: str) -> AsyncIterator[House]:
    settings = Settings.load({"HOOKLINE_SECRET_KEY": "a key", "HOOKLINE_API_KEYS": f"all:{KEY}"} | more)
    secrets = {f"SOURCE_{name}_SECRET": SECRET for name in ("ACME", "SHOP", "PAYMENTS", "APART")}
    table = load_sources(settings, secrets, read_file=lambda _: SOURCES)
    each = [
        assemble(settings, table, connect=connect, connect_waiting=connect, in_memory=True)
        for connect in shards.connect
    ]
    app = create_sharded_app(each)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hookline")
        clients = [await stack.enter_async_context(connect()) for connect in shards.connect]
        yield House(
            http=await stack.enter_async_context(http),
            ledgers=[Ledger.of(client, settings) for client in clients],
            fakes=shards.fakes,
        )


def over(shards: Shards, check: Callable[[House], Coroutine[Any, Any, None]], **more: str) -> None:
    async def run() -> None:
        async with running(shards, **more) as house:
            await check(house)

    asyncio.run(run())


# -- what comes in -----------------------------------------------------------------------------------------------------


def test_events_are_spread_and_whoever_has_an_id_finds_his_own(shards: Shards) -> None:
    async def check(house: House) -> None:
        for number in range(24):
            told = (await house.send({"id": f"e-{number}"})).json()
            home = shard_in(told["job_id"])
            assert [await ledger.reading.holds(told["job_id"]) for ledger in house.ledgers] == [
                shard == home for shard in range(len(house.ledgers))
            ]
            assert (await house.get(f"/jobs/{told['job_id']}")).json()["status"] == "queued"
            assert (await house.get(told["status_url"])).json()["id"] == told["job_id"]
            event = (await house.get(f"/events/{told['event_id']}")).json()
            assert event["id"] == told["event_id"]
        held = [
            len((await house.get(f"/shards/{n}/jobs")).json()["items"]) for n in range(len(house.ledgers))
        ]
        assert sum(held) == 24
        assert all(held)

    over(shards, check)


def test_an_event_that_is_sent_again_gets_the_first_ids(shards: Shards) -> None:
    async def check(house: House) -> None:
        first = [(await house.send({"id": f"e-{number}"})).json() for number in range(10)]
        again = [await house.send({"id": f"e-{number}"}) for number in range(10)]
        assert {answer.status_code for answer in again} == {200}
        for before, answer in zip(first, again, strict=True):
            told = answer.json()
            assert told["duplicate"]
            assert (told["event_id"], told["job_id"]) == (before["event_id"], before["job_id"])

    over(shards, check)


def test_a_batch_of_jobs_is_spread_and_looked_at_as_one(shards: Shards) -> None:
    async def check(house: House) -> None:
        answer = await house.post("/jobs", [{"type": "a", "idempotency_key": f"k-{n}"} for n in range(20)])
        assert answer.status_code == 202, answer.text
        ids = [told["job_id"] for told in answer.json()]
        assert {shard_in(job_id) for job_id in ids} == set(range(len(house.ledgers)))
        batch = (await house.get(answer.headers["Location"])).json()
        assert [part["id"] for part in batch["jobs"]] == ids
        again = await house.post("/jobs", {"type": "a", "idempotency_key": "k-7"})
        assert (again.status_code, again.json()["job_id"]) == (200, ids[7])

    over(shards, check)


def test_jobs_with_one_ordering_key_run_one_after_the_other(shards: Shards) -> None:
    async def check(house: House) -> None:
        for _ in range(12):
            assert (await house.post("/jobs", {"type": "a", "ordering_key": "o-1"})).status_code == 202
        claimed = [claim for shard in range(len(house.ledgers)) for claim in await house.claim(shard)]
        assert len(claimed) == 1

    over(shards, check)


@pytest.mark.parametrize("before", [1, 2])
def test_a_duplicate_finds_the_first_one_that_came_before_there_was_one_more_shard(before: int) -> None:
    async def send_all(house: House) -> list[tuple[int, str]]:
        answers = [await house.send({"id": f"e-{number}"}) for number in range(30)]
        return [(answer.status_code, answer.json()["job_id"]) for answer in answers]

    shards, ids = fakes(before + 1), []

    async def earlier(house: House) -> None:
        ids[:] = [job_id for _, job_id in await send_all(house)]

    async def later(house: House) -> None:
        assert await send_all(house) == [(200, job_id) for job_id in ids]
        assert not (await house.get(f"/shards/{before}/jobs")).json()["items"]
        fresh = [(await house.send({"id": f"new-{number}"})).json()["job_id"] for number in range(30)]
        assert {shard_in(job_id) for job_id in fresh} == set(range(before + 1))
        house.fakes[0].connected = False
        statuses = {(await house.send({"id": f"newer-{number}"})).status_code for number in range(40)}
        assert statuses == (
            {503} if before == 1 else {202, 503}
        )  # what the first may know, nobody else takes

    over(Shards(shards.connect[:before], shards.fakes), earlier)
    over(shards, later, HOOKLINE_SHARDS_BEFORE=str(before))


# -- what waits for an event -------------------------------------------------------------------------------------------


async def waits_and_comes(house: House, source: str) -> int:
    """Jobs of as many orders wait, each for the event of its order; how many go on when these have come."""
    orders = [f"A-{number}" for number in range(12)]
    for order in orders:
        assert (await house.send({"order": order}, "shop")).status_code == 202
    waiting: list[str] = []
    for shard, ledger in enumerate(house.ledgers):
        claims = await house.claim(shard)
        until = await ledger.reading.now() + timedelta(hours=1)
        await ledger.jobs.settle(
            f"w{shard}",
            [
                Settlement(
                    claim=claim,
                    outcome=Waiting(source=source, key=json.loads(claim.body)["order"], until=until),
                )
                for claim in claims
            ],
        )
        waiting += [claim.job_id for claim in claims]
    assert len(waiting) == len(orders)
    for order in orders:
        assert (await house.send({"id": f"p-{order}", "order": order}, source)).status_code == 202
    return [(await house.get(f"/jobs/{job_id}")).json()["status"] for job_id in waiting].count("queued")


def test_an_event_reaches_the_job_that_waits_for_it_where_both_are_spread_by_the_same(shards: Shards) -> None:
    async def check(house: House) -> None:
        assert await waits_and_comes(house, "payments") == 12

    over(shards, check)


def test_an_event_that_is_spread_by_its_id_finds_only_who_waits_on_its_own_shard(shards: Shards) -> None:
    """The trap that docs/scaling.md tells of: without spread_by the others wait until their time is up."""

    async def check(house: House) -> None:
        assert 0 < await waits_and_comes(house, "apart") < 12

    over(shards, check)


# -- ids that tell nothing ---------------------------------------------------------------------------------------------


def test_what_came_in_before_there_were_shards_is_found_wherever_it_is(shards: Shards) -> None:
    async def check(house: House) -> None:
        last = len(house.ledgers) - 1
        for told in (0, last, 31):
            suffix = in_shard(EVENT + new_suffix(), told).removeprefix(EVENT)
            now = await house.ledgers[last].reading.now()
            old = Arrival(
                event_id=EVENT + suffix,
                job_id=JOB + suffix,
                source="acme",
                type="a",
                received_at=now,
                body=b"1",
            )
            await house.ledgers[last].events.accept([old])
            assert (await house.get(f"/jobs/{old.job_id}")).status_code == 200
            replay = await house.post(f"/events/{old.event_id}/replay")
            assert replay.status_code == 202, replay.text
            assert (await house.get(f"/jobs/{replay.json()['job_id']}")).json()["event_id"] == old.event_id
            assert await house.ledgers[last].reading.holds(replay.json()["job_id"])

    over(shards, check)


@pytest.mark.parametrize("path", ["/jobs/job_{}", "/events/evt_{}", "/jobs/job_..", "/jobs/nothing"])
def test_an_id_that_nobody_has_is_not_found(path: str) -> None:
    async def check(house: House) -> None:
        answer = await house.get(path.format(new_suffix()))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    over(fakes(3), check)


# -- what is about many ------------------------------------------------------------------------------------------------


def test_the_document_says_which_calls_have_to_name_a_shard() -> None:
    async def check(house: House) -> None:
        for call in CALLS:
            if 101 in call.answers:
                continue
            path = re.sub(r"\{\w+\}", "any", call.path)
            answer = await (house.get(path) if call.method == "GET" else house.post(path))
            unsaid = answer.headers["Content-Type"].endswith("problem+json") and answer.json()["code"]
            assert (unsaid == "shard_unsaid") is call.of_many, call.name

    over(fakes(2), check)


def test_a_stranger_has_no_shard_asked() -> None:
    async def check(house: House) -> None:
        job_id = (await house.send({"id": "e-1"})).json()["job_id"]
        for server in house.fakes:
            server.connected = False
        for query in ("", "?token=made-up"):
            assert (await house.http.get(f"/jobs/{job_id}{query}")).status_code == 401
        assert (await house.get(f"/jobs/{job_id}")).status_code == 503

    over(fakes(2), check)


def test_nothing_is_submitted_to_a_shard_by_its_number() -> None:
    async def check(house: House) -> None:
        assert (await house.post("/shards/1/jobs")).status_code == 405

    over(fakes(2), check)


@pytest.mark.parametrize(
    "path", ["/jobs", "/events", "/callbacks", "/queues", "/replays", "/receivers", "/metrics"]
)
def test_what_is_about_many_is_asked_of_one_shard(path: str) -> None:
    async def check(house: House) -> None:
        unsaid = await house.get(path)
        assert (unsaid.status_code, unsaid.json()["code"]) == (404, "shard_unsaid")
        assert unsaid.json()["detail"] == f"Ask /shards/0{path} to /shards/1{path}."
        assert [(await house.get(f"/shards/{n}{path}")).status_code for n in ("0", "1", "2", "x", "01")] == [
            200, 200, 404, 404, 404,
        ]  # fmt: skip
        assert (await house.http.get(f"/shards/0{path}")).status_code == 401

    over(fakes(2), check)


def test_what_is_done_to_a_queue_is_done_on_one_shard() -> None:
    async def check(house: House) -> None:
        assert (await house.post("/queues/default/pause")).json()["code"] == "shard_unsaid"
        for number in range(8):
            assert (await house.send({"id": f"e-{number}"})).status_code == 202
        assert (await house.post("/shards/1/queues/default/pause")).is_success
        assert [len(await ledger.pauses.all()) for ledger in house.ledgers] == [0, 1]

    over(fakes(2), check)


def test_there_is_no_console_of_several_shards() -> None:
    async def check(house: House) -> None:
        for path in ("/console", "/console/jobs", "/shards/0/console"):
            answer = await house.get(path)
            assert answer.status_code == 404
        assert (await house.get("/console")).json()["code"] == "shard_unsaid"

    over(fakes(2), check)


@pytest.mark.parametrize(
    ("path", "told"), [("/ws", (1008, "shard_unsaid")), ("/shards/7/ws", (1008, "not_found"))]
)
def test_a_watcher_of_everything_is_told_that_there_are_several(path: str, told: tuple[int, str]) -> None:
    """Over bare ASGI, for httpx opens no WebSocket."""

    async def check(house: House) -> None:
        app = house.http._transport.app  # type: ignore[attr-defined]
        sent: list[Any] = []

        async def connecting() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def note(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": [], "subprotocols": []}
        await app(scope, connecting, note)
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
        assert (sent[1]["code"], sent[1]["reason"]) == told

    over(fakes(2), check)


# -- a shard that is dead ----------------------------------------------------------------------------------------------


def test_a_dead_shard_costs_its_own_events_alone_and_is_named() -> None:
    async def check(house: House) -> None:
        sent = [(await house.send({"id": f"e-{number}"})).json()["job_id"] for number in range(30)]
        house.fakes[1].connected = False
        for number, job_id in enumerate(sent):
            answer, looked = await house.send({"id": f"new-{number}"}), await house.get(f"/jobs/{job_id}")
            if answer.is_success:
                assert shard_in(answer.json()["job_id"]) != 1
            else:
                assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
            assert looked.status_code == (503 if shard_in(job_id) == 1 else 200)
        assert {shard_in(job_id) for job_id in sent} == {0, 1, 2}
        ready = await house.http.get("/readyz")
        assert ready.status_code == 503
        assert "shard 1: Redis does not answer" in ready.json()["reasons"]
        assert (await house.http.get("/healthz")).status_code == 200
        assert (await house.get(f"/jobs/job_{new_suffix()}")).status_code == 503  # it may be there
        house.fakes[1].connected = True
        again = [(await house.send({"id": f"e-{number}"})).json()["job_id"] for number in range(30)]
        assert again == sent

    over(fakes(3), check)


def test_the_manifests_of_the_shards_that_answer_are_enough() -> None:
    async def check(house: House) -> None:
        house.fakes[0].connected = False
        answers = [await house.post("/jobs", {"type": "a"}) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {202, 503}

    over(fakes(2), check)


# -- at start ----------------------------------------------------------------------------------------------------------

TWO = "redis://one redis://two"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"HOOKLINE_SHARDS": "redis://one http://:hush@two"},
            "^HOOKLINE_SHARDS: needs an address that starts",
        ),
        ({"HOOKLINE_SHARDS": TWO, "HOOKLINE_SHARDS_BEFORE": "2"}, "^HOOKLINE_SHARDS_BEFORE: needs fewer"),
        ({"REDIS_URL": "redis://one", "HOOKLINE_SHARDS_BEFORE": "1"}, "^HOOKLINE_SHARDS_BEFORE: needs fewer"),
        ({}, "^REDIS_URL: needed"),
    ],
)
def test_shards_that_can_not_be_stop_the_start(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        Connections.of_shards(Settings.load(variables))
    assert "hush" not in str(error.value)


def test_without_shards_there_is_the_one_redis() -> None:
    assert len(Connections.of_shards(Settings.load({"REDIS_URL": "redis://one"}))) == 1
    assert len(Connections.of_shards(Settings.load({"HOOKLINE_SHARDS": TWO}))) == 2
