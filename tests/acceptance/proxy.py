"""A TCP proxy before a Redis, to lose replies."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """Passes bytes on between its own port on loopback and a Unix socket.

    While `lose_replies_to` is set, a request that holds those bytes reaches the server, its reply reaches nobody, and that
    connection is closed.
    """

    def __init__(self, target: str) -> None:
        self.lose_replies_to: bytes | None = None
        self.lost = 0
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            threading.Thread(target=self._pass_replies, args=(server, client), daemon=True).start()
            with suppress(OSError):
                while request := client.recv(1 << 20):
                    losing = self.lose_replies_to is not None and self.lose_replies_to in request
                    if losing:
                        client.shutdown(socket.SHUT_WR)  # whatever the server answers comes too late
                        self.lost += 1
                    server.sendall(request)
                    if losing:
                        return

    @staticmethod
    def _pass_replies(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while reply := server.recv(1 << 20):
                client.sendall(reply)
            client.shutdown(socket.SHUT_RDWR)
