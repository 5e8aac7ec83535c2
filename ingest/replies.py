"""JSON and text as they leave the web process: kept by no cache, guessed at by no browser, told to no other site."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from infra.strict_json import written

_ALWAYS: Final = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class _Reply(Response):
    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        super().init_headers(headers)
        self.raw_headers += _ALWAYS


def json_reply(
    content: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """A response; its text is ASCII, whatever the content."""
    return _Reply(written(content), status, headers, media_type=media_type)


def text_reply(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of plain text; where there is none, of no type either."""
    return _Reply(text.encode("utf-8"), status, headers, media_type="text/plain" if text else None)
