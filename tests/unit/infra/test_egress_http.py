"""HTTP/1.1 as the guarded transport speaks it: whole answers only, kept connections, bounds."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infra.egress import AddressRefused, EgressPolicy, GuardedTransport, Unreachable, URLRefused
from infra.egress import dialling as dialling_module
from infra.egress.errors import ConnectionBroken, ReplyTooLarge, TLSFailed
from tests.unit.infra.egress_servers import (
    LISTED,
    OK,
    Behaviour,
    Resolver,
    Server,
    certified,
    named,
    serving,
    trusting,
)

POLICY = EgressPolicy(allow=LISTED)


def in_loop(test: Callable[[], Awaitable[object]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


def client_of(transport: GuardedTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=5)


def answered(answer: bytes, *, method: str = "GET", **more: int) -> tuple[int, bytes, int]:
    """Status and body of an answer, and how many connections two requests took."""

    async def scenario() -> tuple[int, bytes, int]:
        async with (
            Server(answer, **more).running() as server,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            for _ in range(2):
                reply = await client.request(method, f"http://127.0.0.1:{server.port}/")
            return reply.status_code, reply.content, server.connections

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX-Trailer: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
    ids=["length", "chunked", "no content", "interim"],
)  # fmt: skip
def test_a_connection_is_used_again_after_a_whole_answer(answer: bytes, body: bytes) -> None:
    status, content, connections = answered(answer)
    assert (content, connections) == (body, 1)
    assert status in (200, 204)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok?",
    ],
    ids=["close", "HTTP/1.0", "a second answer", "a byte too many"],
)
def test_a_connection_that_is_not_in_order_is_never_used_again(answer: bytes) -> None:
    assert answered(answer) == (200, b"ok", 2)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\n\r\nok", answers=1) == (200, b"ok", 2)


def test_the_answer_to_a_head_has_no_body() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD") == (200, b"", 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/2 200\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"\r\n" * 10_000,
    ],
    ids=["upgrade", "two lengths", "negative length", "HTTP/2", "TLS", "nothing"],
)
def test_what_is_not_plain_http_is_no_answer(answer: bytes) -> None:
    with pytest.raises(Unreachable):
        answered(answer, answers=1)


async def shut(server: Server, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """A first request on a connection that the server closes at the next one, without a byte."""
    await client.get(f"http://127.0.0.1:{server.port}/")
    return await client.send(request)


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("HEAD", {}), ("POST", {"webhook-id": "cb_1"}), ("PUT", {"Idempotency-Key": "k"})],
)
def test_a_kept_connection_that_was_closed_costs_a_repeatable_request_nothing(
    method: str, headers: dict[str, str]
) -> None:
    async def test() -> None:
        async with (
            Server(answers=1).running() as server,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            request = client.build_request(method, f"http://127.0.0.1:{server.port}/", headers=headers)
            assert (await shut(server, client, request)).status_code == 200
            assert server.connections == 2

    in_loop(test)


def closing(answers: int) -> Behaviour:
    """Answers so many requests of a connection, reads one more, and closes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(answers + 1):
            await reader.readuntil(b"\r\n\r\n")
            if number < answers:
                writer.write(OK)

    return behave


@pytest.mark.parametrize(("answers", "method"), [(1, "POST"), (0, "GET")])
def test_what_may_have_been_taken_is_not_sent_twice(answers: int, method: str) -> None:
    """A POST without an id; and anything on a new connection, which was not closed for being old."""

    async def test() -> None:
        async with (
            serving(closing(answers)) as port,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            url = f"http://127.0.0.1:{port}/"
            for _ in range(answers):
                await client.get(url)
            with pytest.raises(ConnectionBroken):
                await client.request(method, url)

    in_loop(test)


def test_a_free_connection_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling_module, "IDLE_SECONDS", 0.01)

    async def test() -> None:
        async with Server().running() as server:
            transport = GuardedTransport(POLICY, tls=trusting())
            async with client_of(transport) as client:
                await client.get(f"http://127.0.0.1:{server.port}/")
                while transport._lines._free:
                    await asyncio.sleep(0.005)
                await client.get(f"http://127.0.0.1:{server.port}/")
            assert server.connections == 2
            assert transport._lines._free == {}

    in_loop(test)


def test_a_free_connection_leads_nobody_to_where_the_name_no_longer_points() -> None:
    """A067: the name is asked for each request, and what is free counts only if it leads to what it says now."""

    async def test() -> None:
        async with Server().running(certified()) as server:
            resolver = Resolver(["127.0.0.1"], ["127.0.0.3"])
            transport = GuardedTransport(named(server.port), resolve=resolver, tls=trusting())
            async with client_of(transport) as client:
                assert (await client.get(f"https://receiver.example:{server.port}/")).status_code == 200
                with pytest.raises(AddressRefused):
                    await client.get(f"https://receiver.example:{server.port}/")
            assert server.connections == 1

    in_loop(test)


def test_a_tls_connection_is_used_again_for_its_own_name_alone() -> None:
    async def test() -> None:
        async with Server().running(certified()) as server:
            transport = GuardedTransport(named(server.port), resolve=Resolver(["127.0.0.1"]), tls=trusting())
            async with client_of(transport) as client:
                for _ in range(3):
                    await client.get(f"https://receiver.example:{server.port}/")
                with pytest.raises(TLSFailed):
                    await client.get(f"https://other.example:{server.port}/")
            assert (server.connections, len(server.heads)) == (1, 3)

    in_loop(test)


def test_bytes_count_below_tls() -> None:
    """A bomb that grows when it is decrypted does not exist, but what TLS itself sends counts too."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60_000

    async def test() -> None:
        async with Server(answer).running(certified()) as server:
            transport = GuardedTransport(
                named(server.port), resolve=Resolver(["127.0.0.1"]), tls=trusting(), max_received=len(answer)
            )
            async with client_of(transport) as client:
                with pytest.raises(ReplyTooLarge):
                    await client.get(f"https://receiver.example:{server.port}/")

    in_loop(test)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"\x16\x03\x03\x40\x00" + b"\0" * 200_000, "no TLS|too many"), (b"", "no TLS|HTTP"), (OK, "no TLS")],
    ids=["endless handshake", "nothing", "HTTP"],
)
def test_a_handshake_that_is_none_fails(answer: bytes, error: str) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    async def test() -> None:
        async with serving(behave) as port:
            transport = GuardedTransport(named(port), resolve=Resolver(["127.0.0.1"]), tls=trusting())
            async with client_of(transport) as client:
                with pytest.raises(Unreachable, match=error):
                    await client.get(f"https://receiver.example:{port}/")

    in_loop(test)


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_handshake_that_hangs_ends_with_the_deadline() -> None:
    async def test() -> None:
        async with serving(silent) as port:
            transport = GuardedTransport(named(port), resolve=Resolver(["127.0.0.1"]), tls=trusting())
            async with client_of(transport) as client:
                with pytest.raises(TLSFailed, match="timed out"):
                    await client.get(f"https://receiver.example:{port}/", timeout=0.2)

    in_loop(test)


def test_only_tls_1_2_and_later_is_spoken() -> None:
    context = GuardedTransport(POLICY)._lines._tls
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Note": "a\r\nX-Injected: 1"},
        {"X-Note": "a\nX-Injected: 1"},
        {"X-Note": "a\0b"},
        {"X-Note\r\nX-Injected": "1"},
        {"X Note": "1"},
    ],
)
def test_a_header_that_would_become_two_is_never_sent(headers: dict[str, str]) -> None:
    async def test() -> None:
        async with (
            Server().running() as server,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            with pytest.raises(URLRefused, match="header"):
                await client.get(f"http://127.0.0.1:{server.port}/", headers=headers)
            assert server.connections == 0

    in_loop(test)


def test_host_and_length_are_ours_to_say() -> None:
    async def parts() -> object:
        yield b"a body "
        yield b"in parts"

    async def test() -> None:
        async with (
            Server().running() as server,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            await client.post(
                f"http://127.0.0.1:{server.port}/?a=%2F&b",
                headers={"Host": "metadata.google.internal", "Transfer-Encoding": "chunked"},
                content=parts(),
            )
            [head] = server.heads
            assert head.startswith(b"POST /?a=%2F&b HTTP/1.1\r\n")
            assert head.lower().count(b"host:") == 1
            assert b"Host: 127.0.0.1:%d\r\n" % server.port in head
            assert b"Content-Length: 15\r\n" in head
            assert b"transfer-encoding" not in head.lower()

    in_loop(test)


def test_whoever_stops_waiting_closes_the_connection() -> None:
    async def test() -> None:
        closed = asyncio.Event()

        async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            with suppress(OSError):
                await reader.read()
            closed.set()

        async with (
            serving(behave) as port,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.get(f"http://127.0.0.1:{port}/")
            await closed.wait()

    in_loop(test)


def test_a_body_that_is_not_read_to_its_end_closes_the_connection() -> None:
    async def test() -> None:
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
        async with (
            Server(half).running() as server,
            client_of(GuardedTransport(POLICY, tls=trusting())) as client,
        ):
            for _ in range(2):
                async with client.stream("GET", f"http://127.0.0.1:{server.port}/") as reply:
                    assert await anext(reply.aiter_raw()) == b"half"
            assert server.connections == 2

    in_loop(test)


def test_a_slow_reader_holds_the_sender_back() -> None:
    """However large the budget, only a bounded part of an answer waits in memory."""
    size = 8 * 1024 * 1024
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size

    async def test() -> None:
        transport = GuardedTransport(POLICY, tls=trusting(), max_received=2 * size)
        async with (
            Server(answer).running() as server,
            client_of(transport) as client,
            client.stream("GET", f"http://127.0.0.1:{server.port}/") as reply,
        ):
            await asyncio.sleep(0.1)
            held = reply.stream._stream.answer._held  # type: ignore[attr-defined]
            assert 0 < held < 1024 * 1024
            assert sum([len(part) async for part in reply.aiter_raw()]) == size

    in_loop(test)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=64),
            st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]),
        ),
        max_size=8,
    )
)  # fmt: skip
@example([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n"])
@example([b"HTTP/1.1 200 OK\r\nX: \r\n\r\n"])
def test_whatever_comes_is_an_answer_or_a_failure_in_our_words(parts: list[bytes]) -> None:
    async def test() -> None:
        transport = GuardedTransport(POLICY, tls=trusting())
        async with Server(b"".join(parts), answers=1).running() as server, client_of(transport) as client:
            try:
                reply = await client.get(f"http://127.0.0.1:{server.port}/")
            except (Unreachable, httpx.DecodingError):
                return
            assert 200 <= reply.status_code <= 999

    in_loop(test)
