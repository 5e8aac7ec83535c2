"""As little as can stand between a POST and its callback: ``python -m benchmarks.bare web PORT`` and ``… worker CALLBACK_PORT``.

The one pushes what comes to a list and answers, the other pops it and POSTs it. Nothing is checked, kept, signed or tried
again: what remains is what two processes, a server and the machine take.
"""

import asyncio
import os
import sys

import uvloop

from infra.redis_client import connect
from infra.redis_line import Line

_LIST = "bare"
_PATIENCE = 60.0
_ID = b"x-github-delivery:"


async def body_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head of a request or an answer, in lower case, and its body.

    Raises:
        asyncio.IncompleteReadError: the connection has ended.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    return head, await reader.readexactly(length)


async def _web(port: int) -> None:
    line = Line(connect(os.environ["REDIS_URL"]))

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head, _ = await body_of(reader)
                job_id = head.partition(_ID)[2].split(b"\r\n")[0].strip()
                await line.ask([("RPUSH", _LIST, job_id)], within=_PATIENCE)
                answer = b'{"job_id": "%s"}' % job_id
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", port)
    await server.serve_forever()


async def _worker(port: int) -> None:
    line = Line(connect(os.environ["REDIS_URL"], blocking=True))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        ((_, job_id),) = await line.ask([("BLPOP", _LIST, 0)], within=_PATIENCE)
        body = b'{"data": {"job_id": "%s"}}' % job_id
        writer.write(b"POST / HTTP/1.1\r\nHost: bare\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await reader.readuntil(b"\r\n\r\n")


if __name__ == "__main__":
    role, number = sys.argv[1:]
    uvloop.run(_web(int(number)) if role == "web" else _worker(int(number)))
