"""JSON and text as they leave the web process: kept by no cache, guessed at by no browser, told to no other site."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.strict_json import written

ANSWER: Final = "answer"  # in a request's state: `ingest.connection.Connection.answer`

_ALWAYS: Final = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class _Reply(Response):
    """Starlette's, made in a third of the time: it would look through headers that we know."""

    def __init__(
        self, body: bytes, status: int, media_type: str | None, headers: Mapping[str, str] | None
    ) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [*_ALWAYS]
        if status != HTTPStatus.NO_CONTENT:
            self.raw_headers.append((b"content-length", b"%d" % len(body)))
        if media_type is not None:
            self.raw_headers.append((b"content-type", media_type.encode("latin-1")))
        if headers:
            self.raw_headers += [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
            ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = scope.get("state", {}).get(ANSWER) if scope["type"] == "http" else None
        if answer is None or not answer(self.status_code, self.raw_headers, self.body):
            await super().__call__(scope, receive, send)


def json_reply(
    content: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """A response; its text is ASCII, whatever the content."""
    return _Reply(written(content), status, media_type, headers)


def written_reply(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """The same of JSON that is written already."""
    return _Reply(body, 200, "application/json", headers)


def text_reply(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of plain text; where there is none, of no type either."""
    return _Reply(text.encode("utf-8"), status, "text/plain; charset=utf-8" if text else None, headers)


def attached_reply(content: bytes, name: str) -> Response:
    """A file to be saved: bytes that a stranger chose, and that no browser shows, runs or guesses at.

    Args:
        name: plain ASCII, without quotes.
    """
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return _Reply(content, 200, "application/octet-stream", headers)
