"""``GET /openapi.json``: what can be called, for programs; ``GET /docs``: the same, for people. For anyone."""

from functools import cached_property
from hashlib import sha256
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.signatures import Headers
from infra.strict_json import written
from ingest.api.endpoint import Endpoint
from ingest.openapi import document
from ingest.openapi.page import page_values
from ingest.pages.renderer import Pages

_KEPT: Final = "public, max-age=300"


class ReadDescription(Endpoint):
    """The OpenAPI document, written at the first call."""

    methods = ("GET", "HEAD")

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        tag = f'"{sha256(self._content).hexdigest()[:16]}"'
        headers = {"Cache-Control": _KEPT, "ETag": tag, "X-Content-Type-Options": "nosniff"}
        if tag in (Headers(scope["headers"]).get("if-none-match") or ""):
            return Response(status_code=304, headers=headers)
        return Response(self._content, headers=headers, media_type="application/json")

    @cached_property
    def _content(self) -> bytes:
        return written(document())


class ReadDocs(Endpoint):
    """The page, without a script; rendered at the first call."""

    methods = ("GET", "HEAD")

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def answer(self, _: Scope, __: Receive, /) -> Response:
        return self._page

    @cached_property
    def _page(self) -> Response:
        return self._pages.page("api.html", page_values(document()), headers={"Cache-Control": _KEPT})
