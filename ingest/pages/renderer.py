"""Templates to responses: everything escaped, nothing inline, nothing from another host."""

import hashlib
import mimetypes
from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import rfc3339
from infra.durations import in_words
from ingest.api.endpoint import Endpoint
from ingest.pages import links, times
from ingest.problems import NOT_FOUND, Problem

VARY: Final = {"Vary": "Accept"}  # at addresses that answer programs and people

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
_STATIC: Final = files("ingest.pages") / "static"
_MARK: Final = "mark.svg"


class Assets(Endpoint):
    """``GET /assets/{digest}/{name}``: what pages load. The address changes with the content, so it is kept for good."""

    methods = ("GET", "HEAD")

    def __init__(self) -> None:
        self._content = {one.name: one.read_bytes() for one in _STATIC.iterdir() if one.is_file()}
        self._digests = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in self._content.items()}

    def url(self, name: str) -> str:
        """Where a file of ours is.

        Raises:
            KeyError: there is none.
        """
        return f"/assets/{self._digests[name]}/{name}"

    def file(self, name: str, *, keep: str) -> Response:
        """One of them, to be kept by caches as it says there."""
        headers = {"Cache-Control": keep, "X-Content-Type-Options": "nosniff"}
        return Response(
            self._content[name], media_type=mimetypes.guess_type(name, strict=True)[0], headers=headers
        )

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        name = scope["path_params"]["name"]
        if self._digests.get(name) != scope["path_params"]["digest"]:
            raise Problem(NOT_FOUND)
        return self.file(name, keep="public, max-age=31536000, immutable")


class Favicon(Endpoint):
    """``GET /favicon.ico``: our mark, for browsers that look for it without being told where it is."""

    methods = ("GET", "HEAD")

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def answer(self, _: Scope, __: Receive, /) -> Response:
        return self._assets.file(_MARK, keep="public, max-age=86400")


class Pages:
    """Renders templates."""

    def __init__(self, assets: Assets) -> None:
        self._templates = Environment(
            loader=PackageLoader("ingest", "pages/templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"asset": assets.url, "query": links.query}
        self._templates.filters |= {
            "ago": times.ago,
            "exact": times.exact,
            "left": times.left,
            "parsed": times.parsed,
            "rfc3339": rfc3339,
            "running": times.running,
            "lasting": lambda seconds: in_words(timedelta(seconds=seconds)),
        }

    def page(
        self,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One page."""
        text = self._templates.get_template(template).render(values)
        content = text.encode("utf-8", "backslashreplace")  # a result may hold half a character
        return Response(content, status, {**_HEADERS, **(headers or {})}, "text/html")


def prefers_page(accept: str | None) -> bool:
    """Whether who asks would rather have a page than JSON: what browsers send, and no program by default.

    >>> prefers_page("text/html,application/xhtml+xml,*/*;q=0.8"), prefers_page("*/*"), prefers_page(None)
    (True, False, False)
    >>> prefers_page("application/json, text/html;q=0.5")
    False
    """
    if accept is None or "text/html" not in accept.lower():
        return False
    wanted = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        kind, _, parameters = part.partition(";")
        if kind.strip() in wanted:
            wanted[kind.strip()] = _quality(parameters)
    return wanted["text/html"] > wanted["application/json"]


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
