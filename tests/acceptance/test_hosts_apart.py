"""Webs and workers on hosts of their own: network namespaces with a cable each, that can be pulled."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import find_server
from tests.acceptance.builders import API_KEY, PROJECT, System, by_acme
from tests.conftest import Spawned, missing

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]

PORT, REDIS_PORT = 8000, 6379
SWITCH = "switch"

# On the sender's host: POSTs what stdin lists, and prints status and answer of each.
SENDER = """
import json, sys, httpx
with httpx.Client(trust_env=False, timeout=20) as client:
    for line in sys.stdin:
        method, url, body, headers = json.loads(line)
        try:
            answer = client.request(method, url, content=body, headers=headers)
            told = answer.status_code, answer.json()
        except httpx.HTTPError as error:
            told = 0, type(error).__name__
        print(json.dumps(told), flush=True)
"""


class Hosts:
    """Hosts on one switch, at 10.77.0.0/24. The host that the tests run on is not among them.

    Args:
        start: of `spawning`.
    """

    def __init__(self, start: Callable[..., Spawned], names: list[str]) -> None:
        self._start = start
        self._mark = f"hl{os.getpid()}"
        self._made: list[str] = []
        self.addresses = {name: f"10.77.0.{place}" for place, name in enumerate(names, start=1)}

    def plug_in(self) -> None:
        self._add(SWITCH)
        self._ip(SWITCH, "link", "add", "bridge", "type", "bridge")
        self._ip(SWITCH, "link", "set", "bridge", "up")
        for name, address in self.addresses.items():
            self._add(name)
            peer = ("peer", "name", "eth0", "netns", self._namespace(name))
            self._ip(SWITCH, "link", "add", name, "type", "veth", *peer)
            self._ip(SWITCH, "link", "set", name, "master", "bridge", "up")
            self._ip(name, "address", "add", f"{address}/24", "dev", "eth0")
            self._ip(name, "link", "set", "eth0", "up")
            self._ip(name, "link", "set", "lo", "up")

    def pull(self, name: str) -> None:
        """Pull the host's cable: what it sends and what is sent to it is gone, and nobody is told."""
        self._ip(SWITCH, "link", "set", name, "down")

    def put_back(self, name: str) -> None:
        self._ip(SWITCH, "link", "set", name, "up")

    def run(self, name: str, *command: str, said: str, env: Mapping[str, str]) -> Spawned:
        """Start a command on a host, and return once it has said that."""
        words = ("ip", "netns", "exec", self._namespace(name), *command)
        process = self._start(*words, env=env, cwd=PROJECT)
        process.wait_for_output(said)
        return process

    def ask(self, name: str, requests: list[tuple[str, str, str | None, dict[str, str]]]) -> list[Any]:
        """Send requests from a host, one after the other; the status and the answer of each, 0 where there was none."""
        done = subprocess.run(
            ["ip", "netns", "exec", self._namespace(name), sys.executable, "-c", SENDER],
            input="\n".join(map(json.dumps, requests)), capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    def unplug(self) -> None:
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", self._namespace(name)], check=False, capture_output=True)

    def _add(self, name: str) -> None:
        subprocess.run(
            ["ip", "netns", "add", self._namespace(name)], check=True, capture_output=True, text=True
        )
        self._made.append(name)

    def _ip(self, name: str, *words: str) -> None:
        subprocess.run(
            ["ip", "-netns", self._namespace(name), *words], check=True, capture_output=True, text=True
        )

    def _namespace(self, name: str) -> str:
        return f"{self._mark}-{name}"


@pytest.fixture
def hosts(spawn: Callable[..., Spawned], tmp_path: Path) -> Iterator[Hosts]:
    """One for each process, and one of a sender."""
    if shutil.which("ip") is None:
        missing("no ip on the PATH: apt-get install iproute2")
    made = Hosts(spawn, ["redis0", "redis1", "web0", "web1", "worker0", "worker1", "sender"])
    try:
        try:
            made.plug_in()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine lets us make no network namespaces: {error.stderr.strip()}")
        yield made
    finally:
        made.unplug()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What every process is told, but for where it is."""
    with System(spawn_nothing, tmp_path, None) as told:
        return told.environ | {"HOST": "", "PORT": str(PORT), "HOOKLINE_LEASE": "2s"}


def spawn_nothing(*_: str, **__: Any) -> Spawned:
    raise AssertionError("nothing runs on the tests' own host")


def redis_on(hosts: Hosts, name: str, directory: Path) -> str:
    """A server on a host; its URL."""
    data = directory / name
    data.mkdir()
    options = ("--bind", hosts.addresses[name], "--protected-mode", "no", "--save", "", "--appendonly", "yes")
    hosts.run(
        name, str(find_server()), "--port", str(REDIS_PORT), *options, "--dir", str(data),
        said="Ready to accept connections", env={},
    )  # fmt: skip
    return f"redis://{hosts.addresses[name]}:{REDIS_PORT}"


def event(hosts: Hosts, web: str, delivery: str) -> tuple[str, str, str, dict[str, str]]:
    body, headers = by_acme({"type": "echo"}, delivery=delivery)
    return "POST", f"http://{hosts.addresses[web]}:{PORT}/hooks/acme", body.decode(), headers


def look(hosts: Hosts, web: str, job_id: str) -> tuple[str, str, None, dict[str, str]]:
    url = f"http://{hosts.addresses[web]}:{PORT}/jobs/{job_id}?wait=30"
    return "GET", url, None, {"Authorization": f"Bearer {API_KEY}"}


def pids(environ: Mapping[str, str]) -> dict[str, str]:
    """The process that ran each job last."""
    effects = Path(environ["EFFECTS"])
    lines = effects.read_text().splitlines() if effects.exists() else []
    return {job: pid for job, _, _, _, pid in map(str.split, lines)}


def test_webs_and_workers_on_hosts_of_their_own_share_the_work_and_outlive_a_pulled_cable(
    hosts: Hosts, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["REDIS_URL"] = redis_on(hosts, "redis0", tmp_path)
    for name in ("web0", "web1"):
        hosts.run(name, "hookline", "web", said="listening on port", env=environ)
    for name in ("worker0", "worker1"):
        hosts.run(name, "hookline", "worker", "--concurrency", "4", said=" serves ", env=environ)

    sent = [event(hosts, f"web{number % 2}", f"d-{number}") for number in range(100)]
    first = hosts.ask("sender", sent)
    assert {status for status, _ in first} == {202}
    jobs = [told["job_id"] for _, told in first]
    looked = hosts.ask("sender", [look(hosts, f"web{n % 2}", job) for n, job in enumerate(jobs)])
    assert {told["status"] for _, told in looked} == {"finished"}
    assert len(set(pids(environ).values())) == 2

    hosts.pull("worker0")
    hosts.pull("web0")
    second = hosts.ask("sender", [event(hosts, "web1", f"e-{number}") for number in range(50)])
    assert {status for status, _ in second} == {202}
    looked = hosts.ask("sender", [look(hosts, "web1", told["job_id"]) for _, told in second])
    assert {told["status"] for _, told in looked} == {"finished"}

    for name in ("worker0", "web0"):
        hosts.put_back(name)
    again = hosts.ask("sender", [event(hosts, "web0", f"e-{number}") for number in range(50)])
    assert [(status, told["job_id"]) for status, told in again] == [
        (200, told["job_id"]) for _, told in second
    ]


def test_shards_on_hosts_of_their_own_are_cut_off_one_by_one(
    hosts: Hosts, environ: dict[str, str], tmp_path: Path
) -> None:
    urls = [redis_on(hosts, f"redis{shard}", tmp_path) for shard in range(2)]
    for shard, url in enumerate(urls):
        hosts.run(f"worker{shard}", "hookline", "worker", said=" serves ", env=environ | {"REDIS_URL": url})
        hosts.run(
            f"web{shard}", "hookline", "web", said="listening on port",
            env=environ | {"HOOKLINE_SHARDS": " ".join(urls)},
        )  # fmt: skip
    sent = [event(hosts, f"web{number % 2}", f"d-{number}") for number in range(60)]
    first = hosts.ask("sender", sent)
    assert {status for status, _ in first} == {202}
    looked = hosts.ask("sender", [look(hosts, "web0", told["job_id"]) for _, told in first])
    assert {told["status"] for _, told in looked} == {"finished"}
    assert len(set(pids(environ).values())) == 2

    hosts.pull("redis1")
    cut = hosts.ask("sender", [event(hosts, "web0", f"e-{number}") for number in range(12)])
    assert {status for status, _ in cut} == {202, 503}
    hosts.put_back("redis1")
    again = hosts.ask("sender", [event(hosts, "web1", f"e-{number}") for number in range(12)])
    assert {status for status, _ in again} <= {200, 202}
    looked = hosts.ask("sender", [look(hosts, "web1", told["job_id"]) for _, told in again])
    assert {told["status"] for _, told in looked} == {"finished"}
