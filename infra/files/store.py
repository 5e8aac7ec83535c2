"""The store itself: a directory, or a bucket, by obstore; the same code for both. Imported by who opens one: obstore takes its time."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from infra.files.errors import FileMissing, FileTooLarge, StoreUnavailable
from infra.files.places import Kept

_CHUNK: Final = 1 << 20
_PART: Final = 8 << 20
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there: its size in bytes, and its content, to be read once."""

    size: int
    chunks: AsyncIterator[bytes]


class FileStore:
    """The files of one installation.

    Args:
        url: a directory, made where it is missing, or ``s3://bucket/prefix``, with credentials, region and endpoint where the
            AWS tools look for them.

    Raises:
        StoreUnavailable: it means nothing, or the directory can't be made.
    """

    def __init__(self, url: str) -> None:
        remote = "://" in url and not url.startswith("file://")
        self._directory = None if remote else Path(url.removeprefix("file://")).absolute()
        try:
            self._store: Any = (
                from_url(url)
                if self._directory is None
                else LocalStore(self._directory, automatic_cleanup=True, mkdir=True)
            )
        except (BaseError, OSError, ValueError) as error:
            raise StoreUnavailable(f"files can't be kept there: {_words(error)}") from None

    async def write(self, place: str, content: Path | AsyncIterator[bytes], *, limit: int) -> Kept:
        """Keep a file, whole or not at all; one that stood there is replaced.

        Args:
            limit: in bytes.

        Raises:
            FileTooLarge: it is longer.
            StoreUnavailable: it could not be written.
        """
        passing = _Passing(_read(content) if isinstance(content, Path) else content, limit)
        try:
            await obstore.put_async(self._store, place, passing.chunks(), chunk_size=_PART)
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the file could not be kept: {_words(error)}") from error
        return Kept(passing.size, passing.digest.hexdigest())

    async def sync(self, place: str) -> None:
        """Return once a file that was written would outlive a loss of power; a bucket's do as soon as they are written.

        Raises:
            FileMissing: it is gone.
            StoreUnavailable: the disk does not keep it.
        """
        if self._directory is None:
            return
        try:
            await asyncio.to_thread(_fsync, self._directory, place)
        except FileNotFoundError:
            raise FileMissing("there is no such file, or no longer") from None
        except OSError as error:
            raise StoreUnavailable(f"the file could not be kept: {_words(error)}") from error

    async def open(self, place: str) -> Found:
        """A file's size and content.

        Raises:
            FileMissing: there is none.
            StoreUnavailable: the store does not answer.
        """
        try:
            found = await obstore.get_async(self._store, place)
        except FileNotFoundError:
            raise FileMissing("there is no such file, or no longer") from None
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the file can't be read: {_words(error)}") from error
        return Found(found.meta["size"], _sent(found))

    async def copy(self, place: str, into: Path, *, limit: int) -> Kept:
        """Write a file's content to a path of this machine.

        Raises:
            FileMissing: there is none.
            FileTooLarge: it is longer than that many bytes.
            StoreUnavailable: the store does not answer.
        """
        found = await self.open(place)
        if found.size > limit:
            raise _too_large(limit)
        passing = _Passing(found.chunks, limit)
        with into.open("wb") as target:
            async for chunk in passing.chunks():
                target.write(chunk)
        return Kept(passing.size, passing.digest.hexdigest())

    async def read(self, place: str) -> bytes:
        """A file's whole content.

        Raises:
            FileMissing: there is none.
            StoreUnavailable: the store does not answer.
        """
        return b"".join([chunk async for chunk in (await self.open(place)).chunks])

    async def folders(self, within: str) -> list[str]:
        """The places of the folders in one, in order.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        try:
            found = await obstore.list_with_delimiter_async(self._store, prefix=within)
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the files can't be listed: {_words(error)}") from error
        return sorted(found["common_prefixes"])

    async def places(self, within: str) -> list[str]:
        """The places of the files in a folder, however deep, in order.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        try:
            return sorted(
                [found["path"] async for batch in obstore.list(self._store, prefix=within) for found in batch]
            )
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the files can't be listed: {_words(error)}") from error

    async def remove(self, place: str) -> None:
        """Remove a file, if it is there.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        try:
            await obstore.delete_async(self._store, place)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the file can't be removed: {_words(error)}") from error

    async def remove_all(self, within: str) -> int:
        """Remove the files in a folder, however deep. Returns how many went.

        Raises:
            StoreUnavailable: the store does not answer; the next call goes on.
        """
        removed = 0
        try:
            async for batch in obstore.list(self._store, prefix=within):
                await obstore.delete_async(self._store, [found["path"] for found in batch])
                removed += len(batch)
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"old files can't be removed: {_words(error)}") from error
        return removed

    async def retire(self, before: date) -> int:
        """Remove what belongs to earlier days. Returns how many files went.

        Raises:
            StoreUnavailable: the store does not answer; the next call goes on.
        """
        days = [
            day for day in await self.folders("") if _DAY.fullmatch(day) and date.fromisoformat(day) < before
        ]
        return sum([await self.remove_all(day) for day in days])


class _Passing:
    """Chunks as they pass: counted, digested, and stopped at the limit."""

    def __init__(self, source: AsyncIterator[bytes], limit: int) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._source = source
        self._limit = limit

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._source:
            self.size += len(chunk)
            if self.size > self._limit:
                raise _too_large(self._limit)
            self.digest.update(chunk)
            yield chunk


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


async def _sent(found: Any) -> AsyncIterator[bytes]:
    try:
        async for chunk in found.stream(min_chunk_size=_CHUNK):
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        raise StoreUnavailable(f"the file can't be read: {_words(error)}") from error


def _fsync(directory: Path, place: str) -> None:
    """The file, and every folder down to it, for those may be new."""
    path = directory / place
    for one in (path, *(folder for folder in path.parents if folder.is_relative_to(directory))):
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _too_large(limit: int) -> FileTooLarge:
    return FileTooLarge(f"at most {limit} bytes are kept of one file")


def _words(error: Exception) -> str:
    """What happened, without obstore's debugging tail."""
    return str(error).partition("\n")[0][:300]
