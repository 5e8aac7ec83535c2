"""The system's resolver, asked in threads of our own."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from infra.egress.resolving import AT_ONCE, SystemResolver

ANSWER = [
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 443)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 443)),
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 0)),
]


class System:
    """Stands for `socket.getaddrinfo`: answers once `released`, and counts the questions."""

    def __init__(self, error: Exception | None = None) -> None:
        self.questions: list[str] = []
        self.released = threading.Event()
        self._error = error

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.questions.append(host)
        self.released.wait(10)
        if self._error is not None:
            raise self._error
        return ANSWER


def test_a_name_is_asked_for_once_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System()
    monkeypatch.setattr(socket, "getaddrinfo", system)

    async def test() -> None:
        resolver = SystemResolver()
        waiting = [asyncio.create_task(resolver("a.example", 443)) for _ in range(20)]
        await asyncio.sleep(0)
        system.released.set()
        assert await asyncio.gather(*waiting) == [["127.0.0.9", "::1"]] * 20
        await resolver("a.example", 443)

    asyncio.run(test())
    assert system.questions == ["a.example"] * 2


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_a_name_without_an_address_is_an_os_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    system = System(error)
    system.released.set()
    monkeypatch.setattr(socket, "getaddrinfo", system)

    async def test() -> None:
        with pytest.raises(OSError, match=r"unknown|label"):
            await SystemResolver()("a.example", 443)

    asyncio.run(test())


def test_names_that_hang_hold_up_no_other_and_are_not_without_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F67: whoever waits goes away; the question stays, and is not asked a second time."""
    system = System()
    monkeypatch.setattr(socket, "getaddrinfo", system)

    async def test() -> None:
        resolver = SystemResolver()
        for number in range(AT_ONCE):
            waiting = asyncio.create_task(resolver(f"{number}.example", 443))
            await asyncio.sleep(0)
            waiting.cancel()
        with pytest.raises(OSError, match="too many"):
            await resolver("one.more.example", 443)
        again = asyncio.create_task(resolver("0.example", 443))
        await asyncio.sleep(0)
        system.released.set()
        assert await again == ["127.0.0.9", "::1"]

    asyncio.run(test())
    assert len(system.questions) == AT_ONCE
