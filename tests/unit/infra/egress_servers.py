"""Servers and resolvers of the tests' own, for the guarded transport."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import cast

from infra.egress import EgressPolicy

DATA = Path(__file__).parents[2] / "data"
LISTED = (ip_network("127.0.0.1/32"),)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: session=1; Path=/\r\n\r\nok"


class Server:
    """Listens on a free loopback port, keeps the heads of the requests, and answers all of them alike.

    Args:
        answers: how many it gives on one connection; after the last it closes.
    """

    def __init__(self, answer: bytes = OK, *, answers: int = 100) -> None:
        self.answer = answer
        self.answers = answers
        self.connections = 0
        self.heads: list[bytes] = []
        self.server_names: list[str | None] = []
        self.port = 0

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        async with serving(self._serve, tls) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.answers):
            head = await reader.readuntil(b"\r\n\r\n")
            if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
                await reader.readexactly(int(length[1]))
            self.heads.append(head)
            writer.write(self.answer)
            await writer.drain()


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free loopback port that does so with every connection, then closes it. Gives the port; leaves nothing open."""
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(OSError, asyncio.IncompleteReadError):
            await behave(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
    if under_way:
        await asyncio.wait(under_way, timeout=5)


class Resolver:
    """Answers from a script, the last line again and again, and counts the questions."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)
        self.questions: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.questions.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


def named(port: int) -> EgressPolicy:
    """Lets a name's https through to the server's port."""
    return EgressPolicy(allow=LISTED, ports=frozenset({port}))


def hostile_urls(sink: str) -> list[str]:
    cases = json.loads((DATA / "hostile_urls.json").read_text(encoding="utf-8"))["urls"]
    urls = [case["url"].replace("{SINK}", sink).replace("{ZONE}", "zone.example") for case in cases]
    return [form for url in urls for form in (url, url.replace("http:", "https:", 1))]


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=DATA / "receiver_example.pem")


def certified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / "receiver_example.pem")
    return context
