"""A server that forgets its scripts, is full, or takes no writes: either all is confirmed, or nothing has happened."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.embedded import EmbeddedServer
from infra.ledger import LedgerError
from infra.ledger.jobs import Report
from infra.ledger.records import CallbackStatus, DueCallback, JobStatus, Progress
from infra.redis_client import connect, connect_sync
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FINISHED,
    LEASE,
    QUEUES,
    RETRIED,
    Bench,
    Claim,
    arrival,
    on,
)

SERVERS = ["valkey", "redis_server"]


@pytest.fixture(params=SERVERS)
def server_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A real server of the test's own, for it is about to be spoilt."""
    request.getfixturevalue(request.param)  # skips where there is none
    binary = None if request.param == "valkey" else Path("/usr/bin/redis-server")
    with EmbeddedServer.start(tmp_path / "own", binary=binary) as server:
        yield Store(request.param, server.url, lambda: connect(server.url), lambda: connect_sync(server.url))


def test_a_server_that_forgot_its_scripts_is_told_them_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        event = await bench.accept()
        await bench.client.script_flush()
        (claim,) = await bench.claim()
        await bench.client.script_flush()
        await bench.settle(FINISHED, claim)
        assert await bench.status(event) is JobStatus.FINISHED

    on(ledger_store, scenario)


def test_scripts_that_are_forgotten_all_the_time_cost_nothing_but_time(server_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        async def forgetting() -> None:
            async with server_store.connect() as client:
                while True:
                    await client.script_flush()
                    await asyncio.sleep(0.002)

        accepted, ran = set(), set()
        flushing = asyncio.create_task(forgetting())
        for number in range(40):
            event = arrival(provider_event_id=str(number))
            while event.job_id not in accepted:
                try:
                    (receipt,) = await bench.ledger.events.accept([event])
                    accepted.add(receipt.job_id)
                except LedgerError:
                    continue
        sequence = 0
        while len(ran) < len(accepted):
            try:
                claims = await bench.ledger.jobs.claim(
                    "w1", sequence=sequence + 1, slots=5, queues=QUEUES, lease=LEASE
                )
            except LedgerError:
                continue
            sequence += 1
            for claim in claims:
                assert claim.job_id not in ran
                ran.add(claim.job_id)
        flushing.cancel()
        assert ran == accepted

    on(server_store, scenario)


# -- full, and read-only -----------------------------------------------------------------------------------------------


@contextmanager
def full(store: Store) -> Iterator[None]:
    with store.connect_sync() as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    with store.connect_sync() as client:
        client.replicaof("127.0.0.1", 1)
        yield
        client.replicaof("no", "one")


Step = Callable[[Bench, Claim, DueCallback], Awaitable[object]]

STEPS: dict[str, Step] = {
    "accept": lambda bench, claim, due: bench.accept(arrival(), arrival(provider_event_id="x")),
    "claim": lambda bench, claim, due: bench.claim("w2"),
    "finish": lambda bench, claim, due: bench.settle(FINISHED, claim),
    "retry": lambda bench, claim, due: bench.settle(RETRIED, claim),
    "report": lambda bench, claim, due: bench.ledger.jobs.report(
        [Report(claim, Progress(current=1), ("line",))]
    ),
    "promote": lambda bench, claim, due: bench.ledger.jobs.promote(QUEUES),
    "take over": lambda bench, claim, due: bench.ledger.jobs.take_over(),
    "renew": lambda bench, claim, due: bench.renew("w2"),
    "depart": lambda bench, claim, due: bench.ledger.workers.depart("w1", queues=QUEUES),
    "due": lambda bench, claim, due: bench.due("s2"),
    "deliver": lambda bench, claim, due: bench.record(due, CallbackStatus.DELIVERED),
    "sweep": lambda bench, claim, due: bench.sweep(),
    "retire": lambda bench, claim, due: bench.ledger.jobs.retire(),
}


@pytest.mark.parametrize("trouble", [full, read_only], ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_happens_whole_or_not_at_all(
    server_store: Store, step: str, trouble: Callable[[Store], Iterator[None]]
) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.take(callback_url=CALLBACK_URL)
        await bench.settle(FINISHED, first)
        (due,) = await bench.due()
        waiting = await bench.accept()
        (claim,) = await bench.claim(slots=1)
        other = await bench.accept(callback_url=CALLBACK_URL)
        before = await bench.snapshot()
        confirmed = True
        with trouble(server_store):
            try:
                await STEPS[step](bench, claim, due)
            except LedgerError:
                confirmed = False
            if not confirmed:
                assert await bench.snapshot() == before
            assert await bench.status(first) is JobStatus.FINISHED, "what was there can be read"
        await STEPS[step](bench, claim, due)
        await bench.settle(FINISHED, claim)
        await bench.die("w1")
        await bench.die("w2")
        while (await bench.ledger.jobs.take_over()).more:
            pass
        await bench.sweep()
        await bench.run_all()
        assert {job.status for job in await bench.jobs()} == {JobStatus.FINISHED}
        assert {waiting.job_id, other.job_id} <= {job.id for job in await bench.jobs()}
        if step == "accept":
            assert not confirmed

    on(server_store, scenario)
