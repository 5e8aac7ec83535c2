"""Where files and the archive are kept, opened for whoever needs them."""

from typing import TYPE_CHECKING

from infra.clock import Clock, SystemClock
from infra.files import StoreUnavailable
from infra.settings import Settings, SettingsError

if TYPE_CHECKING:
    from infra.archive.archive import Archive
    from infra.files.store import FileStore


def file_store(settings: Settings) -> "FileStore | None":
    """Where uploads and artifacts are kept, where that was said.

    Raises:
        SettingsError: it can't be opened.
    """
    return _opened("HOOKLINE_FILES", settings.files)


def archive_of(settings: Settings, clock: Clock | None = None) -> "Archive | None":
    """What is past retention is written there, where that was said.

    Raises:
        SettingsError: it can't be opened.
    """
    store = _opened("HOOKLINE_ARCHIVE", settings.archive)
    if store is None:
        return None
    from infra.archive.archive import Archive

    return Archive(store, clock=clock or SystemClock())


def _opened(variable: str, url: str | None) -> "FileStore | None":
    if url is None:
        return None
    from infra.files.store import FileStore

    try:
        return FileStore(url)
    except StoreUnavailable as error:
        raise SettingsError(f"{variable}: {error}") from None
