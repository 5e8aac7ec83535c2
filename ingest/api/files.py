"""``POST /files``: what callers send up for their jobs; ``GET /artifacts/…``: what jobs made, for the bearer of a link."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope

from infra.clock import Clock, rfc3339
from infra.files import ArtifactLinks, FileMissing, FileTooLarge, StoreUnavailable, place_of
from infra.ids import FILE, new_suffix
from infra.settings import Settings
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.api.query import query_of
from ingest.intake import ClientGone
from ingest.keys import Keys
from ingest.problems import (
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    FILES_CLOSED,
    FILES_UNAVAILABLE,
    INVALID,
    NOT_FOUND,
    Problem,
)
from ingest.replies import json_reply

if TYPE_CHECKING:
    from infra.files.store import FileStore

_SILENCE_SECONDS: Final = 30.0  # between two pieces of an upload
_INERT: Final = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
}


class UploadFile(Endpoint):
    """``POST /files``: the raw body becomes a file that a payload can name by its id, and a handler opens with `context.download`."""

    methods = ("POST",)

    def __init__(self, *, keys: Keys, store: "FileStore | None", settings: Settings, clock: Clock) -> None:
        self._keys = keys
        self._store = store
        self._limit = settings.max_file
        self._retention = settings.file_retention
        self._clock = clock

    async def answer(self, scope: Scope, receive: Receive, /) -> Response:
        headers = Headers(scope["headers"])
        self._keys.require(headers, "submit")
        store = _open(self._store)
        announced = headers.get("content-length") or ""
        if announced.isdigit() and int(announced[:19]) > self._limit:
            raise self._too_large()
        file_id = FILE + new_suffix()
        try:
            kept = await store.write(place_of(file_id), _pieces(receive), limit=self._limit)
        except FileTooLarge:
            raise self._too_large() from None
        except StoreUnavailable as error:
            raise Problem(FILES_UNAVAILABLE, "Nothing was kept: send it again.") from error
        if kept.size == 0:
            raise Problem(INVALID, "A file has at least one byte.")
        return json_reply(
            {
                "id": file_id,
                "size": kept.size,
                "sha256": kept.sha256,
                "expires_at": rfc3339(self._clock.now() + self._retention),
            },
            201,
        )

    def _too_large(self) -> Problem:
        return Problem(BODY_TOO_LARGE, f"At most {self._limit} bytes are taken.")


class LoadArtifact(Endpoint):
    """``GET /artifacts/{job}/{name}?token=…``: the file, as a download that no browser runs."""

    methods = ("GET", "HEAD")

    def __init__(self, *, store: "FileStore | None", links: ArtifactLinks) -> None:
        self._store = store
        self._links = links

    async def answer(self, scope: Scope, _: Receive, /) -> Response:
        job_id, name = scope["path_params"]["job"], scope["path_params"]["name"]
        try:
            linked = self._links.read(job_id, name, query_of(scope).get("token", ""))
            found = await _open(self._store).open(place_of(job_id, name))
        except FileMissing as error:
            raise Problem(NOT_FOUND) from error
        except StoreUnavailable as error:
            raise Problem(FILES_UNAVAILABLE) from error
        headers = _INERT | {
            "Content-Length": str(found.size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "ETag": f'"{linked.sha256}"',
        }
        if scope["method"] == "HEAD":
            return Response(headers=headers, media_type=linked.content_type)
        return StreamingResponse(found.chunks, headers=headers, media_type=linked.content_type)


def _open(store: "FileStore | None") -> "FileStore":
    if store is None:
        raise Problem(FILES_CLOSED, "Whoever runs it sets HOOKLINE_FILES to a directory or a bucket.")
    return store


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes."""
    more = True
    while more:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise Problem(BODY_TIMEOUT, f"Nothing came for {_SILENCE_SECONDS:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise ClientGone("the client went away before its file was whole")
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece
