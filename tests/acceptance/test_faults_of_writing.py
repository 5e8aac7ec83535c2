"""What senders are told while Redis takes nothing more: what was acknowledged is kept, the rest is safely sent again."""

import resource
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer, find_server
from tests.acceptance.builders import Server, System, assert_problem, serving
from tests.acceptance.delivering import Burst, assert_each_ran_once, deliver_until_taken
from tests.acceptance.inbox import Inbox
from tests.acceptance.proxy import Proxy

pytestmark = pytest.mark.slow  # many processes, one after the other

PASSWORD = "hunter2-of-redis"
LOAD_DELAY = 30  # microseconds for a command of the append-only file


@pytest.fixture
def server(valkey: EmbeddedServer, tmp_path: Path) -> Iterator[Server]:
    """A Redis that a full disk doesn't kill, and that takes its time to read its file."""
    program = tmp_path / "server"
    program.write_text(
        f"#!/bin/sh\ntrap '' XFSZ\nexec {shlex.quote(str(find_server()))} \"$@\" --key-load-delay {LOAD_DELAY}\n"
    )
    program.chmod(0o700)
    with serving(binary=program) as running:
        yield running


# -- what may be wrong with Redis --------------------------------------------------------------------------------------


@contextmanager
def paused(server: Server) -> Iterator[None]:
    with server.connect() as client:
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        yield
        client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def full(server: Server) -> Iterator[None]:
    with server.connect() as client:
        client.config_set("maxmemory", "1")
        yield
        client.config_set("maxmemory", "0")


@contextmanager
def read_only(server: Server) -> Iterator[None]:
    with server.connect() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def disk_full(server: Server) -> Iterator[None]:
    """No file may grow beyond what the append-only file has by now."""
    largest = max(path.stat().st_size for path in server.directory.rglob("*.aof"))
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest, most))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def loading(server: Server) -> Iterator[None]:
    """Its process is killed, and has 20,000 commands to read before it takes others."""
    with server.connect() as client, client.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set("filler", number)
        pipeline.execute()
    server.kill()
    starting = threading.Thread(target=server.start)
    starting.start()
    yield
    starting.join()


Trouble = Callable[[Server], AbstractContextManager[None]]


def endure(
    system: System,
    inbox: Inbox,
    trouble: AbstractContextManager[None],
    *,
    because: str,
    wait_until: Callable[..., Any],
    **settings: str,
) -> None:
    """A burst with trouble in its middle: meanwhile it is refused with 503, and in the end each event ran once.

    Args:
        because: what the web process logs then.
        settings: for the web process alone.
    """
    web = system.web(**settings)
    name = f"burst-{uuid.uuid4().hex}"
    with Burst(system, inbox.url(name)) as burst:
        wait_until(lambda: len(burst.taken) >= 20)
        with trouble:
            web.wait_for_output(because)
            wait_until(lambda: len(burst.refused) >= 4)
            assert system.http.get("/healthz").status_code == 200
        before = len(burst.taken)
        wait_until(lambda: len(burst.taken) >= before + 20)

    for refusal in burst.refused:
        assert_problem(refusal, 503, "not_recorded")
        assert refusal.headers["Retry-After"] == "5"
        assert refusal.elapsed.total_seconds() < 4
    system.worker()
    for job_id in burst.taken.values():
        system.ended(job_id)
    jobs = deliver_until_taken(system, burst.answers, inbox.url(name))
    assert jobs | burst.taken == jobs
    assert_each_ran_once(system, inbox, name, jobs.values())
    assert '"level": "error"' not in web.output()


@pytest.mark.parametrize(
    ("trouble", "because"),
    [
        (paused, "did not confirm in time"),
        (full, "OOM"),
        (read_only, "READONLY"),
        (disk_full, "MISCONF"),
        pytest.param(loading, "still loading", marks=pytest.mark.slow),
    ],
)
def test_a_redis_that_takes_nothing_costs_nothing_that_was_acknowledged(
    build: Callable[..., System],
    server: Server,
    inbox: Inbox,
    wait_until: Callable[..., Any],
    trouble: Trouble,
    because: str,
) -> None:
    """F07, F11, F13, F15, F16: paused, full, a replica, without a disk, or reading its file."""
    endure(build(), inbox, trouble(server), because=because, wait_until=wait_until)


@pytest.mark.parametrize(
    ("revoked", "because"),
    [pytest.param("-@all", "no permissions", marks=pytest.mark.slow), ("off", "refuses the password")],
)
def test_a_password_that_no_longer_works_is_in_no_answer_and_no_log(
    build: Callable[..., System],
    server: Server,
    inbox: Inbox,
    wait_until: Callable[..., Any],
    revoked: str,
    because: str,
) -> None:
    """F14: its user may do nothing any more, or is no user any more."""

    @contextmanager
    def locked_out() -> Iterator[None]:
        with server.connect() as client:
            client.execute_command("ACL", "SETUSER", "hookline", revoked)
            client.execute_command("CLIENT", "KILL", "USER", "hookline")
            yield
            client.execute_command("ACL", "SETUSER", "hookline", "on", "+@all")

    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "hookline", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    system = build()
    url = f"{server.url}?username=hookline&password={PASSWORD}"
    endure(system, inbox, locked_out(), because=because, wait_until=wait_until, REDIS_URL=url)
    assert not any(PASSWORD in process.output() for process in system.started)


def test_replies_that_are_cut_off_for_a_while_cost_nothing_that_was_acknowledged(
    build: Callable[..., System], server: Server, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F08, in a burst: what was refused had been recorded, and is not recorded again."""
    with Proxy(server.url.removeprefix("unix://")) as proxy:

        @contextmanager
        def deaf() -> Iterator[None]:
            proxy.lose_replies_to = b"echo"
            yield
            proxy.lose_replies_to = None

        endure(build(), inbox, deaf(), because="ConnectionError", wait_until=wait_until, REDIS_URL=proxy.url)
        assert proxy.lost > 0
