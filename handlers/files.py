"""The files of one attempt: a folder of its own, what it was sent, and what it keeps."""

import mimetypes
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from handlers.errors import AttemptOver, CallRefused
from handlers.services import Services
from infra.files import Artifact, is_name
from infra.ledger.records import Claim

_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?charset=[\w-]+)?", re.ASCII)
_UNKNOWN: Final = "application/octet-stream"


class Files:
    """What an attempt does with files.

    The folder's name follows from the job and the attempt's token, so that the next attempt of the job finds and removes what a
    killed process left behind.

    Args:
        over: whether the attempt has ended.
    """

    def __init__(self, claim: Claim, services: Services, *, over: Callable[[], bool]) -> None:
        self._claim = claim
        self._services = services
        self._over = over
        self._folder: Path | None = None
        self._downloads = 0

    @property
    def folder(self) -> Path:
        """An empty directory that is removed when the attempt ends."""
        if self._folder is None:
            if self._over():
                raise AttemptOver
            of_job = folders() / self._claim.job_id
            shutil.rmtree(of_job, ignore_errors=True)
            self._folder = of_job / self._claim.token
            self._folder.mkdir(parents=True, mode=0o700)
        return self._folder

    async def keep(self, name: str, content: Path | bytes | str, content_type: str | None) -> dict[str, Any]:
        """Keep a file; what it is and where it can be loaded, as JSON.

        Raises:
            CallRefused: the name or the type is none, or there is nothing to keep.
        """
        if not is_name(name):
            raise CallRefused("a file's name has up to 120 letters, digits, spaces or . _ - ( ) + , @ =")
        content_type = content_type or mimetypes.guess_type(name)[0] or _UNKNOWN
        if not _TYPE.fullmatch(content_type):
            raise CallRefused("a content type looks like application/pdf")
        if isinstance(content, Path) and not content.is_file():  # noqa: ASYNC240 - a name that is known
            raise CallRefused(f"there is no file {content.name!r} to keep")
        source, made = (content, False) if isinstance(content, Path) else (self._written(content), True)
        try:
            kept: Artifact = await self._services.store(self._claim, name, content_type, source.absolute())
        finally:
            if made:
                source.unlink(missing_ok=True)
        return msgspec.to_builtins(kept)  # type: ignore[no-any-return]

    async def load(self, reference: str) -> Path:
        """A file that a payload names, in the folder."""
        self._downloads += 1
        path = self.folder / f"input-{self._downloads}"
        await self._services.load(self._claim, reference, path)
        return path

    def remove(self) -> None:
        """The attempt is over."""
        if self._folder is not None:
            remove_folder(self._claim)

    def _written(self, content: bytes | str) -> Path:
        path = self.folder / ".artifact"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def remove_folder(claim: Claim) -> None:
    """Remove an attempt's folder, if it has one; also for a process that was killed, by whoever killed it."""
    of_job = folders() / claim.job_id
    shutil.rmtree(of_job / claim.token, ignore_errors=True)
    with suppress(OSError):
        of_job.rmdir()


def folders() -> Path:
    """Where this user's attempts have their folders."""
    return Path(tempfile.gettempdir()) / "hookline-attempts"
