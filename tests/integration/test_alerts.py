"""Troubles, planted, are told of: once when they begin and once when they end, signed, to whoever wants to know."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from infra.clock import SystemClock
from infra.egress import EgressPolicy, GuardedTransport
from infra.ledger import Ledger, LedgerError, keys
from infra.ledger.records import HandlerEntry
from infra.ledger.troubles import Failures, Place, Trouble
from infra.signatures import CallbackSecrets
from infra.tasks import end
from tests.acceptance.inbox import Answer, Inbox
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, arrival, on
from worker.alerts import Alert, Alerts
from worker.callbacks.post import Post

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "alerts"
DAY = timedelta(days=1)
MANIFEST = [HandlerEntry(source="acme", type="*", handler="taking:any")]

Scenario = Callable[[Bench, Alerts, Inbox], Awaitable[None]]


def watching(store: Store, scenario: Scenario, *, server: bool = False) -> None:
    """Run a scenario with somebody who is told of troubles."""

    async def running(bench: Bench) -> None:
        with Inbox() as inbox:
            transport = GuardedTransport(EgressPolicy(allow=(ip_network("127.0.0.1/32"),)))
            post = Post(transport, secrets=CallbackSecrets([WHSEC]), timeout=timedelta(seconds=10))
            tell = Alert(post, url=inbox.url(PATH), clock=SystemClock())
            alerts = Alerts(bench.ledger, worker="w1", server=server, retention=7 * DAY, tell=tell)
            await scenario(bench, alerts, inbox)
            await post.aclose()

    on(store, running)


def told(inbox: Inbox) -> list[tuple[str, str, str]]:
    """What came, with signatures that hold: type, code, subject."""
    bodies = [post.verified(WHSEC) for post in inbox.posts(PATH)]
    return [(body["type"], body["data"]["code"], body["data"]["subject"]) for body in bodies]


def test_a_trouble_is_told_once_when_it_begins_and_once_when_it_ends(ledger_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        await alerts.look()
        await alerts.look()
        assert told(inbox) == [("trouble.began", "no-worker", "")]
        await bench.renew("w1", lease=DAY, manifest=MANIFEST)
        await alerts.look()
        await alerts.look()
        assert told(inbox)[1:] == [("trouble.ended", "no-worker", "")]
        began, ended = inbox.posts(PATH)
        data, after = began.verified(WHSEC)["data"], ended.verified(WHSEC)["data"]
        assert (data["what"], data["severity"], data["ended_at"]) == ("no worker is alive", "error", None)
        assert (after["id"], after["began_at"]) == (data["id"], data["began_at"])
        assert after["ended_at"] is not None
        assert (began.id, ended.id) == (data["id"], f"{data['id']}-ended")

    watching(ledger_store, scenario)


def test_what_was_not_taken_is_told_again_under_the_same_id(fake_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        inbox.answer(PATH, Answer(500), Answer(302, {"Location": "/elsewhere"}))
        for _ in range(4):
            await alerts.look()
        assert len({post.id for post in inbox.posts(PATH)}) == 1
        assert len(inbox.posts(PATH)) == 3

    watching(fake_store, scenario)


def test_a_place_in_the_code_that_fails_is_told(fake_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        await bench.renew("w1", lease=DAY, manifest=MANIFEST)
        place = Place(handler="taking:any", type="KeyError", place="taking.py:3")
        await bench.ledger.troubles.note({place: Failures("'a'", "job_1", attempts=4)})
        await alerts.look()
        assert told(inbox) == []  # its jobs are tried again
        await bench.ledger.troubles.note({place: Failures("'a'", "job_1", attempts=1, given_up=1)})
        await alerts.look()
        assert told(inbox) == [("trouble.began", "failing", place.id)]

    watching(fake_store, scenario)


def test_what_stopped_coming_is_told_until_it_comes_again(ledger_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        await bench.renew("w1", lease=DAY, manifest=MANIFEST)
        await bench.client.sadd(keys.KINDS, "acme:paid")
        hour = int((await bench.ledger.troubles.now()).timestamp()) // 3600
        await bench.ledger.troubles.remember({"kind:acme:paid": [hour, 0, 0, 0, 0, *[5] * 200]})
        await alerts.look()
        await alerts.look()
        assert told(inbox) == [("trouble.began", "silence", "acme:paid")]
        await bench.accept(arrival(source="acme", type="paid"))
        await alerts.look()
        assert told(inbox)[1:] == [("trouble.ended", "silence", "acme:paid")]

    watching(ledger_store, scenario)


def test_a_queue_that_grows_is_told(fake_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        await bench.renew("w1", lease=DAY, manifest=MANIFEST)
        for look in range(10):
            assert told(inbox) == [], look
            await bench.accept(*(arrival(queue="default") for _ in range(20)))
            await alerts.look()
        assert told(inbox) == [("trouble.began", "queue-grows", "default")]

    watching(fake_store, scenario)


@pytest.mark.needs_server
def test_a_server_that_would_lose_events_is_told(valkey_store: Store) -> None:
    async def scenario(bench: Bench, alerts: Alerts, inbox: Inbox) -> None:
        await bench.renew("w1", lease=DAY, manifest=MANIFEST)
        await alerts.look()
        assert told(inbox) == []
        await bench.client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            await alerts.look()
        finally:
            await bench.client.config_set("maxmemory-policy", "noeviction")
        assert told(inbox) == [("trouble.began", "redis-evicts", "")]
        await alerts.look()
        assert told(inbox)[1:] == [("trouble.ended", "redis-evicts", "")]

    watching(valkey_store, scenario, server=True)


def test_of_many_workers_one_looks_and_a_redis_that_is_away_ends_none(fake_store: Store) -> None:
    class Flickering:
        """Troubles of a Redis that is away at every other turn."""

        def __init__(self, ledger: Ledger) -> None:
            self._troubles = ledger.troubles
            self.turns: list[str] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(self._troubles, name)

        async def take_turn(self, what: str, worker: str, *, length: timedelta) -> bool:
            self.turns.append(worker)
            if len(self.turns) % 2:
                raise LedgerError("away")
            return await self._troubles.take_turn(what, worker, length=timedelta(hours=1))

    async def scenario(bench: Bench) -> None:
        found: list[str] = []
        flickering = Flickering(bench.ledger)
        bench.ledger.troubles = flickering  # type: ignore[assignment]

        async def tell(trouble: Trouble) -> bool:
            found.append(trouble.key)
            return True

        watchers = [
            Alerts(
                bench.ledger,
                worker=name,
                server=False,
                retention=DAY,
                tell=tell,
                every=timedelta(milliseconds=5),
            )
            for name in ("w1", "w2", "w3")
        ]
        tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
        async with asyncio.timeout(20):
            # Who has the turn looks, while the others go on asking.
            while len(flickering.turns) < 20 or not found:
                await asyncio.sleep(0.005)
        assert not any(task.done() for task in tasks)
        await end(*tasks)
        assert found == ["no-worker"]

    on(fake_store, scenario)
