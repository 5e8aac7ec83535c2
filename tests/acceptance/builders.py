"""What the acceptance tests build: a Redis that can be killed, a Hookline of real processes over it, requests as senders make them."""

import hashlib
import hmac
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import redis

from infra.embedded import EmbeddedServer
from infra.redis_client import connect_sync
from tests.conftest import BESIDE_RECORDS, Spawned, spawning

PROJECT = Path(__file__).with_name("project")  # what an operator has: handlers and a sources.toml
API_KEY = "acceptance-key"
READ_KEY = "reading-key"
APART_KEY = "apart-key"  # what it submits is told with a secret of its own
ACME_SECRET = "acme-secret"
FIREFLIES_SECRET = "fireflies-secret"
STATIC_KEY = "static-key"
CALLBACK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OWN_CALLBACK_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
PROBLEM = "application/problem+json"


class Server:
    """A Redis of one test, to be stopped, killed and started again on the same data and address."""

    def __init__(self, directory: Path, *, binary: Path | None = None) -> None:
        self.directory = directory
        self._binary = binary
        self.start()

    def start(self) -> None:
        self._running = EmbeddedServer.start(self.directory, binary=self._binary)
        self.url = self._running.url
        with self.connect() as client:
            self.pid = int(client.info("server")["process_id"])

    def connect(self) -> redis.Redis:
        return connect_sync(self.url)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL: nothing is written any more, nobody is told."""
        self.signal(signal.SIGKILL)
        self._running.stop()

    def lose_end(self, size: int) -> None:
        """The last bytes of what it has written are lost, as when its machine dies; while it does not run."""
        (log,) = (self.directory / "appendonlydir").glob("*.incr.aof")
        os.truncate(log, log.stat().st_size - size)

    def close(self) -> None:
        self.signal(signal.SIGCONT)
        self._running.stop()


@contextmanager
def serving(*, binary: Path | None = None) -> Iterator[Server]:
    """A `Server` for a while, in a directory whose name is short enough for a socket, so that a restart keeps its address."""
    with tempfile.TemporaryDirectory(prefix="hl-", dir="/tmp") as directory:
        server = Server(Path(directory), binary=binary)
        try:
            yield server
        finally:
            server.close()


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a handler, as it noted it."""

    job_id: str
    event_id: str
    type: str
    attempt: int
    pid: int


class System:
    """One Hookline: processes over one Redis, the variables that they are told, and ways to call them from outside.

    Leases are short, so that what a dead worker held is soon taken over. The port stays the same over restarts.

    Args:
        start: of `spawning`.
        directory: for what handlers note.
        settings: variables for every process, instead of those below.
    """

    def __init__(
        self, start: Callable[..., Spawned], directory: Path, redis_url: str | None, **settings: str
    ) -> None:
        port = free_port()
        self.environ = {
            "EFFECTS": str(directory / "effects"),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "HOOKLINE_HANDLERS": "scenario",
            "HOOKLINE_SECRET_KEY": "acceptance-secret",
            "HOOKLINE_API_KEYS": f"tests:{API_KEY},reader:{READ_KEY}:read,apart:{APART_KEY}:submit",
            "HOOKLINE_API_KEY_CALLBACK_SECRETS": f"apart:{OWN_CALLBACK_SECRET}",
            "HOOKLINE_CALLBACK_SECRET": CALLBACK_SECRET,
            "HOOKLINE_CALLBACK_ALLOW": "127.0.0.0/8",
            "HOOKLINE_CALLBACK_SCHEDULE": "200ms,200ms",
            "HOOKLINE_LEASE": "1s",
            "HOOKLINE_SWEEP": "200ms",
            "ACME_SECRET": ACME_SECRET,
            "FIREFLIES_SECRET": FIREFLIES_SECRET,
            "STATIC_KEY": STATIC_KEY,
            "BILLING_SECRET": CALLBACK_SECRET,
            "OWN_CALLBACK_SECRET": OWN_CALLBACK_SECRET,
            "PYTHONDONTWRITEBYTECODE": "1",
        } | settings
        if redis_url is not None:
            self.environ["REDIS_URL"] = redis_url
            self.redis = connect_sync(redis_url)
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            trust_env=False,
            timeout=70,
            limits=httpx.Limits(
                max_keepalive_connections=0
            ),  # what a killed process leaves is never used again
        )
        self.started: list[Spawned] = []
        self._start = start
        self._directory = directory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What the processes said is shown beside a test that failed."""
        self.http.close()
        if "REDIS_URL" in self.environ:
            self.redis.close()
        for one in self.started:
            print(f"--- {' '.join(map(str, one.process.args))}\n{one.output()[-8000:]}")  # type: ignore[arg-type]

    # -- processes -------------------------------------------------------------------------------------------------

    def run(self, *command: str, said: str, **settings: str) -> Spawned:
        """Start a command, and return once it has said that."""
        process = self._start(*command, env=self.environ | settings, cwd=PROJECT)
        self.started.append(process)
        process.wait_for_output(said)
        return process

    def web(self, *words: str, **settings: str) -> Spawned:
        return self.run("hookline", "web", *words, said="listening on port", **settings)

    def worker(self, *words: str, **settings: str) -> Spawned:
        return self.run("hookline", "worker", *words, said=" serves ", **settings)

    # -- requests --------------------------------------------------------------------------------------------------

    def send(
        self, payload: Any, *, source: str = "acme", delivery: str | None = None, **headers: str
    ) -> httpx.Response:
        """POST an event to a source that is signed as `acme` is."""
        body, signed = by_acme(payload, delivery=delivery)
        return self.http.post(
            f"/hooks/{source}",
            content=body,
            headers=signed | {name.replace("_", "-"): text for name, text in headers.items()},
        )

    def submit(self, content: Any, *, key: str = API_KEY, **headers: str) -> httpx.Response:
        """POST to /jobs."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.http.post("/jobs", json=content, headers={"Authorization": f"Bearer {key}", **named})

    def job(self, job_id: str, *, wait: int = 0) -> dict[str, Any]:
        """The job as it stands, or as it ended within so many seconds."""
        answer = self.http.get(
            f"/jobs/{job_id}", params={"wait": wait}, headers={"Authorization": f"Bearer {API_KEY}"}
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def ended(self, job_id: str, status: str = "finished", *, wait: int = 30) -> dict[str, Any]:
        """The job once it has ended, which must be so."""
        job = self.job(job_id, wait=wait)
        assert job["status"] == status, job
        return job

    def has_told(self, job_id: str) -> bool:
        """Whether the job's callback is known to be delivered."""
        callback = self.job(job_id)["callback"]
        return callback is not None and callback["status"] == "delivered"

    # -- what happened ---------------------------------------------------------------------------------------------

    def runs(self, job_id: str | None = None) -> list[Run]:
        """What handlers noted, of one job or of all."""
        effects = Path(self.environ["EFFECTS"])
        lines = effects.read_text().splitlines() if effects.exists() else []
        runs = [
            Run(job, event, type_, int(attempt), int(pid))
            for job, event, type_, attempt, pid in map(str.split, lines)
        ]
        return [run for run in runs if job_id in (None, run.job_id)]

    def keys(self) -> set[bytes]:
        """The name of everything in Redis, but for samples of what was refused, and what processes count."""
        return {key for key in self.redis.scan_iter("*") if not key.decode().startswith(BESIDE_RECORDS)}

    def open_gate(self, name: str) -> None:
        """Let the handlers at that gate go on."""
        Path(self.environ["EFFECTS"]).with_name(f"gate-{name}").touch()


@contextmanager
def system(directory: Path, redis_url: str | None, **settings: str) -> Iterator[System]:
    """A `System` without processes yet; those that it starts are gone at the end."""
    with spawning(directory) as start, System(start, directory, redis_url, **settings) as made:
        yield made


def by_acme(payload: Any, *, delivery: str | None = None) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an event as the source `acme` sends it. Bytes are sent as they are."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", "X-Acme-Signature": hmac_hex(ACME_SECRET, body)}
    return body, headers if delivery is None else {**headers, "X-Acme-Delivery": delivery}


def by_stamped(payload: Any, *, age: float = 0) -> tuple[bytes, dict[str, str]]:
    """The same for the source `stamped`, signed so many seconds ago."""
    body, stamp = json.dumps(payload).encode(), str(round(time.time() - age))
    return body, {
        "X-Acme-Timestamp": stamp,
        "X-Acme-Signature": hmac_hex(ACME_SECRET, f"{stamp}.".encode() + body),
    }


def as_sent(body: bytes, headers: dict[str, str], *, path: str = "/hooks/acme") -> bytes:
    """A request as it goes over the wire, for tests that write to the socket themselves."""
    lines = {"Host": "hookline", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def hmac_hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody waits for does not."""
    return _stat(pid)[:1] not in ([], ["Z"])


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that these started."""
    everybody = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    children = [one for one in everybody if _stat(one)[1:2] == [str(pid)]]
    return children + [further for child in children for further in descendants(child)]


def _stat(pid: int) -> list[str]:
    """State, parent and so on of a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a refusal with these, as RFC 9457 has it, and shows nothing of our insides."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["code"] == code
    assert told["title"]
    assert told["type"]
    assert "Traceback" not in answer.text
    return told
