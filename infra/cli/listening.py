"""The socket that the web process listens on, and uvicorn around it.

The platform's router may speak IPv6 to us and the health check IPv4: one socket takes both (V6ONLY off), made here, for
uvicorn's own ``::`` takes IPv6 alone.
"""

import signal
import socket
from types import FrameType

from uvicorn import Config, Server

from infra.errors import HooklineError
from ingest.connection import MOST_MESSAGE_BYTES, Connection, SocketConnection

_BACKLOG = 2048


class ListenError(HooklineError):
    """The address can't be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: an address; empty: all of them, IPv4 and IPv6.
        port: 0: any free one.

    Raises:
        ListenError: the address is taken, or not ours.
    """
    try:
        if host == "":
            if socket.has_dualstack_ipv6():
                return socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
                )
            return socket.create_server(("", port), backlog=_BACKLOG)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(f"PORT {port} can't be listened on: {error.strerror}") from None


def port_of(listening: socket.socket) -> int:
    """The port that it got."""
    return int(listening.getsockname()[1])


class OrderlyServer(Server):
    """uvicorn's server, that ends in order on SIGTERM and SIGINT and leaves to us what comes then.

    Its own raises the signal once more when it has ended, and the process would die there, with the exit code of a kill.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop; at the second Ctrl-C without waiting for requests under way."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def server_config(app: object, *, workers: int = 1, factory: bool = False) -> Config:
    """How uvicorn runs our applications: no log of its own, no proxy trusted, a bounded end."""
    return Config(
        app,  # type: ignore[arg-type]
        factory=factory,
        workers=workers,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        http=Connection,
        ws=SocketConnection,
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )
