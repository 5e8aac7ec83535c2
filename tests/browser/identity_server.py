"""The stand-in identity provider as a server of its own, where browsers are sent and come back from."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from tests.unit.ingest.identity_provider import Standin


@contextmanager
def identity_server() -> Iterator[Standin]:
    """A provider whose word is `Standin`'s; whoever comes to it is signed in at once."""
    standin = Standin(datetime.now(UTC))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                self.send_response(303)
                self.send_header("Location", standin.visit(standin.issuer + self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._say("GET", b"")

        def do_POST(self) -> None:
            self._say("POST", self.rfile.read(int(self.headers["Content-Length"])))

        def _say(self, method: str, content: bytes) -> None:
            standin.now = datetime.now(UTC)
            status, said = standin.said(httpx.Request(method, standin.issuer + self.path, content=content))
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    standin.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
