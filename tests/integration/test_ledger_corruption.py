"""Every key that a script touches is spoilt, in every way we know, before the script runs: the work of others goes on.

The keys of each script are not listed here: a server's MONITOR tells them. The world that a script meets holds a job in
every state; it is dumped once and restored for each case.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from infra.embedded import EmbeddedServer
from infra.ledger import Ledger, Seal, keys
from infra.ledger.bulk import ReplayPage
from infra.ledger.grades import Probe
from infra.ledger.jobs import Report
from infra.ledger.pauses import Held
from infra.ledger.records import (
    Arrival,
    CallbackStatus,
    Claim,
    DueCallback,
    HandlerEntry,
    JobStatus,
    Progress,
    Waiting,
)
from infra.ledger.ticks import Recurrence
from infra.ledger.troubles import Failures, Place
from infra.ledger.wire import limits_of
from infra.rates import Rate
from infra.redis_client import connect, connect_sync
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    ERROR,
    FAILED,
    FINISHED,
    HANDLER,
    NOW,
    QUEUES,
    RELEASED,
    Bench,
    Retried,
    arrival,
    on,
)

DAY = timedelta(days=1)
WRONG = Place(handler=HANDLER, type="KeyError", place="taking.py:3")
RECURS = Recurrence(handler="m:f", type="m:f", schedule="every 15m")
MANIFEST = [HandlerEntry(source="acme", type="*", handler=HANDLER)]


def suffix(number: int) -> str:
    return f"{number:026d}"


def numbered(number: int, **changes: Any) -> Arrival:
    return arrival(
        event_id=f"evt_{suffix(number)}",
        job_id=f"job_{suffix(number)}",
        received_at=datetime(2026, 11, 21, tzinfo=UTC),
        **({"callback_url": CALLBACK_URL, "provider_event_id": f"ev_{number}"} | changes),
    )


# Who is who in the world.
(
    RUNNING, RUNNING_TOO, ORPHANED, QUEUED, QUEUED_TOO, SCHEDULED, CALLING, LEASED, ENDED, LOW,
    HEAD, IN_LINE, PLACED, WITHOUT_PLACE, WAITS, ARRIVING,
) = range(1, 17)  # fmt: skip
BULK_REPLAY = f"rep_{suffix(1)}"
LIMITED = HandlerEntry(source="limited", type="*", handler="handlers.limited:one", concurrency=1)


@dataclass
class World:
    """What a test needs of the world besides its keys."""

    running: list[Claim]
    leased: DueCallback
    dump: dict[bytes, tuple[bytes, int]]

    async def restore(self, client: Any) -> None:
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.flushall()
            for key, (value, ttl) in self.dump.items():
                pipeline.restore(key, ttl, value)
            await pipeline.execute()


async def build(bench: Bench) -> World:
    """A job in every state, each with a number."""
    bench.limits = limits_of([LIMITED])
    await bench.renew("w1", lease=DAY, manifest=MANIFEST)
    await bench.renew("w3", lease=DAY)
    await bench.accept(
        *(numbered(number) for number in (CALLING, LEASED)), numbered(ENDED, callback_url=None)
    )
    ended = await bench.claim("w1", lease=DAY)
    for claim in ended:
        await bench.ledger.steps.keep(claim, "step:a", "1")
    await bench.settle(FINISHED, *ended)
    await wait_until_now(bench)
    (leased, *_) = [due for due in await bench.due("s1", hold=NOW) if due.job.id.endswith(suffix(LEASED))]
    await bench.client.hset(f"{keys.CALLBACK}cb_{suffix(CALLING)}", "lease", "")
    await bench.accept(numbered(ORPHANED))
    await bench.claim("w3")
    await bench.accept(
        *(numbered(number) for number in (RUNNING, RUNNING_TOO)),
        *(numbered(number, ordering_key="one") for number in (HEAD, IN_LINE)),
        *(numbered(number, source="limited") for number in (PLACED, WITHOUT_PLACE)),
    )
    running = await bench.claim("w1", lease=DAY)
    await bench.ledger.jobs.report([Report(running[0], Progress(current=1), ('{"message":"so far"}',))])
    await bench.accept(numbered(QUEUED), numbered(QUEUED_TOO), numbered(LOW, queue="low"))
    await bench.accept(numbered(SCHEDULED, run_at=datetime(2020, 1, 1, tzinfo=UTC)))
    await bench.die("w3")
    plan = direct("plan", BULK_REPLAY, "", 2, "by", "ops", f"job_{suffix(ENDED)}")
    await plan(bench, World([], leased, {}))
    found = await bench.client.keys("*")
    dump = {key: (await bench.client.dump(key), max(0, await bench.client.pttl(key))) for key in found}
    return World(running, leased, dump)


async def wait_until_now(bench: Bench) -> None:
    """A job waits for an event; nobody has seen yet that its time is up."""
    await bench.accept(numbered(WAITS))
    await bench.settle(waiting(DAY), *(await bench.claim("w1", lease=DAY)))
    await bench.client.hset(f"{keys.JOB}job_{suffix(WAITS)}", "due", "1000")
    await bench.client.zadd(f"{keys.SCHEDULED}default", {f"job_{suffix(WAITS)}": 1})


def waiting(time: timedelta) -> Waiting:
    return Waiting(source="acme", key="awaited", until=datetime.now(UTC) + time)


def direct(name: str, *arguments: Any) -> "Act":
    async def act(bench: Bench, world: World) -> None:
        filled = [
            world.running[0].job_id if one == "RUNNING" else world.running[0].token if one == "TOKEN" else one
            for one in arguments
        ]
        await bench.ledger.jobs._scripts.run(name, *filled)

    return act


async def _accept(bench: Bench, world: World) -> None:
    await bench.ledger.events.accept([
        numbered(ARRIVING),
        replace(numbered(ARRIVING + 1), provider_event_id=f"ev_{QUEUED}"),
        numbered(ARRIVING + 2, run_at=datetime(2020, 1, 1, tzinfo=UTC)),
        numbered(ARRIVING + 3, ordering_key="one"),
        numbered(ARRIVING + 4, provider_event_id="awaited", wait_key="also"),
    ])  # fmt: skip


async def _wait(bench: Bench, world: World) -> None:
    await bench.settle(waiting(timedelta(milliseconds=20)), *world.running)
    await asyncio.sleep(0.02)


async def _redeliver(bench: Bench, world: World) -> None:
    await bench.ledger.callbacks.redeliver([world.leased.job])


async def _retry(bench: Bench, world: World) -> None:
    claim = world.running[0]
    await bench.settle(FAILED, claim)
    (job,) = await bench.ledger.reading.jobs_of([claim.job_id])
    if job is not None:
        await bench.ledger.steering.retry(job, by="ops")


async def _replay(bench: Bench, world: World) -> None:
    origin = await bench.ledger.steering.origin(f"evt_{suffix(ENDED)}", [f"job_{suffix(ENDED)}"])
    if origin is not None:
        again = f"job_{suffix(ARRIVING)}"
        await bench.ledger.steering.replay(origin, again, by="ops", queue=None, entry=None)


async def _proceed(bench: Bench, world: World) -> None:
    page = await bench.ledger.replays.proceed("w1", sequence=1)
    if isinstance(page, ReplayPage):
        await bench.ledger.replays.run(page)
    await bench.ledger.replays.proceed("w1", sequence=2)


async def _fail_to_deliver(bench: Bench, world: World) -> None:
    """A failure is noted of the receiver, which is new."""
    await bench.record(world.leased, CallbackStatus.PENDING, retry_after=NOW)


async def _resume(bench: Bench, world: World) -> None:
    await bench.ledger.pausing.pause("https://paused.example/")
    await bench.ledger.pausing.resume("https://paused.example/")


async def _release(bench: Bench, world: World) -> None:
    await bench.ledger.pauses.pause(Held.QUEUE, "low", by="ada")
    await bench.ledger.pauses.resume(Held.QUEUE, "low")


async def _grade(bench: Bench, world: World) -> None:
    await bench.ledger.grades.begin(CALLBACK_URL)
    await bench.ledger.grades.note(CALLBACK_URL, "A", [Probe("good", "204", "A", "takes it")])


async def _retire(bench: Bench, world: World) -> None:
    ledger = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW)
    await ledger.jobs.retire()


async def _let_go(bench: Bench, world: World) -> None:
    archiving = Ledger(bench.client, seal=Seal(["a key"]), retention=NOW, dead_retention=NOW).archiving
    await archiving.hold("w1")
    jobs, _ = await archiving.expired()
    await archiving.let_go(jobs)
    await archiving.went("w1", error="the bucket is gone")
    await bench.client.delete(keys.ARCHIVE)


def _erase(number: int) -> "Act":
    return lambda bench, world: bench.ledger.erasing.erase([f"evt_{suffix(number)}"])


Act = Callable[[Bench, World], Awaitable[Any]]

ACTS: dict[str, Act] = {
    "accept": _accept,
    "claim": lambda bench, world: bench.claim("w1", lease=DAY),
    "finish": lambda bench, world: bench.settle(FINISHED, *world.running),
    "retry": lambda bench, world: bench.settle(Retried(delay=NOW, error=ERROR), *world.running),
    "retry later": lambda bench, world: bench.settle(
        Retried(delay=timedelta(milliseconds=1), error=ERROR), *world.running
    ),
    "release": lambda bench, world: bench.settle(RELEASED, *world.running),
    "wait": _wait,
    "step": lambda bench, world: bench.ledger.steps.keep(world.running[0], "step:a", "1"),
    "tick": lambda bench, world: bench.ledger.ticks.note(RECURS, datetime(2020, 1, 1, tzinfo=UTC)),
    "report": lambda bench, world: bench.ledger.jobs.report(
        [Report(world.running[0], Progress(current=2), ("{}",))]
    ),
    "cancel": lambda bench, world: bench.ledger.jobs.cancel(world.running[0].job_id),
    "cancel one that waits": lambda bench, world: bench.ledger.jobs.cancel(f"job_{suffix(WAITS)}"),
    "cancel one in line": lambda bench, world: bench.ledger.jobs.cancel(f"job_{suffix(IN_LINE)}"),
    "batch": direct("batch", f"bat_{suffix(1)}", "sealed", 1000),
    "retry by hand": _retry,
    "replay": _replay,
    "plan": direct("plan", f"rep_{suffix(2)}", "in one place", 2, "by", "ops", f"job_{suffix(ENDED)}"),
    "proceed": _proceed,
    "halt": lambda bench, world: bench.ledger.replays.halt(BULK_REPLAY, by="ops"),
    "promote": lambda bench, world: bench.ledger.jobs.promote(QUEUES),
    "take_over": lambda bench, world: bench.ledger.jobs.take_over(),
    "quarantine": direct("quarantine", "w1", "RUNNING", "TOKEN", "changed"),
    "renew": lambda bench, world: bench.renew("w1", lease=DAY, manifest=MANIFEST),
    "depart": lambda bench, world: bench.ledger.workers.depart("w1", queues=QUEUES),
    "look": lambda bench, world: bench.ledger.reading.jobs_of(
        [f"job_{suffix(number)}" for number in range(RUNNING, ARRIVING)], positions=True
    ),
    "manifests": lambda bench, world: bench.ledger.workers.manifests(),
    "due": lambda bench, world: bench.due("s2", hold=NOW),
    "deliver": lambda bench, world: bench.record(world.leased, CallbackStatus.DELIVERED),
    "deliver in vain": _fail_to_deliver,
    "neighbours": lambda bench, world: bench.ledger.callbacks.neighbours(),
    "pause": lambda bench, world: bench.ledger.pausing.pause("https://paused.example/"),
    "resume": _resume,
    "postpone": lambda bench, world: bench.ledger.callbacks.postpone([world.leased], NOW),
    "redeliver": _redeliver,
    "refuse": lambda bench, world: bench.ledger.refusals.keep("acme", b"a sample"),
    "hold": lambda bench, world: bench.ledger.pauses.pause(Held.QUEUE, "low", by="ada"),
    "release a queue": _release,
    "let_in": lambda bench, world: bench.ledger.pauses.let_in(LIMITED.handler, 1),
    "let in without a limit": lambda bench, world: bench.ledger.pauses.let_in(LIMITED.handler, None),
    "drain": lambda bench, world: bench.ledger.pauses.drain("w1", by="ada"),
    "audit": lambda bench, world: bench.ledger.desk.note(by="ada", act="retry", on="job_1", client=""),
    "sign_out": lambda bench, world: bench.ledger.desk.sign_out("1", remembered=DAY),
    "secrets": lambda bench, world: bench.ledger.secret_ages.note([("acme", b"secret")]),
    "grade": _grade,
    "measure": lambda bench, world: bench.ledger.measures.add("w1", 2, {"[]": 1}),
    "turn": lambda bench, world: bench.ledger.troubles.take_turn("watch", "w1", length=DAY),
    "group": lambda bench, world: bench.ledger.troubles.note({WRONG: Failures("m", "job_1", 1, 1)}),
    "trouble": lambda bench, world: bench.ledger.troubles.compare({"no-worker": {"what": "none"}}),
    "told": direct("told", "no-worker", "trouble_1", "began"),
    "remember": lambda bench, world: bench.ledger.troubles.remember({"queue:high": [1]}),
    "admit": lambda bench, world: bench.ledger.admissions.admit(
        "acme", Rate(5, timedelta(seconds=1)), wanted=1
    ),
    "patrol": lambda bench, world: bench.ledger.jobs.patrol(),
    "sweep": direct("sweep", 100, 0),
    "sweep_callbacks": direct("sweep_callbacks", 100),
    "rebuild": direct("rebuild", 1000, 3600, 3600),
    "retire": _retire,
    "let_go": _let_go,
    "erase": _erase(ENDED),
    "erase one that runs": _erase(RUNNING),
    "erase one in line": _erase(IN_LINE),
    "erase one that waits": _erase(WAITS),
}


Touched = dict[str, dict[str, str]]


def two_of_each(found: Iterable[str]) -> list[str]:
    """The first and the last of the keys that differ by their record only."""
    families: dict[str, list[str]] = {}
    for key in found:
        if not key.startswith(keys.CORRUPT):
            families.setdefault(re.sub(r"\d{26}", "", key), []).append(key)
    return [key for family in families.values() for key in dict.fromkeys((family[0], family[-1]))]


@pytest.fixture(scope="module")
def touched(valkey: EmbeddedServer) -> Touched:
    """The keys that each script touches in the world, as the server saw it, and what kind they are before."""
    found: Touched = {}

    async def watching(bench: Bench) -> None:
        world = await build(bench)
        for name, act in ACTS.items():
            await world.restore(bench.client)
            with connect_sync(valkey.url) as client, client.monitor() as monitor:
                await act(bench, world)
                await bench.client.echo("over")
                seen: dict[str, None] = {}
                while (line := monitor.next_command())["command"] != "ECHO over":
                    if line["client_type"] == "lua":
                        command, *words = line["command"].split(" ")
                        several = (
                            words
                            if command in {"DEL", "COPY"}
                            else []
                            if command in {"TIME", "SCAN", "PUBLISH"}
                            else words[:1]
                        )
                        seen |= dict.fromkeys(several)
            await world.restore(bench.client)
            found[name] = {
                key: (await bench.client.type(key)).decode()
                for key in seen
                if not key.startswith(keys.CORRUPT)
            }

    with connect_sync(valkey.url) as client:
        client.flushall()
    on(Store("valkey", valkey.url, lambda: connect(valkey.url), lambda: connect_sync(valkey.url)), watching)
    return found


# -- ways to spoil a key -----------------------------------------------------------------------------------------------

GARBAGE = b"\xff\x00 \r\n\xf0"
MEMBERS = {
    GARBAGE: 0,
    b"": 1,
    b"job_": 2,
    b"job_zzz": float("-inf"),
    b"cb_": float("inf"),
    b"cb_zzz": 1.5,
    b"2f1a-another-application": 1e300,
    b"x" * 5000: 4,
}


@dataclass(frozen=True)
class Spoiling:
    """One way to spoil a key, and the kinds of keys that it is a way for."""

    name: str
    spoil: Callable[[Any, str], Awaitable[Any]]
    kinds: frozenset[str] = frozenset({"none", "string", "hash", "list", "set", "zset", "stream"})

    def applies_to(self, kind: str) -> bool:
        return kind in self.kinds


def replaced(name: str, write: Callable[[Any, str], Awaitable[Any]]) -> Spoiling:
    async def spoil(client: Any, key: str) -> None:
        await client.delete(key)
        await write(client, key)

    return Spoiling(name, spoil)


def with_fields(name: str, value: bytes | str) -> Spoiling:
    async def spoil(client: Any, key: str) -> None:
        await client.hset(key, mapping=dict.fromkeys(await client.hkeys(key), value))

    return Spoiling(name, spoil, frozenset({"hash"}))


async def _with_other_members(client: Any, key: str) -> None:
    kind = await client.type(key)
    if kind == b"list":
        await client.lpush(key, *MEMBERS)
    elif kind == b"set":
        await client.sadd(key, *MEMBERS)
    elif kind == b"zset":
        await client.zadd(key, MEMBERS)
    else:
        await client.xadd(key, {GARBAGE: GARBAGE})


async def _with_mangled_scores(client: Any, key: str) -> None:
    await client.zadd(key, dict.fromkeys(await client.zrange(key, 0, -1), float("inf")))


async def _stream_at_its_end(client: Any, key: str) -> None:
    await client.xadd(key, {GARBAGE: GARBAGE}, id="18446744073709551615-18446744073709551615")


SPOILING = [
    Spoiling("deletion", lambda client, key: client.delete(key)),
    replaced("a text", lambda client, key: client.set(key, GARBAGE)),
    replaced("a number", lambda client, key: client.set(key, "9" * 400)),
    replaced("a list", lambda client, key: client.rpush(key, GARBAGE, "")),
    replaced("a hash", lambda client, key: client.hset(key, GARBAGE, GARBAGE)),
    replaced("a sorted set", lambda client, key: client.zadd(key, {GARBAGE: 1})),
    replaced("a stream at its end", _stream_at_its_end),
    with_fields("garbage in its fields", GARBAGE),
    with_fields("nothing in its fields", ""),
    with_fields("a huge number in its fields", "1e999"),
    with_fields("a negative number in its fields", "-7"),
    with_fields("JSON in its fields", '{"a":[[]],"queue":{},"0":null}'),
    Spoiling("other members", _with_other_members, frozenset({"list", "set", "zset", "stream"})),
    Spoiling("mangled scores", _with_mangled_scores, frozenset({"zset"})),
]


COMMON = [spoil for spoil in SPOILING if spoil.name in {"deletion", "a text"}]


async def heal(bench: Bench, world: World) -> None:
    """What the next minutes bring: renewals, takeovers, sweeps, and workers that work."""
    await bench.renew("w9")
    await bench.settle(FINISHED, *world.running)
    await bench.client.zadd(keys.LEASES, {"w1": 1, "w3": 1})
    for _ in range(2):
        while (await bench.ledger.jobs.take_over()).more:
            pass
        await bench.sweep()
        await bench.ledger.jobs.promote(QUEUES)
        await bench.run_all("w9")


async def check(bench: Bench, key: str, act: str) -> None:
    """All jobs but the owner of the spoilt key have ended, and their callbacks are made; all can be looked at."""
    absent = {
        "retire": {ENDED},
        "let_go": {ENDED},
        "erase": {ENDED},
        "erase one that runs": {RUNNING},
        "erase one in line": {IN_LINE},
        "erase one that waits": {WAITS},
        "quarantine": {RUNNING},
        "cancel": {RUNNING},
        "cancel one that waits": {WAITS},
        "cancel one in line": {IN_LINE},
    }.get(act, set())
    due = {one.id for one in await bench.due("s9", hold=NOW)}
    numbers = range(RUNNING, ARRIVING)
    jobs = await bench.ledger.reading.jobs_of([f"job_{suffix(number)}" for number in numbers])
    for number, job in zip(numbers, jobs, strict=True):
        if number in absent or suffix(number) in key:
            continue
        assert job is not None, (number, "is missing")
        assert job.status is JobStatus.FINISHED, (number, job.status)
        if number != ENDED:
            assert job.callback is not None, number
            delivered = number == LEASED and job.callback.status is CallbackStatus.DELIVERED
            assert delivered or f"cb_{suffix(number)}" in due, (number, "is not called back")
    reading = bench.ledger.reading
    for look in (bench.jobs, reading.queues, reading.quarantined, bench.ledger.workers.manifests):
        await look()
    for number in numbers:
        if suffix(number) in key:
            await reading.event(f"evt_{suffix(number)}")


async def spoil_each_key(bench: Bench, act: str, spoil: Spoiling, found: dict[str, str]) -> None:
    world = await build(bench)
    for key, kind in found.items():
        if not spoil.applies_to(kind):
            continue
        await world.restore(bench.client)
        await spoil.spoil(bench.client, key)
        try:
            await ACTS[act](bench, world)
            await heal(bench, world)
            await check(bench, key, act)
        except Exception as error:
            error.add_note(f"{act}, where {key} was spoilt by {spoil.name}")
            raise


@pytest.mark.parametrize("spoil", COMMON, ids=lambda spoil: spoil.name)
@pytest.mark.parametrize("act", ACTS)
def test_a_spoilt_key_harms_nobody_else(
    act: str, spoil: Spoiling, valkey_store: Store, touched: Touched
) -> None:
    assert touched[act], "MONITOR has told of no key"
    on(valkey_store, lambda bench: spoil_each_key(bench, act, spoil, touched[act]))


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILING, ids=lambda spoil: spoil.name)
@pytest.mark.parametrize("act", ACTS)
def test_a_spoilt_key_harms_nobody_else_in_whatever_way(
    act: str, spoil: Spoiling, valkey_store: Store, touched: Touched
) -> None:
    on(valkey_store, lambda bench: spoil_each_key(bench, act, spoil, touched[act]))


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_a_spoilt_key_harms_nobody_else_on_any_server(
    act: str, ledger_store: Store, touched: Touched
) -> None:
    (deletion, _) = COMMON
    on(ledger_store, lambda bench: spoil_each_key(bench, act, deletion, touched[act]))
