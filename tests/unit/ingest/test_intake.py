"""Taking a request in, as the server hands it over: piece by piece, or not at all."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest

from ingest.intake import BODY, ClientGone, read_body, while_connected
from ingest.problems import Problem

Message = dict[str, Any]


class Sender:
    """What a server's ``receive`` gives: these messages, then silence. It counts what it was asked for."""

    def __init__(self, *messages: Message, pause: float = 0) -> None:
        self._messages = list(messages)
        self._pause = pause
        self.given = 0

    async def __call__(self) -> Message:
        await asyncio.sleep(self._pause)
        if not self._messages:
            await asyncio.Event().wait()
        self.given += 1
        return self._messages.pop(0)


def chunks(*parts: bytes, more: bool = False) -> list[Message]:
    last = len(parts) - 1
    return [
        {"type": "http.request", "body": part, "more_body": more or n < last} for n, part in enumerate(parts)
    ]


GONE: Message = {"type": "http.disconnect"}


def read(sender: Sender, headers: Iterable[tuple[bytes, bytes]] = (), *, seconds: float = 10) -> bytes:
    return asyncio.run(read_body({"headers": list(headers)}, sender, limit=10, seconds=seconds))


def code(
    sender: Sender, headers: Iterable[tuple[bytes, bytes]] = (), *, seconds: float = 10
) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        read(sender, headers, seconds=seconds)
    return caught.value.kind.status, caught.value.kind.code


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        (chunks(b""), b""),
        (chunks(b"0123456789"), b"0123456789"),
        (chunks(b"01", b"", b"234", b""), b"01234"),
        ([{"type": "http.request"}], b""),
    ],
)
def test_a_body_is_put_together_from_its_parts(messages: list[Message], body: bytes) -> None:
    assert read(Sender(*messages)) == body


@pytest.mark.parametrize("announced", [b"11", b"1000000", b"9" * 40, b"9" * 5000])
def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(announced: bytes) -> None:
    """A027."""
    sender = Sender(*chunks(b"x"))
    assert code(sender, [(b"content-length", announced)]) == (413, "body_too_large")
    assert sender.given == 0


@pytest.mark.parametrize("announced", [b"10", b"0", b"", b"-1", b"+2", b"0x2", "²".encode(), b"nonsense"])
def test_a_length_that_says_nothing_is_left_to_the_body(announced: bytes) -> None:
    assert read(Sender(*chunks(b"0123456789")), [(b"content-length", announced)]) == b"0123456789"
    assert code(Sender(*chunks(b"0123456789x")), [(b"content-length", announced)]) == (413, "body_too_large")


def test_a_body_that_grows_beyond_the_limit_is_not_read_to_its_end() -> None:
    """A028."""
    sender = Sender(*chunks(*[b"xxxx"] * 1000))
    assert code(sender) == (413, "body_too_large")
    assert sender.given == 3


@pytest.mark.parametrize("before", [[], chunks(b"12", more=True)])
def test_a_client_that_goes_away_in_its_body_is_noticed(before: list[Message]) -> None:
    """A041."""
    with pytest.raises(ClientGone):
        read(Sender(*before, GONE))


@pytest.mark.parametrize(
    "sender",
    [Sender(), Sender(*chunks(b"1", more=True)), Sender(*chunks(*[b""] * 100_000), pause=0.001)],
    ids=["silent", "silent in the middle", "dripping"],
)
def test_a_body_has_one_deadline_in_all(sender: Sender) -> None:
    """A040."""
    assert code(sender, seconds=0.05) == (408, "body_timeout")


def test_who_is_cancelled_while_reading_is_cancelled_and_not_late() -> None:
    async def check() -> None:
        reading = asyncio.create_task(read_body({"headers": []}, Sender(), limit=10, seconds=10))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(check())


def test_a_task_whose_body_was_late_can_go_on() -> None:
    async def check() -> int:
        with pytest.raises(Problem):
            await read_body({"headers": []}, Sender(), limit=10, seconds=0.01)
        await asyncio.sleep(0.02)
        return cast("asyncio.Task[Any]", asyncio.current_task()).cancelling()

    assert asyncio.run(check()) == 0


def test_compression_is_refused_before_anything_is_read() -> None:
    sender = Sender(*chunks(b"x"))
    assert code(sender, [(b"content-encoding", b"gzip")]) == (415, "encoding_unsupported")
    assert sender.given == 0


def test_a_body_that_has_come_whole_is_not_waited_for() -> None:
    async def check() -> None:
        sender = Sender(*chunks(b"01", b"2"))
        come: list[bytes | None] = [None, b"0123456789", b"0123456789x"]
        scope = {"headers": [], "state": {BODY: lambda: come.pop(0)}}
        assert await read_body(scope, sender, limit=10) == b"012"
        assert await read_body(scope, sender, limit=10) == b"0123456789"
        with pytest.raises(Problem) as caught:
            await read_body(scope, sender, limit=10)
        assert caught.value.kind.status == 413
        assert sender.given == 2

    asyncio.run(check())


# -- somebody at the other end -----------------------------------------------------------------------------------------


def test_who_stays_gets_the_answer() -> None:
    async def check() -> None:
        assert await while_connected(Sender(), asyncio.sleep(0, "answer")) == "answer"
        assert (
            await while_connected(Sender(*chunks(b"more", b"of it")), asyncio.sleep(0.01, "answer"))
            == "answer"
        )

    asyncio.run(check())


def test_what_goes_wrong_meanwhile_is_told() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(while_connected(Sender(), fail()))


def test_who_goes_away_ends_the_work_for_them() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def check() -> None:
        with pytest.raises(ClientGone):
            await while_connected(Sender(*chunks(b""), GONE), work())
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())
    assert ended == [True]


def test_a_cancelled_wait_leaves_nothing_running() -> None:
    async def check() -> None:
        waiting = asyncio.create_task(while_connected(Sender(), asyncio.sleep(60)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())
