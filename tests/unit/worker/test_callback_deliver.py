"""One attempt of a callback, against a receiver that does what the test tells it."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from infra.clock import ManualClock, SystemClock
from infra.egress import EgressError, EgressPolicy, GuardedTransport, NoConnection
from infra.egress.errors import DeadlinePassed, TLSFailed
from infra.ledger.records import AS_USUAL, CallbackOptions, CallbackStatus, Delivery, DueCallback
from infra.signatures import CallbackSecrets
from tests.unit.worker.callback_jobs import NOW, due, ended_job
from worker.callbacks.deliver import Sender
from worker.callbacks.post import MAX_KEPT, Post

NEW, OLD = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc=", "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQ="
POLICY = EgressPolicy(allow=(ip_network("127.0.0.1/32"),))
SCHEDULE = (timedelta(seconds=10), timedelta(seconds=20))
DEADLINE = timedelta(seconds=1)
BOMB = gzip.compress(bytes(20 << 20), mtime=0)  # a thousandth of what it unpacks to
MARGIN = timedelta(seconds=5)  # for a busy machine; without a deadline these would take minutes

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return behave


def raw(data: bytes) -> Behaviour:
    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return behave


def again_and_again(data: bytes, *, first: bytes = b"", pause: float = 0.0) -> Behaviour:
    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger_for_no_time = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
    writer.transport.abort()


class Receiver:
    """An HTTP receiver on a free loopback port; it keeps what it got as (headers, body)."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/inbox?token=hunter2"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append((headers, body))
            behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def sender(transport: httpx.AsyncBaseTransport, **changes: Any) -> Sender:
    options: dict[str, Any] = {
        "clock": ManualClock(NOW),
        "schedule": SCHEDULE,
        "jitter": lambda: 0.5,
        "status_url": lambda job_id: f"https://hooks.example.com/jobs/{job_id}",
    }
    posting: dict[str, Any] = {"secrets": CallbackSecrets([NEW, OLD]), "timeout": DEADLINE}
    posting |= {name: changes.pop(name) for name in ("secrets", "timeout", "private_keys") if name in changes}
    return Sender(Post(transport, **posting), **options | changes)


async def attempt(transport: httpx.AsyncBaseTransport, callback: DueCallback, **changes: Any) -> Delivery:
    """One attempt. It always ends, by its deadline."""
    async with asyncio.timeout((DEADLINE + MARGIN).total_seconds()):
        return (await sender(transport, **changes).send(callback)).delivery


def deliver(
    receiver: Receiver, *, attempts: int = 0, options: CallbackOptions = AS_USUAL, **changes: Any
) -> Delivery:
    """One attempt at this receiver."""

    async def scenario() -> Delivery:
        async with receiver.running(), GuardedTransport(POLICY) as client:
            return await attempt(client, due(receiver.url, attempts, options=options), **changes)

    delivery = asyncio.run(scenario())
    assert "hunter2" not in f"{delivery.attempt.error}{delivery.reason}"
    return delivery


def test_a_delivered_callback_is_signed_by_every_secret() -> None:
    receiver = Receiver(answer("204 No Content"))
    delivery = deliver(receiver, clock=SystemClock())
    assert (delivery.status, delivery.retry_after, delivery.reason) == (CallbackStatus.DELIVERED, None, None)
    assert (delivery.attempt.number, delivery.attempt.status, delivery.attempt.error) == (1, 204, None)
    assert timedelta(0) < delivery.attempt.duration < DEADLINE
    [(headers, body)] = receiver.received
    for secret in (NEW, OLD):
        content = Webhook(secret).verify(body, headers)
        assert content["data"]["status_url"] == "https://hooks.example.com/jobs/job_1"
    assert headers["webhook-id"] == "cb_1"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Hookline/")
    assert headers["accept-encoding"] == "identity"
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body + b" ", headers)


def test_each_attempt_has_the_same_id_and_body_but_a_time_of_its_own() -> None:
    """F52: on one connection, if the receiver keeps it."""

    async def scenario() -> None:
        clock = ManualClock(NOW)
        receiver = Receiver(answer("500 Oops"))
        async with receiver.running(), GuardedTransport(POLICY) as client:
            for attempts in range(2):
                await attempt(client, due(receiver.url, attempts), clock=clock)
                clock.advance(timedelta(minutes=1))
        (first, first_body), (second, second_body) = receiver.received
        assert first["webhook-id"] == second["webhook-id"]
        assert first_body == second_body
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
        assert first["webhook-signature"] != second["webhook-signature"]

    asyncio.run(scenario())


def test_a_failed_attempt_waits_for_its_step_with_jitter() -> None:
    delivery = deliver(Receiver(answer("500 Oops", b"try later")), attempts=1, jitter=lambda: 0.0)
    assert (delivery.status, delivery.retry_after) == (CallbackStatus.PENDING, timedelta(seconds=16))
    assert (delivery.attempt.number, delivery.attempt.status) == (2, 500)
    assert (delivery.attempt.reply, delivery.attempt.error) == ("try later", "the receiver answered 500")


def test_a_retry_after_is_waited_for_without_jitter() -> None:
    """F63."""
    receiver = Receiver(answer("429 Too Many Requests", b"", "Retry-After: 13"))
    delivery = deliver(receiver, jitter=lambda: 0.0)
    assert delivery.retry_after == timedelta(seconds=13)


def test_after_the_schedule_it_is_dead() -> None:
    delivery = deliver(Receiver(answer("500 Oops")), attempts=2)
    assert (delivery.status, delivery.retry_after) == (CallbackStatus.DEAD, None)
    assert delivery.reason == "given up after 3 attempts: the receiver answered 500"


def test_410_ends_it() -> None:
    """F62."""
    assert deliver(Receiver(answer("410 Gone"))).status is CallbackStatus.DEAD


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
@pytest.mark.parametrize(
    "location", ["canary", "http://169.254.169.254/", "file:///etc/passwd", "http://xn--/"]
)
def test_a_redirect_is_a_failure_and_never_followed(status: str, location: str) -> None:
    """F61, A066: where it points to is not called."""

    async def scenario() -> None:
        canary = Receiver(answer("200 OK"))
        async with canary.running(), GuardedTransport(POLICY) as client:
            target = canary.url if location == "canary" else location
            receiver = Receiver(answer(status, b"", f"Location: {target}"))
            async with receiver.running():
                delivery = await attempt(client, due(receiver.url))
        assert delivery.status is CallbackStatus.PENDING
        assert delivery.attempt.error is not None
        assert (len(receiver.received), canary.connections) == (1, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (hang, "there was no complete answer in time"),
        (again_and_again(b"H", pause=0.02), "the answer was not HTTP, or ended before it was complete"),
        (again_and_again(b"K", first=b"HTTP/1.1 200 O", pause=0.02), "there was no complete answer in time"),
        (again_and_again(b"X-Drip: 1\r\n", first=b"HTTP/1.1 200 OK\r\n", pause=0.02), "there was no complete answer in time"),
        (again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "the answer has too many bytes"),
        (again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.02), "there was no complete answer in time"),
        (raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 300_000 + b"\r\n\r\n"), "the answer has too many bytes"),
        (raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), "the answer was not HTTP, or ended before it was complete"),
        (raw(b"HTTP/1.1 200"), "the answer was not HTTP, or ended before it was complete"),
        (raw(b""), "the answer was not HTTP, or ended before it was complete"),
        (reset, "the connection broke before the answer was complete"),
    ],
    ids=["hangs", "drips nonsense", "drips", "drips headers", "100-continue flood", "100-continue drip", "long header", "TLS bytes", "cut", "silent close", "reset"],
)  # fmt: skip
def test_a_receiver_that_does_not_answer_costs_a_deadline_at_the_most(behave: Behaviour, error: str) -> None:
    """F53, F54, F55, F58, F59: and it is tried again."""
    receiver = Receiver(behave)
    delivery = deliver(receiver)
    assert (delivery.status, delivery.retry_after) == (CallbackStatus.PENDING, SCHEDULE[0])
    assert (delivery.attempt.status, delivery.attempt.reply, delivery.attempt.error) == (None, "", error)
    assert receiver.connections == 1


def test_a_line_that_goes_dead_in_the_middle_of_the_body_costs_a_deadline() -> None:
    """F69: what follows the first hundred bytes arrives nowhere, and nobody says so."""

    async def read_a_little(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(100)
            await ended.wait()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            closed.set()

    ended, closed = asyncio.Event(), asyncio.Event()

    async def scenario() -> Delivery:
        server = await asyncio.start_server(read_a_little, "127.0.0.1", 0, limit=1024)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, GuardedTransport(POLICY) as client:
            delivery = await attempt(client, due(url, job=ended_job(result="x" * 900_000)))
            ended.set()
            await closed.wait()
            return delivery

    delivery = asyncio.run(scenario())
    assert (delivery.status, delivery.attempt.error) == (
        CallbackStatus.PENDING,
        "there was no complete answer in time",
    )
    assert delivery.attempt.duration < DEADLINE * 1.5


def test_a_name_without_an_address_is_tried_again_and_delivered_when_it_has_one() -> None:
    """F67: the receiver is not blocked for it."""
    answers: list[list[str]] = [[], ["127.0.0.1"]]

    async def resolve(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async def scenario() -> list[Delivery]:
        receiver = Receiver(answer("204 No Content"))
        async with receiver.running(), GuardedTransport(POLICY, resolve=resolve) as client:
            url = receiver.url.replace("127.0.0.1", "localhost")
            return [await attempt(client, due(url, attempts)) for attempts in (0, 1)]

    first, second = asyncio.run(scenario())
    assert (first.status, first.retry_after) == (CallbackStatus.PENDING, SCHEDULE[0])
    assert second.status is CallbackStatus.DELIVERED


@pytest.mark.parametrize(
    "error", [TLSFailed("the certificate"), NoConnection("nobody"), DeadlinePassed("late")]
)
def test_what_may_be_mended_is_tried_again(error: EgressError) -> None:
    """F68: whatever stood in the way."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise error

    delivery = asyncio.run(attempt(httpx.MockTransport(refuse), due("https://receiver.example/")))
    assert (delivery.status, delivery.attempt.error) == (CallbackStatus.PENDING, error.reason)


def test_a_closed_port_is_tried_again() -> None:
    """F64."""

    async def scenario() -> Delivery:
        receiver = Receiver(answer("200 OK"))
        async with receiver.running():
            pass
        async with GuardedTransport(POLICY) as client:
            return await attempt(client, due(receiver.url))

    delivery = asyncio.run(scenario())
    assert (delivery.status, delivery.attempt.error) == (
        CallbackStatus.PENDING,
        "no connection: connection refused",
    )


@pytest.mark.parametrize(
    ("behave", "reply"),
    [
        (answer("200 OK", "né".encode("latin-1")), "n\ufffd"),
        (answer("200 OK", b"a" * 5000), "a" * MAX_KEPT),
        (answer("200 OK", BOMB, "Content-Encoding: gzip"), BOMB[:MAX_KEPT].decode("utf-8", "replace")),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut"), "cut"),
        (
            again_and_again(b"", first=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhangs", pause=0.05),
            "hangs",
        ),
        (again_and_again(b"e" * 1000, first=b"HTTP/1.1 200 OK\r\n\r\n"), "e" * MAX_KEPT),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\nnonsense"), "yes"),
    ],
    ids=["not UTF-8", "long", "a bomb", "cut", "hangs", "endless", "bad chunk"],
)
def test_a_2xx_counts_whatever_its_body_does(behave: Behaviour, reply: str) -> None:
    """F56, F57, A071: an endless body, a bomb; what is kept of it is text of 4 KiB."""
    delivery = deliver(Receiver(behave))
    assert (delivery.status, delivery.attempt.status) == (CallbackStatus.DELIVERED, 200)
    assert (delivery.attempt.reply, delivery.attempt.error) == (reply, None)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:9/", "https://10.0.0.1/", "http://example.com/", "not a url", "http://xn--/"]
)
def test_what_the_guard_refuses_is_blocked_and_never_sent(url: str) -> None:
    async def scenario() -> Delivery:
        async with GuardedTransport(POLICY) as client:
            return await attempt(client, due(url))

    delivery = asyncio.run(scenario())
    assert (delivery.status, delivery.retry_after) == (CallbackStatus.BLOCKED, None)
    assert delivery.reason == delivery.attempt.error is not None
    assert delivery.attempt.status is None


def test_a_name_that_stands_for_a_forbidden_address_is_blocked() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "169.254.169.254"]

    async def scenario() -> Delivery:
        async with GuardedTransport(POLICY, resolve=resolve) as client:
            return await attempt(client, due("https://receiver.example/inbox"))

    delivery = asyncio.run(scenario())
    assert delivery.status is CallbackStatus.BLOCKED
    assert delivery.reason == "the address is not a public one"


def test_nothing_is_sent_unsigned() -> None:
    receiver = Receiver(answer("200 OK"))
    delivery = deliver(receiver, secrets=CallbackSecrets())
    assert delivery.status is CallbackStatus.PENDING
    assert delivery.attempt.error == "there is no secret to sign with, so nothing was sent"
    assert receiver.connections == 0


def test_the_own_secrets_of_an_api_key_sign_what_came_with_it_and_no_other_does() -> None:
    receiver = Receiver(answer("204 No Content"))
    secrets = CallbackSecrets(["whsec_aG91c2U="], keys={"crm": [NEW, OLD]})
    options = CallbackOptions(secret_of="crm")
    delivery = deliver(receiver, secrets=secrets, options=options, clock=SystemClock())
    assert delivery.status is CallbackStatus.DELIVERED
    ((headers, body),) = receiver.received
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (NEW, OLD):
        Webhook(secret).verify(body, headers)


def test_what_no_secret_of_its_api_key_signs_is_not_sent() -> None:
    receiver = Receiver(answer("204 No Content"))
    secrets = CallbackSecrets([NEW], keys={"billing": [OLD]})
    delivery = deliver(receiver, secrets=secrets, options=CallbackOptions(secret_of="crm"))
    assert (delivery.status, delivery.sent) == (CallbackStatus.PENDING, False)
    assert delivery.attempt.error == "there is no secret of the API key crm to sign with, so nothing was sent"
    assert receiver.connections == 0


def test_a_job_that_can_not_be_told_stops_nobody() -> None:
    async def scenario() -> Delivery:
        async with GuardedTransport(POLICY) as client:
            poisoned = ended_job(result=float("nan"))
            return await attempt(client, due("http://127.0.0.1:9/", job=poisoned))

    delivery = asyncio.run(scenario())
    assert delivery.status is CallbackStatus.PENDING
    assert delivery.attempt.error == "it could not be sent (ValueError)"


def test_a_cancellation_passes_through() -> None:
    async def scenario() -> None:
        async with Receiver(hang).running() as receiver, GuardedTransport(POLICY) as client:
            sending = asyncio.create_task(sender(client).send(due(receiver.url)))
            while not receiver.received:
                await asyncio.sleep(0.001)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    asyncio.run(scenario())


def test_the_body_is_the_contracts_json() -> None:
    receiver = Receiver(answer("200 OK"))
    deliver(receiver, status_url=lambda _job_id: None)
    content = json.loads(receiver.received[0][1])
    assert (content["type"], content["data"]["result"], content["data"]["status_url"]) == (
        "job.finished",
        {"n": 1},
        None,
    )
