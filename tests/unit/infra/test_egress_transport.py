"""The guarded transport against receivers and resolvers of the test's own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network

import httpx
import pytest

from infra.egress import (
    AddressRefused,
    Blocked,
    EgressPolicy,
    GuardedTransport,
    Unreachable,
    URLRefused,
    guarded_client,
)
from infra.egress.connection import Connection
from infra.egress.dialling import MAX_ANSWERS, dial_by_socket
from infra.egress.errors import ConnectionFailed, DeadlinePassed, NameUnresolved, ReplyTooLarge, TLSFailed
from tests.unit.infra.egress_servers import (
    LISTED,
    Resolver,
    Server,
    certified,
    hostile_urls,
    named,
    serving,
    trusting,
)


def test_a_listed_address_is_reached_and_no_cookie_is_kept() -> None:
    async def scenario() -> None:
        async with (
            Server().running() as server,
            guarded_client(EgressPolicy(allow=LISTED), tls=trusting()) as client,
        ):
            for _ in range(2):
                reply = await client.get(f"http://127.0.0.1:{server.port}/")
                assert (reply.status_code, reply.text) == (200, "ok")
            assert (len(server.heads), server.connections) == (2, 1)
            assert all(b"cookie" not in head.lower() for head in server.heads)
            assert b"Accept-Encoding: identity" in server.heads[0]

    asyncio.run(scenario())


def test_tls_is_made_with_the_name_of_the_url() -> None:
    async def scenario() -> None:
        async with Server().running(certified()) as server:
            resolver = Resolver(["127.0.0.1"])
            async with guarded_client(named(server.port), resolve=resolver, tls=trusting()) as client:
                reply = await client.get(f"https://receiver.example:{server.port}/x?token=1")
            assert reply.status_code == 200
            assert server.server_names == ["receiver.example"]
            assert f"Host: receiver.example:{server.port}".encode() in server.heads[0]
            assert resolver.questions == [("receiver.example", server.port)]

    asyncio.run(scenario())


def test_the_requests_own_extensions_change_neither_name_nor_target() -> None:
    async def scenario() -> None:
        async with Server().running(certified()) as server:
            async with guarded_client(
                named(server.port), resolve=Resolver(["127.0.0.1"]), tls=trusting()
            ) as client:
                await client.get(
                    f"https://receiver.example:{server.port}/right",
                    extensions={"sni_hostname": "other.example", "target": b"/wrong"},
                )
            assert server.server_names == ["receiver.example"]
            assert server.heads[0].startswith(b"GET /right ")

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["other.example", "receiver.example.evil.example"])
def test_a_certificate_of_another_name_does_not_hold(host: str) -> None:
    """F68: it may be mended, so it is tried again."""

    async def scenario() -> None:
        async with Server().running(certified()) as server:
            async with guarded_client(
                named(server.port), resolve=Resolver(["127.0.0.1"]), tls=trusting()
            ) as client:
                with pytest.raises(TLSFailed, match="certificate"):
                    await client.get(f"https://{host}:{server.port}/")
            assert server.heads == []

    asyncio.run(scenario())


def test_a_receiver_that_speaks_no_tls_is_unreachable() -> None:
    """F68."""

    async def scenario() -> None:
        async with (
            Server().running() as server,
            guarded_client(named(server.port), resolve=Resolver(["127.0.0.1"]), tls=trusting()) as client,
        ):
            with pytest.raises(Unreachable):
                await client.get(f"https://receiver.example:{server.port}/", timeout=0.5)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.2"],
        ["127.0.0.1", "127.0.0.2"],
        ["127.0.0.1", "::1"],
        ["127.0.0.1", "10.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],
    ],
)
def test_a_name_is_refused_whole_if_any_address_is_refused(answers: list[str]) -> None:
    async def scenario() -> None:
        async with Server().running(certified()) as server:
            async with guarded_client(
                named(server.port), resolve=Resolver(answers), tls=trusting()
            ) as client:
                with pytest.raises(AddressRefused) as caught:
                    await client.get(f"https://receiver.example:{server.port}/")
            assert not any(answer in caught.value.reason for answer in answers)
            assert server.heads == []
            assert server.server_names == []

    asyncio.run(scenario())


def test_a_name_that_turns_against_us_is_refused_at_its_next_call() -> None:
    async def scenario() -> None:
        async with Server().running(certified()) as server:
            resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
            async with guarded_client(named(server.port), resolve=resolver, tls=trusting()) as client:
                assert (await client.get(f"https://receiver.example:{server.port}/")).status_code == 200
                assert len(resolver.questions) == 1
                with pytest.raises(AddressRefused):
                    await client.get(f"https://receiver.example:{server.port}/")
            assert len(server.heads) == 1

    asyncio.run(scenario())


def test_localhost_over_http_reaches_listed_addresses_only() -> None:
    async def scenario() -> None:
        async with Server().running() as server:
            for answers, expected in (
                (["127.0.0.1"], None),
                (["127.0.0.1", "93.184.215.14"], AddressRefused),
            ):
                policy = EgressPolicy(allow=LISTED)
                async with guarded_client(policy, resolve=Resolver(answers), tls=trusting()) as client:
                    if expected is None:
                        reply = await client.get(f"http://localhost:{server.port}/")
                        assert reply.status_code == 200
                    else:
                        with pytest.raises(expected):
                            await client.get(f"http://localhost:{server.port}/")
            assert len(server.heads) == 1

    asyncio.run(scenario())


def test_a_name_with_many_addresses_costs_a_bounded_effort() -> None:
    """U175."""

    async def scenario() -> None:
        async with Server().running(certified()) as server:
            answers = ["127.0.0.1"] * MAX_ANSWERS + ["10.0.0.1"] * 500
            async with guarded_client(
                named(server.port), resolve=Resolver(answers), tls=trusting()
            ) as client:
                assert (await client.get(f"https://receiver.example:{server.port}/")).status_code == 200

    asyncio.run(scenario())


async def never(host: str, port: int) -> Sequence[str]:
    await asyncio.Event().wait()
    return []


@pytest.mark.parametrize(
    "resolve",
    [Resolver(OSError("no such name")), Resolver([]), Resolver(["nonsense"]), never],
    ids=["no such name", "no address", "not an address", "never"],
)
def test_a_name_without_an_address_may_have_one_later(
    resolve: Callable[[str, int], Awaitable[Sequence[str]]],
) -> None:
    """F67."""

    async def scenario() -> None:
        async with guarded_client(EgressPolicy(allow=LISTED), resolve=resolve, tls=trusting()) as client:
            with pytest.raises(NameUnresolved, match="name"):
                await client.get("https://receiver.example/", timeout=0.2)

    asyncio.run(scenario())


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def scenario() -> None:
        async with Server().running(certified()) as server:
            policy = EgressPolicy(allow=(ip_network("127.0.0.0/8"),), ports=frozenset({server.port}))
            resolver = Resolver(["127.0.0.3", "127.0.0.1"])  # nobody listens on the first
            async with guarded_client(policy, resolve=resolver, tls=trusting()) as client:
                assert (await client.get(f"https://receiver.example:{server.port}/")).status_code == 200

    asyncio.run(scenario())


def test_a_closed_port_is_named_in_plain_words() -> None:
    async def scenario() -> None:
        async with Server().running() as server:
            port = server.port
        async with guarded_client(EgressPolicy(allow=LISTED), tls=trusting()) as client:
            with pytest.raises(ConnectionFailed, match="no connection: connection refused"):
                await client.get(f"http://127.0.0.1:{port}/?token=hunter2")

    asyncio.run(scenario())


class Diverted:
    """A network that leads every connection to loopback, and notes where it should have gone."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def __call__(
        self, protocol: Callable[[], Connection], address: str, port: int
    ) -> tuple[asyncio.BaseTransport, Connection]:
        self.dialled.append(address)
        return await dial_by_socket(protocol, "127.0.0.1", port)


def test_a_socket_that_reached_another_address_is_closed_unused() -> None:
    async def scenario() -> None:
        async with Server().running() as server:
            policy = EgressPolicy(allow=(ip_network("127.0.0.9/32"),))
            transport = GuardedTransport(policy, tls=trusting(), dial=Diverted())
            async with httpx.AsyncClient(transport=transport) as client:
                with pytest.raises(AddressRefused, match="another address"):
                    await client.get(f"http://127.0.0.9:{server.port}/")
            assert server.heads == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["::1"], ["93.184.215.14", "10.0.0.1"], ["169.254.169.254"], ["fd00::1"]],
    ids=str,
)
def test_no_hostile_url_is_ever_dialled(answers: list[str]) -> None:
    """A054 to A067: whatever a name stands for, the only address dialled is the sink's own."""

    async def scenario() -> None:
        policy = EgressPolicy(allow=(ip_network("127.0.0.9/32"),))
        network = Diverted()
        transport = GuardedTransport(policy, resolve=Resolver(answers), tls=trusting(), dial=network)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            for url in hostile_urls("127.0.0.9:9"):
                with pytest.raises((Blocked, Unreachable, httpx.InvalidURL, ValueError, httpx.HTTPError)):
                    await client.get(url)
        assert set(network.dialled) == {"127.0.0.9"}

    asyncio.run(scenario())


def test_a_resolver_that_lies_every_other_time_leads_nobody_to_a_canary() -> None:
    """A067, U172: public when it is asked first, ours when it is asked again. Nothing asks again for a connection."""

    async def scenario() -> None:
        async with Server().running(certified()) as server, Server().running() as canary:
            resolver = Resolver(*([["127.0.0.9"], ["127.0.0.1"]] * 20))
            policy = EgressPolicy(
                allow=(ip_network("127.0.0.9/32"),), ports=frozenset({server.port, canary.port})
            )
            transport = GuardedTransport(policy, resolve=resolver, tls=trusting())
            async with httpx.AsyncClient(transport=transport) as client:
                for number in range(40):
                    port = canary.port if number % 4 > 1 else server.port
                    expected = Unreachable if number % 2 == 0 else AddressRefused
                    with pytest.raises(expected):  # nobody listens on 127.0.0.9
                        await client.get(f"https://receiver.example:{port}/")
            assert len(resolver.questions) == 40
            assert (server.connections, canary.connections) == (0, 0)

    asyncio.run(scenario())


def test_a_refused_url_asks_nobody() -> None:
    async def scenario() -> None:
        resolver = Resolver(["127.0.0.1"])
        async with guarded_client(EgressPolicy(allow=LISTED), resolve=resolver, tls=trusting()) as client:
            with pytest.raises(URLRefused):
                await client.get("http://receiver.example/")
        assert resolver.questions == []

    asyncio.run(scenario())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A068."""

    async def scenario() -> None:
        async with Server().running() as server, Server().running() as proxy:
            for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
            async with guarded_client(EgressPolicy(allow=LISTED), tls=trusting()) as client:
                assert (await client.get(f"http://127.0.0.1:{server.port}/")).status_code == 200
            assert proxy.heads == []

    asyncio.run(scenario())


def test_a_compressed_answer_stays_compressed() -> None:
    bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"

    async def scenario() -> None:
        async with (
            Server(bomb).running() as server,
            guarded_client(EgressPolicy(allow=LISTED), tls=trusting()) as client,
            client.stream("GET", f"http://127.0.0.1:{server.port}/") as reply,
        ):
            assert b"".join([part async for part in reply.aiter_raw()]) == b"bomb"

    asyncio.run(scenario())


def test_an_answer_beyond_the_budget_is_cut() -> None:
    body = b"a" * 5000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + body

    async def scenario() -> None:
        for most, fits in ((len(answer), True), (len(answer) - 1, False)):
            transport = GuardedTransport(
                EgressPolicy(allow=LISTED), resolve=Resolver([]), tls=trusting(), max_received=most
            )
            async with Server(answer).running() as server, httpx.AsyncClient(transport=transport) as client:
                if fits:
                    assert (await client.get(f"http://127.0.0.1:{server.port}/")).content == body
                else:
                    with pytest.raises(ReplyTooLarge):
                        await client.get(f"http://127.0.0.1:{server.port}/")

    asyncio.run(scenario())


def test_the_deadline_is_of_the_whole_exchange() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 O")
        while True:
            writer.write(b"K")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with (
            serving(drip) as port,
            guarded_client(EgressPolicy(allow=LISTED), tls=trusting()) as client,
        ):
            begun = asyncio.get_running_loop().time()
            with pytest.raises(DeadlinePassed):
                await client.get(f"http://127.0.0.1:{port}/", timeout=0.3)
            assert asyncio.get_running_loop().time() - begun < 1

    asyncio.run(scenario())
