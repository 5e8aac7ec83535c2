"""The connection below the application: what it does with clients that are slow, silent or endless."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from ingest.connection import PUSH, Connection
from ingest.intake import read_body
from ingest.replies import text_reply

REQUEST = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
PATIENCE = 0.3
STEPS = "steps"
IN_STEPS = ["http.response.start", "http.response.body"]
REPLIES = {"/reply": {}, "/last": {"Connection": "close"}, "/split": {"X-Name": "a\r\nX-Other: b"}}


class Hasty(Connection):
    seconds = PATIENCE


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body; at once, or after twice the time that headers have. Or with what is pushed past it."""
    if scope["path"] == "/pushed":
        await pushing(scope, send)
        return
    if scope["path"] == "/early":
        await text_reply("no")(scope, receive, send)
        return
    if scope["path"] == "/taken":
        taken = await read_body(scope, partial(heard, scope["state"][STEPS], receive), limit=1_000_000)
        await text_reply(taken.decode())(scope, receive, send)
        return
    if scope["path"] in REPLIES:
        told = await Request(scope, receive).body()
        reply = text_reply(told.decode(), headers=REPLIES[scope["path"]])
        await reply(scope, receive, partial(noted, scope["state"][STEPS], send))
        return
    if scope["path"] == "/late":
        await asyncio.sleep(2 * PATIENCE)
    body = b"" if scope["path"] == "/unread" else await Request(scope, receive).body()
    await PlainTextResponse(body.decode())(scope, receive, send)


async def noted(steps: list[str], send: Send, message: Message) -> None:
    steps.append(message["type"])
    await send(message)


async def heard(steps: list[str], receive: Receive) -> Message:
    message = await receive()
    steps.append(message["type"])
    return message


async def pushing(scope: Scope, send: Send) -> None:
    """An answer in three parts, of which its task sends the first and the last."""
    push = scope["state"][PUSH]
    assert not push(b"before it has begun")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first ", "more_body": True})
    assert push(b"pushed ")
    await send({"type": "http.response.body", "body": b"last", "more_body": False})
    assert not push(b"behind its end")


@asynccontextmanager
async def connected(steps: list[str]) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    config, state = Config(application, log_config=None, ws="none", lifespan="off"), ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Hasty(config=config, server_state=state, app_state={STEPS: steps}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            while state.connections:
                await asyncio.sleep(0.001)


def talk(client: Callable[[StreamReader, StreamWriter], Awaitable[None]]) -> list[str]:
    """The steps in which uvicorn was told the replies; none of those that went out in one go."""
    steps: list[str] = []

    async def run() -> None:
        async with asyncio.timeout(10), connected(steps) as (reader, writer):
            await client(reader, writer)

    asyncio.run(run())
    return steps


async def answer(reader: StreamReader) -> tuple[int, Any]:
    """The status, and the body as JSON or text."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    (length,) = (line[16:] for line in head.splitlines() if line.startswith("content-length: "))
    body = await reader.readexactly(int(length))
    return int(head.split()[1]), json.loads(body) if "application/problem+json" in head else body.decode()


async def assert_refused(reader: StreamReader, status: int, code: str) -> None:
    """That answer, and the end of the connection."""
    got, told = await answer(reader)
    assert (got, told["status"], told["code"]) == (status, status, code)
    assert await rest(reader) == b""


async def rest(reader: StreamReader) -> bytes:
    """What comes until the end; it is a hard one where we were still sending."""
    with suppress(ConnectionResetError):
        return await reader.read()
    return b""


async def drip(writer: StreamWriter, byte: bytes) -> None:
    while True:
        await asyncio.sleep(PATIENCE / 10)
        writer.write(byte)


@asynccontextmanager
async def dripping(writer: StreamWriter, byte: bytes) -> AsyncIterator[None]:
    task = asyncio.create_task(drip(writer, byte))
    try:
        yield
    finally:
        task.cancel()


def test_replies_go_out_whole_and_in_their_order() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        for said in (b"1", b"2"):
            writer.write(REQUEST % (b"reply", 1) + said)
            assert await answer(reader) == (200, said.decode())
        writer.write(b"".join([REQUEST % (b"reply", 1) + said for said in (b"3", b"4", b"5")]))
        assert [await answer(reader) for _ in range(3)] == [(200, "3"), (200, "4"), (200, "5")]

    assert talk(client) == 2 * IN_STEPS, "of those alone behind which another request waited"


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST % (b"last", 2),
        (REQUEST % (b"reply", 2)).replace(b"1.1", b"1.0"),
        (REQUEST % (b"reply", 2)).replace(b"Host", b"Connection: close\r\nHost"),
    ],
    ids=["the reply says so", "HTTP/1.0", "the request says so"],
)
def test_the_last_reply_ends_the_connection(request_: bytes) -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(request_ + b"hi")
        assert await answer(reader) == (200, "hi")
        assert await reader.read() == b""

    assert talk(client) == IN_STEPS


@pytest.mark.parametrize("length", [0, 2, 200_000])
def test_a_body_that_came_whole_is_taken_without_a_wait(length: int) -> None:
    async def check(reader: StreamReader, writer: StreamWriter) -> None:
        body = b"x" * length
        for _ in range(2):
            writer.write(REQUEST % (b"taken", length) + body)
            assert await answer(reader) == (200, body.decode())

    steps = talk(check)
    assert not steps or length > 64 * 1024, "asked uvicorn for it"


def test_each_request_takes_its_own_body_however_they_come() -> None:
    async def check(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"".join([REQUEST % (b"taken", 1) + b"%d" % number for number in range(4)]))
        writer.write(REQUEST % (b"taken", 3) + b"4")
        assert [await answer(reader) for _ in range(4)] == [(200, str(number)) for number in range(4)]
        writer.write(b"56" + REQUEST % (b"taken", 1) + b"7")
        assert [await answer(reader) for _ in range(2)] == [(200, "456"), (200, "7")]

    talk(check)


def test_a_reply_to_head_has_no_body() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write((REQUEST % (b"reply", 2)).replace(b"POST", b"HEAD") + b"hi" + REQUEST % (b"last", 0))
        told = await reader.read()
        assert told.count(b"HTTP/1.1 200 OK") == 2
        assert b"hi" not in told

    assert talk(client) == 2 * IN_STEPS


def test_no_header_splits_a_reply(caplog: pytest.LogCaptureFixture) -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(REQUEST % (b"split", 0))
        assert b"x-other" not in (await reader.read()).lower()

    talk(client)
    assert "Invalid HTTP header value" in caplog.text


def test_who_says_nothing_is_left_without_an_answer() -> None:
    async def client(reader: StreamReader, _: StreamWriter) -> None:
        assert await reader.read() == b""

    talk(client)


@pytest.mark.parametrize("before", [b"", REQUEST % (b"echo", 2) + b"hi"])
def test_headers_that_come_drop_by_drop_are_cut_off(before: bytes) -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(before)
        if before:
            assert await answer(reader) == (200, "hi")
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        async with dripping(writer, b"x"):
            await assert_refused(reader, 408, "headers_timeout")

    talk(client)


@pytest.mark.parametrize(
    ("path", "drop"), [(b"echo", b"\r\n"), (b"unread", b"x")], ids=["blank lines", "a body that nobody reads"]
)
def test_what_is_no_request_does_not_keep_a_connection_open(path: bytes, drop: bytes) -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(REQUEST % (path, 0 if path == b"echo" else 100_000))
        assert await answer(reader) == (200, "")
        async with dripping(writer, drop):
            await rest(reader)

    talk(client)


@pytest.mark.parametrize("path", [b"early", b"unread"], ids=["in one go", "in uvicorn's steps"])
def test_who_is_answered_early_may_send_the_rest_and_hears_nothing_else(path: bytes) -> None:
    """A connection that is closed on a client that still sends takes the answer with it."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(REQUEST % (path, 2_000_000) + b"x" * 100_000)
        assert await answer(reader) == (200, "no" if path == b"early" else "")
        assert await reader.read() == b""
        writer.write(b"x" * 1_900_000 + REQUEST % (b"reply", 0))
        await writer.drain()

    talk(client)


@pytest.mark.parametrize("more", [b"X-Many: 1\r\n", b"x"], ids=["many", "one"])
def test_endless_headers_are_refused_before_they_have_ended(more: bytes) -> None:
    """A051."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nX-Endless: " + more * (40_000 // len(more)))
        await assert_refused(reader, 431, "headers_too_large")

    talk(client)


def test_what_is_no_http_is_refused_as_a_problem() -> None:
    """A053."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        await assert_refused(reader, 400, "http_malformed")

    talk(client)


def test_one_that_waits_between_two_requests_is_kept() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(3):
            writer.write(REQUEST % (b"echo", 2) + b"hi")
            assert await answer(reader) == (200, "hi")
            await asyncio.sleep(1.5 * PATIENCE)

    talk(client)


def test_a_large_body_and_a_long_answer_have_all_the_time_that_the_application_gives() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(REQUEST % (b"late", 200_000))
        for _ in range(20):
            writer.write(b"x" * 10_000)
            await asyncio.sleep(PATIENCE / 10)
        assert await answer(reader) == (200, "x" * 200_000)

    talk(client)


def test_the_next_request_may_come_before_the_answer_to_the_first() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(REQUEST % (b"late", 2) + b"hi" + REQUEST[:20])
        assert await answer(reader) == (200, "hi")
        writer.write(REQUEST[20:] % 3 + b"you")
        assert (await answer(reader))[0] == 200

    talk(client)


UPGRADES = {
    "Java's client": b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\nUpgrade: h2c\r\n",
    "a WebSocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
    "several": b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nUpgrade: TLS/1.0\r\nX-Empty:\r\n",
}
FRAMED = {
    "a length": b"Content-Length: 5\r\n\r\nhello",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("size", [1, 7, 100, 10_000], ids=lambda size: f"{size} bytes at a time")
@pytest.mark.parametrize("body", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
def test_who_asks_for_another_protocol_keeps_the_body_and_the_connection(
    upgrade: bytes, body: bytes, size: int
) -> None:
    """A053."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        asking = b"POST /echo?a=%20b HTTP/1.1\r\nHost: a\r\n" + upgrade + body
        sent = 2 * asking + REQUEST % (b"echo", 2) + b"hi"
        for start in range(0, len(sent), size):
            writer.write(sent[start : start + size])
            await asyncio.sleep(0)
        assert [await answer(reader) for _ in range(3)] == [(200, "hello"), (200, "hello"), (200, "hi")]
        writer.write(asking)
        assert await answer(reader) == (200, "hello")

    talk(client)


@pytest.mark.parametrize(
    "start",
    [b"POST /echo HTTP/1.0\r\n", b"POST /echo HTTP/1.1\r\nConnection: close\r\n"],
    ids=["HTTP/1.0", "close"],
)
def test_who_asks_for_another_protocol_and_for_the_end_gets_the_answer_and_the_end(start: bytes) -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(start + UPGRADES["Java's client"] + FRAMED["a length"])
        assert await answer(reader) == (200, "hello")
        assert await rest(reader) == b""

    talk(client)


def test_the_body_of_who_asks_for_another_protocol_is_no_request() -> None:
    """A053: a proxy before us that reads the body as one would have been passed by."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        smuggled = REQUEST % (b"smuggled", 0)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: a\r\n" + UPGRADES["Java's client"])
        writer.write(b"Content-Length: %d\r\n\r\n" % len(smuggled))
        await writer.drain()
        writer.write(smuggled + REQUEST % (b"echo", 2) + b"hi")
        assert await answer(reader) == (200, smuggled.decode())
        assert await answer(reader) == (200, "hi")

    talk(client)


@pytest.mark.parametrize("target", [b"evil.test:443", b"/echo"])
def test_nothing_is_tunnelled(target: bytes) -> None:
    """A053: what would go through the tunnel is not read as a request."""

    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"CONNECT %s HTTP/1.1\r\nHost: a\r\n\r\n" % target + REQUEST % (b"echo", 2) + b"hi")
        await assert_refused(reader, 400, "http_malformed")

    talk(client)


def test_two_thousand_wishes_at_once_are_passed_over_one_by_one() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        wish = b"GET /unread HTTP/1.1\r\n" + UPGRADES["Java's client"] + b"\r\n"
        writer.write(2_000 * wish)
        for _ in range(2_000):
            assert await answer(reader) == (200, "")

    talk(client)


def test_what_is_pushed_has_its_place_in_the_answer_and_nowhere_else() -> None:
    async def client(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"GET /pushed HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"chunked" in await reader.readuntil(b"\r\n\r\n")
        whole = b"6\r\nfirst \r\n7\r\npushed \r\n4\r\nlast\r\n0\r\n\r\n"
        assert await reader.readexactly(len(whole)) == whole
        writer.write(REQUEST % (b"again", 2) + b"ok")
        assert await answer(reader) == (200, "ok")

    talk(client)
