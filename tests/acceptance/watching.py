"""Clients that watch: Server-Sent Events as the standard reads them, and WebSockets."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.builders import API_KEY, System


class Event(NamedTuple):
    """One event; `data` is its JSON."""

    id: str
    event: str
    data: dict[str, Any]

    @property
    def told(self) -> Any:
        """What it tells, in short: a status, a current number, a message, or a callback's status."""
        told = self.data.get(self.event)
        if isinstance(told, dict):
            return told.get("current", told.get("message", told.get("status")))
        return told


def events(lines: Iterable[str]) -> Iterator[Event]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, without `retry`."""
    last_id, event, data = "", "message", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield Event(last_id, event, json.loads("\n".join(data)))
            event, data = "message", []
        elif field == "id":
            last_id = value
        elif field == "event":
            event = value
        elif field == "data":
            data.append(value)


@contextmanager
def stream(
    house: System,
    path: str,
    *,
    last_id: str | None = None,
    key: str | None = API_KEY,
    port: str | None = None,
    **query: str,
) -> Iterator[httpx.Response]:
    """The answer, of which nothing was read yet.

    Args:
        port: of another web process of the same house.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    url = f"http://127.0.0.1:{port or house.environ['PORT']}{path}"
    with house.http.stream("GET", url, headers=headers, params=query, timeout=20) as answer:
        yield answer


@contextmanager
def watching(house: System, path: str, **how: Any) -> Iterator[Iterator[Event]]:
    """The events, as they come; cut when the block ends."""
    with stream(house, path, **how) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield events(answer.iter_lines())


@contextmanager
def socket(
    house: System, path: str, *, key: str | None = API_KEY, port: str | None = None, **options: Any
) -> Iterator[ClientConnection]:
    """A WebSocket."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = f"ws://127.0.0.1:{port or house.environ['PORT']}{path}"
    with connect(url, additional_headers=headers, proxy=None, open_timeout=20, **options) as connection:
        yield connection


def messages(connection: ClientConnection) -> Iterator[Event]:
    """What it is told, until it is closed; each message has to come within 20 s."""
    while True:
        told = json.loads(connection.recv(timeout=20))
        yield Event(told["id"], told["event"], told["data"])
