"""Takes callbacks and answers 204, marking each: ``python -m benchmarks.receiver PORT``. As little as a receiver can do."""

import asyncio
import os
import sys
from typing import Any

import uvloop

from benchmarks.marks import Marks

_ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"


class _Receiver(asyncio.Protocol):
    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._received = b""
            self._marks.put(0)
            self._transport.write(_ANSWER)


async def _main(port: int) -> None:
    marks = Marks(os.environ["BENCH_MARKS"])
    server = await asyncio.get_running_loop().create_server(lambda: _Receiver(marks), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
