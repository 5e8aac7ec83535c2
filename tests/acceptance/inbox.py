"""A receiver of callbacks that does as it is told, and remembers everything."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True, slots=True)
class Post:
    """One request: `path`, headers with names in lower case, the raw body, and when it came, in seconds."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, once the official library has said that its signature holds."""
        told: dict[str, Any] = Webhook(secret).verify(self.body, dict(self.headers))
        return told


@dataclass(frozen=True, slots=True)
class Answer:
    """What the inbox does with a request; `before` runs before the answer, such as a wait or a kill."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: Callable[[], object] = lambda: None


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # the default of 5 drops connections when many callbacks come at once

    def handle_error(self, *_: object) -> None:
        """A sender that was killed is no fault of the inbox."""


class Inbox:
    """An HTTP server on loopback. Every address under it is a receiver of its own; each takes everything until it is told otherwise."""

    def __init__(self) -> None:
        self._posts: defaultdict[str, list[Post]] = defaultdict(list)
        self._script: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def answer(self, name: str, *answers: Answer | int) -> str:
        """What the next requests to this address meet; later ones are taken. Returns the address."""
        with self._changed:
            self._script[f"/{name}"].extend(
                answer if isinstance(answer, Answer) else Answer(answer) for answer in answers
            )
        return self.url(name)

    def forget(self, name: str) -> None:
        """From here on this address takes everything."""
        with self._changed:
            self._script[f"/{name}"].clear()

    def posts(self, name: str) -> list[Post]:
        with self._changed:
            return list(self._posts[f"/{name}"])

    def wait_for(self, name: str, count: int = 1, timeout: float = 15.0) -> list[Post]:
        """The requests to this address, once there are so many."""
        with self._changed:
            found = self._posts[f"/{name}"]
            assert self._changed.wait_for(lambda: len(found) >= count, timeout), (
                f"{len(found)} of {count} callbacks came to {name} within {timeout:g} s"
            )
            return list(found)

    def once(
        self, name: str, delivered: Callable[[], bool], *, timeout: float = 30.0, quiet: float = 1.0
    ) -> Post:
        """The one request to this address: nobody sent it twice, neither until it was known to be delivered nor shortly after.

        Args:
            delivered: whether the sender has written down that it was.
            quiet: seconds in which another one would come; longer than a pause of the tests' schedule, and than a sweep.
        """
        limit = time.monotonic() + timeout
        while not delivered():
            assert time.monotonic() < limit, f"no callback to {name} was delivered within {timeout:g} s"
            time.sleep(0.05)
        with self._changed:
            found = self._posts[f"/{name}"]
            self._changed.wait_for(lambda: len(found) > 1, quiet)
            assert len(found) == 1, f"{len(found)} callbacks came to {name}"
            return found[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = inbox._take(Post(self.path, headers, body, time.monotonic()))
                answer.before()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _take(self, post: Post) -> Answer:
        with self._changed:
            self._posts[post.path].append(post)
            self._changed.notify_all()
            script = self._script[post.path]
            return script.popleft() if script else Answer()
