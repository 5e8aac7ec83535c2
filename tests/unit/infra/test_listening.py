"""The sockets of the web process. `tests/acceptance/test_networks.py` has real processes behind them."""

import socket

import pytest

from infra.cli.listening import ListenError, listen, port_of


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_socket_takes_ipv4_and_ipv6(address: str) -> None:
    with listen("", 0) as listening:
        assert not listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        with socket.create_connection((address, port_of(listening)), timeout=5):
            pass


@pytest.mark.parametrize(
    ("host", "taken", "refused"), [("127.0.0.1", "127.0.0.1", "::1"), ("::1", "::1", "127.0.0.1")]
)
def test_a_host_that_is_named_is_the_only_one(host: str, taken: str, refused: str) -> None:
    with listen(host, 0) as listening:
        socket.create_connection((taken, port_of(listening)), timeout=5).close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((refused, port_of(listening)), timeout=5)


def test_without_ipv6_there_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen("", 0) as listening:
        assert listening.family == socket.AF_INET
        socket.create_connection(("127.0.0.1", port_of(listening)), timeout=5).close()


def test_a_port_that_is_taken_is_refused_in_words() -> None:
    with (
        listen("", 0) as first,
        pytest.raises(ListenError, match=f"PORT {port_of(first)} can't be listened on"),
    ):
        listen("", port_of(first))
