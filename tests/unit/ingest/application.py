"""What the tests of the web process build: the application over a Redis in memory, and requests as senders make them."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import httpx
import redis
import redis.asyncio

from infra.clock import ManualClock
from infra.ledger import Ledger
from infra.ledger.records import Claim, Finished, HandlerEntry, Settlement
from infra.redis_client import memory
from infra.settings import Settings
from infra.signatures import Fetcher
from ingest.app import create_app
from ingest.parts import assemble
from ingest.receiver_checks import CheckReceiver
from ingest.sources import Source, load_sources
from tests.conftest import BESIDE_RECORDS
from tests.unit.ingest import described

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
API_KEY, READ_KEY, SUBMIT_KEY = "key-of-all", "key-that-reads", "key-that-submits"
NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
PROBLEM = "application/problem+json"

SOURCES = """
[fireflies]
[github]
[make]
[billing]
provider = "standard-webhooks"
[acme]
provider = "hmac"
header = "X-Acme-Signature"
signed = "{timestamp}.{body}"
prefix = "sha256="
timestamp_header = "X-Acme-Timestamp"
event_id = "header:X-Acme-Delivery"
event_type = "json:$.type"
callback_url = "json:$.callback_url"
[loose]
provider = "hmac"
header = "X-Signature"
signed = "{timestamp}"
timestamp_header = "X-Timestamp"
event_id = "json:$.id"
[located]
provider = "hmac"
header = "X-Signature"
signed = "{url}{body}"
[narrow]
provider = "bearer"
max_body = "1KiB"
[forgotten]
provider = "github"
secret = "env:NOT_SET"
"""
SECRETS = {
    **{
        name: f"s3cret-of-{name}"
        for name in ("fireflies", "github", "make", "acme", "loose", "located", "narrow")
    },
    "billing": WHSEC,
}
SETTINGS = {
    "HOOKLINE_SECRET_KEY": "new-key,old-key",
    "HOOKLINE_API_KEYS": f"all:{API_KEY},reader:{READ_KEY}:read,sender:{SUBMIT_KEY}:submit",
    "HOOKLINE_CALLBACK_ALLOW": "127.0.0.1/32",
    "HOOKLINE_PUBLIC_URL": "https://hooks.example.com",
}


@dataclass(frozen=True, kw_only=True)
class House:
    """A running web process.

    Args:
        http: asks it.
        redis: looks at what it wrote.
        ledger: plays the worker.
    """

    http: httpx.AsyncClient
    redis: redis.Redis
    ledger: Ledger
    clock: ManualClock
    sources: Mapping[str, Source]

    async def post(self, source: str, content: Any, /, **headers: str) -> httpx.Response:
        """Send an event, signed as its source wants it."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.http.post(
            f"/hooks/{source}", content=body, headers=self.signed(source, body, **headers)
        )

    def signed(self, source: str, body: bytes, /, **headers: str) -> dict[str, str]:
        scheme, keys = self.sources[source].scheme, self.sources[source].secrets
        made = scheme.sign(
            body,
            keys,
            now=self.clock.now(),
            message_id="msg_1",
            url=f"https://hooks.example.com/hooks/{source}",
        )
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"Content-Type": "application/json", **made, **given}

    async def submit(self, content: Any, /, *, key: str = API_KEY, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            "/jobs", content=body, headers={"Authorization": f"Bearer {key}", **given}
        )

    async def tell_handlers(self, *handled: tuple[str, str], queue: str | None = None) -> None:
        """A live worker publishes what it handles."""
        manifest = [
            HandlerEntry(source=source, type=type_, handler="scenario:it", queue=queue)
            for source, type_ in handled
        ]
        await self.ledger.workers.renew(
            "w1", lease=timedelta(minutes=1), queues=["default"], manifest=manifest, record={}
        )

    async def claim(self, *, sequence: int = 1) -> Claim:
        """A worker takes the job that waits, once one does; with the last sequence the same again."""
        async with asyncio.timeout(10):
            while True:
                for claim in await self.ledger.jobs.claim(
                    "w1", sequence=sequence, slots=1, queues=["default"], lease=timedelta(minutes=1)
                ):
                    return claim

    async def finish(self, claim: Claim, result: Any = None) -> None:
        """And ends it."""
        settlement = Settlement(
            claim=claim, outcome=Finished(result=json.dumps(result)), handler="scenario:it"
        )
        await self.ledger.jobs.settle("w1", [settlement])

    def stored(self) -> set[str]:
        """Every key in Redis; whatever was refused has left none, but for a sample of it, and having been counted."""
        found = {key.decode() for key in self.redis.scan_iter()}
        return {key for key in found if not key.startswith(BESIDE_RECORDS)}

    def contents(self) -> dict[str, bytes]:
        """The same, with what each holds."""
        return {key: self.redis.dump(key) for key in self.stored()}  # type: ignore[misc]


@asynccontextmanager
async def running(
    *,
    settings: Mapping[str, str] | None = None,
    connect: Callable[[Callable[[], redis.asyncio.Redis]], redis.asyncio.Redis] = lambda make: make(),
    sources: str = SOURCES,
    secrets: Mapping[str, str] = SECRETS,
    environ: Mapping[str, str] = {},
    now: datetime = NOW,
    fetcher: Fetcher | None = None,
    connect_provider: Callable[[], httpx.AsyncClient] | None = None,
    check_receiver: CheckReceiver | None = None,
) -> AsyncIterator[House]:
    """The application between start and stop.

    Args:
        settings: over `SETTINGS`.
        connect: makes the application's client for the ledger, from what makes one to the Redis in memory.
        sources: the file.
        secrets: by source.
        environ: what else the sources' table is read with.
        fetcher: calls what the application calls, besides receivers.
        connect_provider: makes what calls the identity provider.
        check_receiver: what receivers are checked by.
    """
    server, clock = fakeredis.FakeServer(), ManualClock(now)
    made = Settings.load(SETTINGS | dict(settings or {}))
    table = load_sources(
        made,
        {
            **environ,
            **{f"SOURCE_{name.upper().replace('-', '_')}_SECRET": secret for name, secret in secrets.items()},
        },
        read_file=lambda _: sources,
    )

    def client() -> redis.asyncio.Redis:
        return memory(server).asynchronous

    parts = assemble(
        made,
        table,
        connect=lambda: connect(client),
        connect_waiting=client,
        in_memory=True,
        clock=clock,
        fetcher=fetcher,
        connect_provider=connect_provider,
        check_receiver=check_receiver,
    )
    app = create_app(parts)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://hookline",
            event_hooks={"response": [described.hold]},
        ) as http,
        client() as workers_client,
    ):
        yield House(
            http=http,
            redis=memory(server).synchronous,
            ledger=Ledger.of(workers_client, made),
            clock=clock,
            sources=table.by_name,
        )


@contextmanager
def lasting(**options: Any) -> Iterator[tuple[House, Callable[[Coroutine[Any, Any, None]], None]]]:
    """One application for many examples, as `running` makes it, and what runs a coroutine in its loop."""
    with asyncio.Runner() as runner:
        manager = running(**options)
        house = runner.run(manager.__aenter__())
        try:
            yield house, runner.run
        finally:
            runner.run(manager.__aexit__(None, None, None))


async def until(condition: Callable[[], Any]) -> None:
    """Wait for it, with a limit."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The members of a problem, which has to be this one."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    members: dict[str, Any] = answer.json()
    assert (members["status"], members["code"]) == (status, code)
    assert members["type"] == f"urn:hookline:problem:{code}"
    assert members["title"]
    return members


def hex_hmac(secret: str, content: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), content, getattr(hashlib, algorithm)).hexdigest()
