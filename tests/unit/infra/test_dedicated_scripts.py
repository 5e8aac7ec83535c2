"""Scripts over a connection of their own, which breaks, stays silent, or answers too late."""

import asyncio
from collections.abc import Awaitable, Callable

import hiredis
import pytest

from infra.ledger.scripts import DedicatedScripts, LedgerError, Scripts
from infra.redis_client import connect, memory

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    """Takes commands as Redis does; a test answers the scripts, which are numbered over all connections."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = self.open = 0
        self.scripts: list[list[bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        commands = hiredis.Reader()
        while data := await reader.read(65536):
            commands.feed(data)
            while (command := commands.gets()) is not False:
                if command[0].startswith(b"EVAL"):
                    self.scripts.append(command)
                    await self._answer(writer, len(self.scripts))
                else:
                    writer.write(b"+PONG\r\n" if command[0] == b"PING" else b"+OK\r\n")
        writer.close()
        self.open -= 1


def run(
    answer: Answer, check: Callable[[DedicatedScripts, Server], Awaitable[None]], *, patience: float = 5
) -> None:
    """Run a test with scripts that go to such a server."""

    async def running() -> None:
        server = Server(answer)
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with connect(f"redis://127.0.0.1:{port}") as client:
                scripts = DedicatedScripts(client, patience=patience)
                try:
                    await check(scripts, server)
                finally:
                    await scripts.aclose()
                async with asyncio.timeout(5):
                    while server.open:
                        await asyncio.sleep(0)

    asyncio.run(running())


async def number(writer: asyncio.StreamWriter, script: int) -> None:
    writer.write(b":%d\r\n" % script)


def test_calls_share_one_connection() -> None:
    async def check(scripts: DedicatedScripts, server: Server) -> None:
        assert [await scripts.run("accept", 1) for _ in range(3)] == [1, 2, 3]
        assert await scripts.run_all([("accept", [1]), ("claim", [2])]) == [4, 5]
        assert server.connections == 1

    run(number, check)


def test_a_script_that_the_server_does_not_know_is_sent_whole() -> None:
    async def forgetful(writer: asyncio.StreamWriter, script: int) -> None:
        writer.write(b"-NOSCRIPT No matching script.\r\n" if script == 1 else b":7\r\n")

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        assert await scripts.run("accept", "a") == 7
        assert [command[0] for command in server.scripts] == [b"EVALSHA", b"EVAL"]
        assert b"-- accept:" in server.scripts[1][1]

    run(forgetful, check)


def test_an_error_of_the_server_is_one_of_the_ledger_and_leaves_the_connection() -> None:
    async def full(writer: asyncio.StreamWriter, script: int) -> None:
        writer.write(b"-OOM command not allowed\r\n" if script == 1 else b":2\r\n")

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        with pytest.raises(LedgerError, match="command not allowed"):
            await scripts.run("accept")
        assert await scripts.run("accept") == 2
        assert server.connections == 1

    run(full, check)


def test_a_server_that_has_become_a_replica_is_left() -> None:
    async def demoted(writer: asyncio.StreamWriter, script: int) -> None:
        writer.write(
            b"-READONLY You can't write against a read only replica.\r\n" if script == 1 else b":2\r\n"
        )

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        with pytest.raises(LedgerError, match="read only"):
            await scripts.run("accept")
        assert await scripts.run("accept") == 2
        assert server.connections == 2

    run(demoted, check)


def test_a_reply_may_come_in_pieces_and_several_at_once() -> None:
    async def in_pieces(writer: asyncio.StreamWriter, script: int) -> None:
        if script == 1:
            return
        for piece in (b":1\r", b"\n$3\r\nab", b"c\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        assert await scripts.run_all([("accept", [1]), ("claim", [2])]) == [1, b"abc"]

    run(in_pieces, check)


def test_a_connection_that_breaks_is_opened_again() -> None:
    async def breaking(writer: asyncio.StreamWriter, script: int) -> None:
        writer.close() if script == 1 else await number(writer, script)

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        with pytest.raises(LedgerError):
            await scripts.run("accept")
        assert await scripts.run("accept") == 2
        assert server.connections == 2

    run(breaking, check)


def test_a_connection_that_was_closed_while_it_was_idle_is_opened_again_unasked() -> None:
    closed = asyncio.Event()

    async def tired(writer: asyncio.StreamWriter, script: int) -> None:
        await number(writer, script)
        if script == 1:
            writer.close()
            closed.set()

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        assert await scripts.run("accept") == 1
        await closed.wait()
        while not scripts._line.lost:
            await asyncio.sleep(0)
        assert await scripts.run("accept") == 2
        assert server.connections == 2

    run(tired, check)


def test_a_reply_that_comes_too_late_is_not_taken_for_the_next_ones() -> None:
    async def silent_at_first(writer: asyncio.StreamWriter, script: int) -> None:
        if script > 1:
            await number(writer, script)

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        with pytest.raises(LedgerError, match="did not answer in time"):
            await scripts.run("accept")
        assert await scripts.run("accept") == 2
        assert server.connections == 2

    run(silent_at_first, check, patience=0.2)


def test_a_call_that_is_cancelled_takes_its_connection_along() -> None:
    asked = asyncio.Event()

    async def silent_at_first(writer: asyncio.StreamWriter, script: int) -> None:
        asked.set()
        if script > 1:
            await number(writer, script)

    async def check(scripts: DedicatedScripts, server: Server) -> None:
        call = asyncio.create_task(scripts.run("accept"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await scripts.run("accept") == 2
        assert server.connections == 2

    run(silent_at_first, check)


def test_a_lone_surrogate_goes_out_as_its_escape() -> None:
    async def check(scripts: DedicatedScripts, server: Server) -> None:
        await scripts.run("accept", "a\ud800", 7)
        assert server.scripts[0][3:] == [b"a\\ud800", b"7"]

    run(number, check)


def test_a_redis_in_memory_takes_them_too() -> None:
    async def running() -> None:
        async with memory().asynchronous as client:
            scripts = Scripts(client).dedicated()
            assert await scripts.run("accept", 1000) == []
            await scripts.aclose()

    asyncio.run(running())
