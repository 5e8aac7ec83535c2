"""A small ASGI server in a thread of this process: for the inbox and the stand-ins of `hookline dev`."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp
from uvicorn import Server

from infra.cli.listening import listen, port_of, server_config


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port of loopback; gives its address."""
    listening = listen("127.0.0.1", 0)
    server = Server(server_config(app))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), name="background", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port_of(listening)}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)
