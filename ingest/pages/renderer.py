"""Templates to responses: everything escaped, nothing inline, nothing from another host."""

import gzip
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
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.pages import links, times, wording
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
_BY_HTTPS: Final = {"Strict-Transport-Security": "max-age=31536000"}
_STATIC: Final = files("ingest.pages") / "static"
_MARK: Final = "mark.svg"


class Assets(Endpoint):
    """``GET /assets/{digest}/{name}``: what pages load. The address changes with the content, so it is kept for good.

    The digest is of all of them, so that each finds the others beside itself.
    """

    methods = ("GET", "HEAD")

    def __init__(self) -> None:
        self._content = {one.name: one.read_bytes() for one in _STATIC.iterdir() if one.is_file()}
        self._packed = {name: gzip.compress(data, mtime=0) for name, data in self._content.items()}
        all_of_them = b"".join(name.encode() + data for name, data in sorted(self._content.items()))
        self._digest = hashlib.sha256(all_of_them).hexdigest()[:16]

    def url(self, name: str) -> str:
        """Where a file of ours is.

        Raises:
            KeyError: there is none.
        """
        if name not in self._content:
            raise KeyError(name)
        return f"/assets/{self._digest}/{name}"

    def file(self, name: str, scope: Scope, *, keep: str) -> Response:
        """One of them, packed for whoever unpacks, to be kept by caches as it says there."""
        headers = {"Cache-Control": keep, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
        content = self._content[name]
        if "gzip" in (Headers(scope["headers"]).get("accept-encoding") or ""):
            content = self._packed[name]
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=mimetypes.guess_type(name, strict=True)[0], headers=headers)

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        name = scope["path_params"]["name"]
        if scope["path_params"]["digest"] != self._digest or name not in self._content:
            raise Problem(NOT_FOUND)
        return self.file(name, scope, keep="public, max-age=31536000, immutable")


class Favicon(Endpoint):
    """``GET /favicon.ico``: our mark, for browsers that look for it without being told where it is."""

    methods = ("GET", "HEAD")

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        return self._assets.file(_MARK, scope, keep="public, max-age=86400")


class Pages:
    """Renders templates.

    Args:
        public_url: where browsers come to; by https, they are told to come so always.
    """

    def __init__(self, assets: Assets, *, public_url: str | None = None) -> None:
        self._headers = _HEADERS | (_BY_HTTPS if (public_url or "").startswith("https://") else {})
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
            "brief": wording.brief,
            "exact": times.exact,
            "grouped": wording.grouped,
            "left": times.left,
            "parsed": times.parsed,
            "rfc3339": rfc3339,
            "running": times.running,
            "with_code": wording.with_code,
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
        return Response(content, status, {**self._headers, **(headers or {})}, "text/html")


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
