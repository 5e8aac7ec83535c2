"""Watchers over a Redis in memory: what each is told, from where on, and when it is given up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ids import EVENT, JOB, new_suffix
from infra.ledger import Ledger, Seal, keys
from infra.ledger.jobs import Report
from infra.ledger.live import CallbackChange, Change, Position
from infra.ledger.records import (
    Arrival,
    CallbackStatus,
    Claim,
    ErrorInfo,
    Failed,
    Finished,
    JobStatus,
    Progress,
    Settlement,
)
from infra.redis_client import memory
from infra.routes import Routes
from ingest.connection import PUSH
from ingest.live.event_stream import EventStream
from ingest.live.hub import Hub
from ingest.live.messages import Message
from ingest.live.streams import AllStream, JobStream, Stream
from ingest.live.watcher import End, Filter, Watcher
from ingest.problems import Problem

LINE = '{"at":"a","level":"info","message":"m"}'


class House:
    """A ledger, a worker's part, and the hubs of two web processes."""

    def __init__(
        self, ledger: Ledger, hubs: list[Hub], client: redis.Redis, server: fakeredis.FakeServer
    ) -> None:
        self.ledger, self.hubs, self.redis, self.server = ledger, hubs, client, server
        self._routes = Routes(ledger.workers)

    async def accept(self, source: str = "acme", **fields: Any) -> str:
        suffix = new_suffix()
        made = Arrival(
            event_id=EVENT + suffix,
            job_id=JOB + suffix,
            source=source,
            type="paid",
            received_at=datetime.now(UTC),
            body=b"{}",
            **fields,
        )
        await self.ledger.events.accept([made])
        return made.job_id

    async def claim(self) -> Claim:
        (claim,) = await self.ledger.jobs.claim(
            "w", sequence=time.monotonic_ns(), slots=1, queues=["default"], lease=timedelta(minutes=1)
        )
        return claim

    async def report(self, claim: Claim, current: int, *lines: str) -> None:
        await self.ledger.jobs.report([Report(claim, Progress(current=current, total=100), lines)])

    async def finish(self, claim: Claim) -> None:
        await self.ledger.jobs.settle("w", [Settlement(claim=claim, outcome=Finished(result="1"))])

    async def stream(
        self,
        job_id: str | None = None,
        last_id: str | None = None,
        *,
        web: int = 0,
        most: int = 10_000,
        **wanted: str,
    ) -> Stream:
        hub, watcher = self.hubs[web], Watcher(Filter(**wanted), most=most)
        made = (
            AllStream(hub, self.ledger.live, watcher)
            if job_id is None
            else JobStream(hub, self.ledger.live, watcher, job_id, routes=self._routes, operator=True)
        )
        await made.open(last_id)
        return made

    async def stop(self) -> None:
        await self._routes.stop()


async def messages(stream: Stream) -> AsyncIterator[Message]:
    try:
        async with aclosing(stream.batches()) as batches:
            async for batch in batches:
                for message in batch:
                    yield message
    finally:
        stream.close()


async def take(stream: Stream, count: int) -> list[Message]:
    """The next so many messages; then it is cut."""
    found: list[Message] = []
    async with asyncio.timeout(10), aclosing(messages(stream)) as told:
        async for message in told:
            found.append(message)
            if len(found) == count:
                break
    return found


async def all_of(stream: Stream) -> list[Message]:
    async with asyncio.timeout(10):
        return [message async for message in messages(stream)]


def texts(told: list[Message]) -> list[str]:
    return [message.text for message in told]


@asynccontextmanager
async def building(**options: Any) -> AsyncIterator[House]:
    server = fakeredis.FakeServer()
    async with memory(server).asynchronous as client:
        ledger = Ledger(client, seal=Seal(["k"]))
        hubs = [Hub(ledger.live, memory(server).asynchronous, **options) for _ in range(2)]
        house = House(ledger, hubs, memory(server).synchronous, server)
        for hub in hubs:
            hub.start()
        try:
            yield house
        finally:
            server.connected = True
            for hub in hubs:
                await hub.stop()
            await house.stop()


def run(check: Callable[[House], Awaitable[None]], **options: Any) -> None:
    async def running() -> None:
        async with building(**options) as house:
            await check(house)
            assert not any(hub._of_all or hub._of_job for hub in house.hubs)  # whoever has left is forgotten

    asyncio.run(running())


# -- nothing missed, nothing twice -------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1)), max_size=8),
)
def test_a_watcher_that_is_cut_anywhere_gets_what_one_that_stays_gets(
    reports: list[int], cuts: list[tuple[int, int]]
) -> None:
    """Reports with so many log lines each; cut after so many messages, to go on at one process or the other."""

    async def check(house: House) -> None:
        job_id = await house.accept()
        staying = asyncio.create_task(all_of(await house.stream(job_id)))

        async def hop() -> list[Message]:
            found = await take(await house.stream(job_id), 1)
            for count, web in cuts:
                stream = await house.stream(job_id, str(found[-1].position), web=web)
                found += await take(stream, count)
            return found + await all_of(await house.stream(job_id, str(found[-1].position)))

        hopping = asyncio.create_task(hop())
        await asyncio.sleep(0.01)
        claim = await house.claim()
        for number, lines in enumerate(reports):
            await house.report(claim, number, *[LINE] * lines)
            await asyncio.sleep(0)
        await house.finish(claim)
        stayed = await staying
        assert len(stayed) == 3 + len(reports) + sum(reports)
        hopped = await hopping
        behind = [
            text
            for message, text in zip(stayed, texts(stayed), strict=True)
            if message.position > hopped[0].position
        ]
        assert texts(hopped[1:]) == behind

    run(check)


def test_all_jobs_are_resumed_anywhere() -> None:
    async def check(house: House) -> None:
        stayed = asyncio.create_task(take(await house.stream(source="acme"), 12))
        for source in ("acme", "other", "acme"):
            await house.accept(source)
            claim = await house.claim()
            await house.report(claim, 1, LINE, LINE)
            await house.finish(claim)
        whole = await stayed
        for place in range(len(whole) - 1):
            stream = await house.stream(None, str(whole[place].position), web=place % 2, source="acme")
            assert texts(await take(stream, len(whole) - 1 - place)) == texts(whole[place + 1 :])

    run(check)


def test_many_who_come_back_together_share_one_look() -> None:
    async def check(house: House) -> None:
        first = await house.stream()
        for _ in range(30):
            await house.accept()
        whole = await take(first, 30)
        live, looks = house.ledger.live, []
        between = live.between

        async def counted(after: Position, upto: Position) -> list[Change] | None:
            if after < upto:
                looks.append(after)
            return await between(after, upto)

        live.between = counted  # type: ignore[method-assign]
        back = [await house.stream(None, str(whole[0].position), web=1) for _ in range(20)]
        assert {len(stream.first) for stream in back} == {29}
        assert len(looks) == 1
        for stream in back:
            stream.close()

    run(check)


# -- missed after all --------------------------------------------------------------------------------------------------


def test_changes_that_got_lost_are_owned_up_to() -> None:
    async def check(house: House) -> None:
        job_id = await house.accept()
        of_job, of_all = await house.stream(job_id), await house.stream()
        watching = asyncio.create_task(all_of(of_job)), asyncio.create_task(take(of_all, 1))
        await asyncio.sleep(0.01)
        house.redis.delete(keys.LIVE)
        claim = await house.claim()
        await house.finish(claim)
        (start, again), (gap,) = await asyncio.gather(*watching)
        assert (start._data["snapshot"], start._data["status"]) == ("start", "queued")
        assert (again._data["snapshot"], again._data["status"]) in [("gap", "finished"), ("gap", "started")]
        assert gap._event == "gap"

    run(check)


def test_a_job_that_is_gone_meanwhile_ends_its_stream() -> None:
    async def check(house: House) -> None:
        job_id = await house.accept()
        watching = asyncio.create_task(all_of(await house.stream(job_id)))
        await asyncio.sleep(0.01)
        house.redis.flushall()
        await house.accept()
        assert len(await watching) == 1

    run(check)


def test_a_job_that_is_not_there_has_no_stream() -> None:
    async def check(house: House) -> None:
        with pytest.raises(Problem) as refused:
            await house.stream("job_01k00000000000000000000000")
        assert refused.value.kind.status == 404

    run(check)


# -- who does not read -------------------------------------------------------------------------------------------------


def test_a_slow_watcher_is_dropped_and_the_others_go_on() -> None:
    async def check(house: House) -> None:
        slow, fast = await house.stream(most=5), await house.stream()
        hung_up = asyncio.Event()
        slow.watcher._hang_up = hung_up.set
        told = asyncio.create_task(take(fast, 20))
        for _ in range(20):
            await house.accept()
        assert len(await told) == 20
        assert slow.watcher.ended is End.SLOW
        assert await all_of(slow) == []
        async with asyncio.timeout(5):
            await hung_up.wait()

    run(check)


def test_so_many_may_watch_and_no_more() -> None:
    """Who leaves makes room."""

    async def check(house: House) -> None:
        first, second = await house.stream(), await house.stream()
        with pytest.raises(Problem) as refused:
            await house.stream()
        assert refused.value.kind.code == "watched_by_many"
        first.close()
        (await house.stream()).close()
        second.close()

    run(check, most=2)


def test_a_message_is_made_once_for_all() -> None:
    async def check(house: House) -> None:
        streams = [await house.stream() for _ in range(3)]
        await house.accept()
        told = [await take(stream, 1) for stream in streams]
        assert told[0][0] is told[1][0] is told[2][0]

    run(check)


def test_a_connection_that_keeps_up_is_written_to_past_its_task_and_nothing_comes_twice() -> None:
    async def check(house: House) -> None:
        job_id = await house.accept()
        claim = await house.claim()
        stream = await house.stream(job_id)
        told: list[bytes] = []
        pushed: list[bytes] = []
        keeps_up = True

        def push(body: bytes) -> bool:
            if keeps_up:
                told.append(body)
                pushed.append(body)
            return keeps_up

        async def send(message: Any) -> None:
            told.append(message.get("body", b""))

        async def until(words: bytes) -> None:
            async with asyncio.timeout(10):
                while words not in b"".join(told):
                    await asyncio.sleep(0.001)

        answering = asyncio.create_task(
            EventStream(stream)({"type": "http", "state": {PUSH: push}}, asyncio.Event().wait, send)  # type: ignore[arg-type]
        )
        await until(b'"snapshot"')
        for current in (1, 2, 3):
            keeps_up = current != 2
            await house.report(claim, current)
            await until(b'"current":%d' % current)
        await house.finish(claim)
        await answering
        ids = [
            Position.read(line[4:].decode())
            for line in b"".join(told).splitlines()
            if line.startswith(b"id: ")
        ]
        assert ids == sorted({one for one in ids if one is not None})
        assert [b'"current":%d' % current in b"".join(pushed) for current in (1, 2, 3)] == [True, False, True]
        assert b'"finished"' in b"".join(told)

    run(check)


def test_who_a_change_belongs_to_is_looked_up_once() -> None:
    async def check(house: House) -> None:
        await house.accept("acme", tag="org-7", queue="default")
        claim = await house.claim()
        asked: list[list[str]] = []
        live = house.ledger.live
        about = live.about

        async def counted(job_ids: Any) -> Any:
            asked.append(list(job_ids))
            return await about(job_ids)

        live.about = counted  # type: ignore[method-assign]
        stream = await house.stream(tag="org-7", type="paid", queue="default", source="acme")
        elsewhere = await house.stream(tag="org-8")
        for number in range(5):
            await house.report(claim, number)
        assert len(await take(stream, 5)) == 5
        assert asked == [[claim.job_id]]
        assert not elsewhere.watcher._waiting
        elsewhere.close()

    run(check)


def test_who_is_told_nothing_gets_a_sign_of_life() -> None:
    async def check(house: House) -> None:
        stream = await house.stream()
        async with asyncio.timeout(5), aclosing(stream.batches()) as batches:
            assert [await anext(batches) for _ in range(3)] == [[], [], []]
        stream.close()

    run(check, beat=0.01)


def test_a_process_that_stops_tells_what_it_has_and_ends_its_streams() -> None:
    async def check(house: House) -> None:
        stream = await house.stream()
        await house.accept()
        async with asyncio.timeout(5):
            while not stream.watcher._waiting:
                await asyncio.sleep(0.001)
        house.hubs[0].dismiss()
        assert len(await all_of(stream)) == 1
        late = await house.stream()
        assert await all_of(late) == []

    run(check)


# -- the end -----------------------------------------------------------------------------------------------------------

QUEUED, STARTED, FINISHED, FAILED, IGNORED = "queued", "started", "finished", "failed", "ignored"
DELIVERED, AGAIN, DEAD = "delivered", "pending", "dead"


@pytest.mark.parametrize(
    ("callback", "changes"),
    [
        (False, [STARTED, FINISHED]),
        (False, [IGNORED]),
        (True, [IGNORED]),
        (True, [STARTED, FINISHED, DELIVERED]),
        (True, [STARTED, FAILED, AGAIN, AGAIN, DEAD]),
        (True, [FAILED, QUEUED, DEAD, STARTED, FINISHED, AGAIN, DELIVERED]),  # retried meanwhile
    ],
)
def test_a_stream_is_over_when_nothing_more_is_to_come(callback: bool, changes: list[str]) -> None:
    """And not before."""

    async def check(house: House) -> None:
        job_id = await house.accept(callback_url="https://example.com/" if callback else None)
        stream = await house.stream(job_id)
        assert isinstance(stream, JobStream)
        for change in changes:
            assert not stream.over
            what = (
                CallbackChange("cb_1", CallbackStatus(change))
                if change in set(CallbackStatus)
                else JobStatus(change)
            )
            place = Position(1, 0)
            stream._see(Message(place, "any", {}, Change(place, job_id, what)))
        assert stream.over
        stream.close()

    run(check)


def test_a_callback_that_may_not_be_made_is_not_waited_for() -> None:
    async def check(house: House) -> None:
        job_id = await house.accept(callback_url="http://10.0.0.1/", callback_refusal="not public")
        watching = asyncio.create_task(all_of(await house.stream(job_id)))
        await asyncio.sleep(0)
        claim = await house.claim()
        outcome = Failed(error=ErrorInfo(type="Reject", message="no"))
        await house.ledger.jobs.settle("w", [Settlement(claim=claim, outcome=outcome)])
        assert [message._data["status"] for message in await watching] == ["queued", "started", "failed"]

    run(check)
