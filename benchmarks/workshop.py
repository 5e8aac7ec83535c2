"""What a benchmark starts, and stops again: a server of its own, processes, a scratch folder. And where they run.

WorkshopError (HooklineError): something did not start, stopped early, or took too long; the text holds its last words.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.contenders import HOME, ROOT
from infra.embedded import EmbeddedServer
from infra.errors import HooklineError
from infra.redis_client import connect_sync

SECRET_KEY = "a benchmark's key, known to all"
CALLBACK_SECRET = "whsec_" + "YmVuY2htYXJr" * 3
SERVER_CORE, LOAD_CORE = 0, 1


class WorkshopError(HooklineError):
    """Something did not start, stopped early, or took too long."""


class Process:
    """A child in a group of its own, with its words in a file."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], log: Path, core: int | None = None
    ) -> None:
        self._log = log
        with log.open("wb") as words:
            self._child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if core is not None:
            pin(core, pid=self._child.pid)

    def ensure_alive(self) -> None:
        """Return if it still runs.

        Raises:
            WorkshopError: it ended.
        """
        if (code := self._child.poll()) is not None:
            raise WorkshopError(f"ended with {code}: {self.last_words()}")

    def wait(self, seconds: float) -> None:
        """Return when it has ended well.

        Raises:
            WorkshopError: it ended badly, or did not end.
        """
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise WorkshopError(f"not done after {seconds:g} s: {self.last_words()}") from None
        if code != 0:
            raise WorkshopError(f"ended with {code}: {self.last_words()}")

    def stop(self, patience: float = 4.0) -> None:
        """End it and its children: asked first, then killed."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def resident(self) -> int:
        """Bytes of memory that it holds (Linux only)."""
        pages = Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """What it has used of a core so far (Linux only)."""
        used = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def last_words(self) -> str:
        """The end of its log."""
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-4:])[-600:]


class Workshop:
    """One experiment: a server with an append-only file, and what works on it.

    Attributes:
        redis: a client of the server.
        folder: for files of this experiment.
        requests_sent: how many of the prepared requests the server has seen; sent again, they would be duplicates.
    """

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder
        self.url = server.url
        self.version = server.version
        self.redis = connect_sync(server.url)
        self.requests_sent = 0
        self._started = 0

    def environment(self, **more: str | int | Path) -> dict[str, str]:
        """The variables of a child: nothing of ours but the path, and what it must know."""
        known = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            "HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "",
            "BENCH_REDIS": self.url,
            "REDIS_URL": self.url,
            "HOOKLINE_SECRET_KEY": SECRET_KEY,
            "HOOKLINE_CALLBACK_SECRET": CALLBACK_SECRET,
            "HOOKLINE_CALLBACK_ALLOW": "127.0.0.1/32",
            "HOOKLINE_HANDLERS": "benchmarks.peers.hookline",
            "HOOKLINE_SOURCES": str(self.folder / "no-sources.toml"),
            "HOOKLINE_QUEUES": "default",
            "HOOKLINE_LOG": "warning",
        }
        return known | {name: str(value) for name, value in more.items()}

    @contextmanager
    def running(
        self, command: Sequence[str], *, env: Mapping[str, str], core: int | None = None
    ) -> Iterator[Process]:
        """A process for as long as the block lasts."""
        self._started += 1
        process = Process(command, env=env, log=self.folder / f"{self._started}.log", core=core)
        try:
            yield process
        finally:
            process.stop()

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        seconds: float = 1800,
        core: int | None = None,
    ) -> str:
        """Run a process to its end. Returns what it said."""
        with self.running(command, env=env, core=core) as process:
            process.wait(seconds)
            return (self.folder / f"{self._started}.log").read_text()

    def memory(self) -> int:
        """Bytes that the server holds, without its clients' and the append-only file's buffers."""
        info = self.redis.info("memory")
        return int(info["used_memory"] - info.get("mem_clients_normal", 0) - info.get("mem_aof_buffer", 0))

    def rewrite(self) -> None:
        """Have the append-only file rewritten, as that of a server in use has been: else the run that comes next pays for it."""

        def idle() -> bool:
            known = self.redis.info("persistence")
            return not known["aof_rewrite_in_progress"] and not known["aof_rewrite_scheduled"]

        until(idle, watched=[], patience=600)
        self.redis.bgrewriteaof()
        until(idle, watched=[], patience=600)

    def commands(self) -> int:
        """How many commands were carried out since the last look, those inside scripts too."""
        calls = sum(stats["calls"] for stats in self.redis.info("commandstats").values())
        self.redis.config_resetstat()
        return int(calls)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A fresh server on an empty folder; gone afterwards."""
    (HOME / "runs").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=HOME / "runs"))
    try:
        with EmbeddedServer.start(folder / "redis") as server:
            made = Workshop(folder, server)
            try:
                yield made
            finally:
                made.redis.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def until(done: Callable[[], bool], *, watched: Sequence[Process], patience: float) -> None:
    """Wait for something while processes work on it.

    Args:
        patience: in seconds.

    Raises:
        WorkshopError: one of them ended, or it took too long.
    """
    limit = time.monotonic() + patience
    while not done():
        for process in watched:
            process.ensure_alive()
        if time.monotonic() > limit:
            raise WorkshopError(
                f"not done after {patience:g} s: {watched[0].last_words() if watched else ''}"
            )
        time.sleep(0.02)


def until_listening(port: int, process: Process) -> None:
    """Wait for a server to take connections."""

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
        return False

    until(answers, watched=[process], patience=20)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def pin(core: int, *, pid: int = 0) -> None:
    """Keep a process on one core, where the system can; with a single core, it stays there anyway."""
    if hasattr(os, "sched_setaffinity") and core < (os.cpu_count() or 1):
        os.sched_setaffinity(pid, {core})


def unpin() -> None:
    """Let this process run on every core again."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
