"""What handlers' files become: kept for a while behind signed links, or loaded from where a payload says."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from handlers.errors import CallRefused
from infra.files import Artifact, ArtifactLinks, FileMissing, FileTooLarge, StoreUnavailable, place_of
from infra.ids import FILE, is_id

if TYPE_CHECKING:
    from infra.files.store import FileStore

_DOWNLOAD_SECONDS: Final = 600.0
_PASSING: Final = frozenset({408, 425, 429})  # of the 4xx, those that another time may go well
_CLOSED: Final = "this installation keeps no files: HOOKLINE_FILES names a directory or a bucket"


class JobFiles:
    """The files of a worker's jobs.

    Args:
        store: None where no files are kept.
        client: makes the guarded client that loads from URLs; called once, in the loop.
        limit: of one file, in bytes.
    """

    def __init__(
        self,
        store: "FileStore | None",
        links: ArtifactLinks,
        client: Callable[[], httpx.AsyncClient],
        *,
        limit: int,
    ) -> None:
        self._store = store
        self._links = links
        self._make_client = client
        self._client: httpx.AsyncClient | None = None
        self._limit = limit

    async def store(self, job_id: str, name: str, content_type: str, path: Path) -> Artifact:
        """Keep a file of a job.

        Raises:
            CallRefused: no files are kept here.
            FileTooLarge: it is larger than may be.
            StoreUnavailable: the attempt should end.
        """
        if self._store is None:
            raise CallRefused(_CLOSED)
        kept = await self._store.write(place_of(job_id, name), path, limit=self._limit)
        return self._links.artifact(job_id, name, content_type, kept)

    async def load(self, reference: str, path: Path) -> None:
        """Write what a payload names, an uploaded file's id or an https URL, to a path.

        Raises:
            CallRefused: no files are kept here.
            FileMissing: there is none, or the URL says so.
            FileTooLarge: it is larger than may be.
            Blocked: the URL may not be called.
            Unreachable, StoreUnavailable: the attempt should end.
        """
        if not reference.startswith(FILE):
            await self._download(reference, path)
        elif self._store is None:
            raise CallRefused(_CLOSED)
        elif not is_id(reference, FILE):
            raise FileMissing("no file has such an id")
        else:
            await self._store.copy(place_of(reference), path, limit=self._limit)

    async def aclose(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aclose()

    async def _download(self, url: str, path: Path) -> None:
        if self._client is None:
            self._client = self._make_client()
        async with self._client.stream(
            "GET", url, follow_redirects=True, timeout=_DOWNLOAD_SECONDS
        ) as response:
            _check(response)
            await _save(response.aiter_raw(), path, limit=self._limit)


def _check(response: httpx.Response) -> None:
    code = response.status_code
    if response.is_success:
        return
    words = f"the URL answers {code}"
    if 400 <= code < 500 and code not in _PASSING:
        raise FileMissing(words)
    raise StoreUnavailable(words)


async def _save(chunks: AsyncIterator[bytes], path: Path, *, limit: int) -> None:
    size = 0
    with path.open("wb") as target:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise FileTooLarge(f"at most {limit} bytes are loaded of one file")
            target.write(chunk)
