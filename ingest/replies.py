"""JSON as it leaves the web process: kept by no cache, guessed at by no browser, told to no other site."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def json_reply(
    content: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """A response; its text is ASCII, whatever the content."""
    return Response(
        json.dumps(content).encode(), status, {**_HEADERS, **(headers or {})}, media_type=media_type
    )
