"""Redis as networks have it: TLS, names that are IPv6 alone, sentinels, and what is wrong with it, in words."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.ledger import Ledger, LedgerError, Seal
from infra.redis_client import connect, connect_sync
from tests.conftest import Spawned, missing, spawning

HUSH = "hush-hush"


@dataclass(frozen=True)
class Servers:
    """One server with TLS and one with a password, both on 127.0.0.1 and ::1."""

    tls: int
    password: int
    certificate: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of its own authority, for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1
        )
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def redis_server(start: Callable[..., Spawned], directory: Path, *words: str) -> Spawned:
    if shutil.which("redis-server") is None:
        missing("no redis-server on the PATH: apt-get install redis-server")
    data = directory / f"data-{os.urandom(4).hex()}"
    data.mkdir()
    process = start("redis-server", *words, "--save", "", "--bind", "127.0.0.1", "-::1", "--dir", str(data))
    process.wait_for_output("Ready to accept connections")
    return process


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("networks")
    made, key = certificate(directory)
    found = Servers(free_port(), free_port(), made)
    with spawning(directory) as start:
        redis_server(
            start, directory, "--port", "0", "--tls-port", str(found.tls), "--tls-auth-clients", "no",
            "--tls-cert-file", str(made), "--tls-key-file", str(key),
        )  # fmt: skip
        redis_server(start, directory, "--port", str(found.password), "--requirepass", HUSH)
        yield found


def asked(url: str) -> str:
    """The moment on the server's clock, or what the ledger says instead."""

    async def ask() -> str:
        async with connect(url) as client:
            return str(await Ledger(client, seal=Seal(["a key"])).reading.now())

    try:
        return asyncio.run(ask())
    except LedgerError as error:
        return f"not: {error}"


def test_tls_is_spoken_with_a_server_whose_certificate_holds(servers: Servers) -> None:
    url = f"rediss://localhost:{servers.tls}?ssl_ca_certs={servers.certificate}"
    assert not asked(url).startswith("not: ")
    with connect_sync(url) as client:
        assert client.ping()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rediss://localhost:{tls}", "its certificate does not hold (self-signed certificate)"),
        ("rediss://localhost:{tls}?ssl_ca_certs=/not/there.pem", "there is no such file"),
        ("redis://localhost:{tls}", "a port that speaks TLS needs rediss://"),
        ("redis://localhost:{password}", "it refuses the password: Authentication required."),
        ("redis://:wrong@localhost:{password}", "it refuses the password: invalid username-password pair"),
        ("redis://:hush-hush@localhost:{password}/99", "DB index is out of range"),
        ("redis://localhost:1", "nothing listens there"),
        ("redis://no-such-host.invalid", "its name is not known here"),
        ("unix:///not/there.sock", "there is no such file"),
        ("sentinel://localhost:1/main", "no sentinel that answers knows a primary of that name"),
    ],
)
def test_what_is_wrong_is_said_in_words_without_the_password(servers: Servers, url: str, words: str) -> None:
    answer = asked(url.format(tls=servers.tls, password=servers.password))
    assert answer.startswith("not: Redis did not answer: ")
    assert words in answer
    assert "hush" not in answer
    assert "wrong" not in answer


@pytest.mark.slow
def test_tls_to_a_port_without_it_is_said_in_words(servers: Servers) -> None:
    """It takes the five seconds that a connection has, for such a server waits for more."""
    assert "a port without TLS is silent to rediss://" in asked(f"rediss://localhost:{servers.password}")


def test_a_name_with_nothing_but_an_ipv6_address_is_reached(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Railway's older private networks."""
    if not socket.has_dualstack_ipv6():
        missing("no IPv6 here")
    resolve = socket.getaddrinfo

    def private_network(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("::1" if host == "redis.railway.internal" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", private_network)
    url = f"redis://default:{HUSH}@redis.railway.internal:{servers.password}?family=0"
    assert not asked(url).startswith("not: ")
    with connect_sync(url) as client:
        assert client.ping()


def test_after_a_failover_sentinel_is_asked_again(
    tmp_path: Path, spawn: Callable[..., Spawned], wait_until: Callable[..., Any]
) -> None:
    first, second, sentinel = free_port(), free_port(), free_port()
    primary = redis_server(spawn, tmp_path, "--port", str(first))
    redis_server(spawn, tmp_path, "--port", str(second), "--replicaof", "127.0.0.1", str(first))
    told = tmp_path / "sentinel.conf"
    told.write_text(
        f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {first} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    spawn("redis-server", str(told), "--sentinel").wait_for_output("+slave slave")
    url = f"sentinel://127.0.0.1:{sentinel}/main"

    async def scenario() -> None:
        async with connect(url) as client:
            ledger = Ledger(client, seal=Seal(["a key"]))
            door = ledger.events.dedicated()
            await ledger.measures.add("one", 0, {"a": 1})
            assert await door.accept([]) == []
            await client.execute_command("WAIT", 1, 5000)

            primary.process.send_signal(signal.SIGKILL)

            async with asyncio.timeout(20):
                while True:
                    try:
                        await ledger.measures.add("one", 1, {"a": 10})
                        break
                    except LedgerError:
                        await asyncio.sleep(0.1)
            assert await ledger.measures.totals() == {"a": 11}
            await door.aclose()

    asyncio.run(scenario())
    with connect_sync(url) as client:
        assert client.info("replication")["role"] == "master"
        assert client.connection_pool.get_master_address()[1] == second
