"""A primary that dies under load, and the replica that sentinel puts in its place: what is kept, and what is not."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.redis_client import connect_sync
from tests.acceptance.builders import System, free_port, system
from tests.conftest import Spawned, missing

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]


class Pair:
    """A primary, its replica, and three sentinels that watch them; all with append-only files."""

    def __init__(self, start: Callable[..., Spawned], directory: Path) -> None:
        self._start = start
        self._directory = directory
        ports = [free_port() for _ in range(5)]
        self.primary = self._server(ports[0])
        self.replica = self._server(ports[1], "--replicaof", "127.0.0.1", str(ports[0]))
        self.replica.wait_for_output(
            "MASTER <-> REPLICA sync: Finished"
        )  # or sentinel would look for it in vain, and again after ten seconds
        sentinels = [self._sentinel(port, ports[0]) for port in ports[2:]]
        for sentinel in sentinels:
            sentinel.wait_for_output("+slave slave")
        self.url = f"sentinel://{','.join(f'127.0.0.1:{port}' for port in ports[2:])}/main"
        self._direct = f"redis://127.0.0.1:{ports[0]}"
        self._replica = ports[1]

    def _server(self, port: int, *words: str) -> Spawned:
        data = self._directory / f"data-{port}"
        data.mkdir()
        options = ("--save", "", "--appendonly", "yes", "--bind", "127.0.0.1", "--dir", str(data))
        process = self._start("redis-server", "--port", str(port), *options, *words)
        process.wait_for_output("Ready to accept connections")
        return process

    def _sentinel(self, port: int, primary: int) -> Spawned:
        told = self._directory / f"sentinel-{port}.conf"
        told.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 2\n"
            "sentinel down-after-milliseconds main 800\nsentinel failover-timeout main 4000\n"
        )
        return self._start("redis-server", str(told), "--sentinel")

    def set(self, option: str, value: str) -> None:
        """Set the primary up, without asking sentinel."""
        with connect_sync(self._direct) as client:
            client.config_set(option, value)

    def cut_off_replica(self) -> None:
        """Have it hear nothing any more: not even what would lie in its socket when it wakes up."""
        self.replica.process.send_signal(signal.SIGSTOP)
        with connect_sync(self._direct) as client:
            assert client.execute_command("CLIENT", "KILL", "TYPE", "replica") == 1

    def replicated(self) -> None:
        """Return once the replica has everything that was written so far."""
        with connect_sync(self._direct) as client:
            client.incr("written")  # WAIT is about what its own connection wrote, and all before that
            assert client.execute_command("WAIT", 1, 10_000) == 1

    def fail_over(self, wait_until: Callable[..., Any]) -> None:
        """SIGKILL the primary, and return once the replica is in its place."""
        self.primary.process.send_signal(signal.SIGKILL)
        with connect_sync(f"redis://127.0.0.1:{self._replica}") as client:
            wait_until(lambda: client.info("replication")["role"] == "master", timeout=30)


@dataclass
class Burst:
    """Sends events from a thread until it is stopped; notes what was acknowledged, in order."""

    system: System
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            try:
                answer = self.system.send({"type": "echo"}, delivery=f"burst-{number}")
            except httpx.HTTPError:
                self.refused += 1
                continue
            if answer.is_success:
                self.acknowledged[f"burst-{number}"] = answer.json()["job_id"]
            else:
                assert answer.status_code == 503
                self.refused += 1
                time.sleep(0.02)  # as a sender would

    def stop(self) -> dict[str, str]:
        self._stopping.set()
        self._thread.join()
        return self.acknowledged


@pytest.fixture
def pair(tmp_path: Path, spawn: Callable[..., Spawned]) -> Pair:
    if shutil.which("redis-server") is None:
        missing("no redis-server on the PATH: apt-get install redis-server")
    return Pair(spawn, tmp_path)


@pytest.fixture
def house(tmp_path: Path, pair: Pair) -> Iterator[System]:
    (tmp_path / "house").mkdir()
    with system(tmp_path / "house", pair.url) as made:
        made.worker()
        made.web()
        yield made


def ran(house: System) -> set[str]:
    return {run.job_id for run in house.runs()}


def test_what_was_acknowledged_and_replicated_outlives_the_primary(
    pair: Pair, house: System, wait_until: Callable[..., Any]
) -> None:
    burst = Burst(house)
    try:
        wait_until(lambda: len(burst.acknowledged) >= 200, timeout=30)
        kept = dict(burst.acknowledged)
        pair.replicated()
        pair.fail_over(wait_until)
        before = len(burst.acknowledged)
        wait_until(lambda: len(burst.acknowledged) >= before + 100, timeout=30)
    finally:
        acknowledged = burst.stop()
    assert burst.refused > 0  # nobody was told yes while there was no primary

    late = set(acknowledged.values()) - set(list(acknowledged.values())[:before])
    wait_until(lambda: ran(house) >= set(kept.values()) | late, timeout=60)
    for job_id in kept.values():
        assert house.job(job_id)["status"] == "finished"


def test_what_was_acknowledged_and_not_replicated_is_lost_and_taken_anew_when_it_is_sent_again(
    pair: Pair, house: System, wait_until: Callable[..., Any]
) -> None:
    """What docs/scaling.md says that a failover can cost; a sender that sends again undoes it."""
    first = house.send({"type": "echo"}, delivery="kept").json()["job_id"]
    pair.replicated()
    pair.cut_off_replica()
    answer = house.send({"type": "echo"}, delivery="lost")
    assert answer.status_code == 202
    pair.primary.process.send_signal(signal.SIGKILL)
    pair.replica.process.send_signal(signal.SIGCONT)
    pair.fail_over(wait_until)

    wait_until(lambda: house.http.get("/readyz").status_code == 200, timeout=30)
    assert house.job(first)["id"] == first
    gone = house.http.get(answer.json()["status_url"])
    assert gone.status_code == 404
    again = wait_until(lambda: _taken(house, "lost"), timeout=30)
    assert not again["duplicate"]


def test_a_primary_whose_replica_lags_takes_nothing_where_it_is_told_so(
    pair: Pair, house: System, wait_until: Callable[..., Any]
) -> None:
    pair.set("min-replicas-max-lag", "1")
    pair.set("min-replicas-to-write", "1")
    assert house.send({"type": "echo"}, delivery="d-1").status_code == 202
    pair.replica.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: house.send({"type": "echo"}).status_code == 503, timeout=30)
    pair.replica.process.send_signal(signal.SIGCONT)
    wait_until(lambda: house.send({"type": "echo"}).is_success, timeout=30)


def _taken(house: System, delivery: str) -> Any:
    answer = house.send({"type": "echo"}, delivery=delivery)
    return answer.json() if answer.is_success else None
