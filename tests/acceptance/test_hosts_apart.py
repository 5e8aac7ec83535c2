"""Webs and workers on hosts of their own, whose cables can be pulled."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import find_server
from tests.acceptance.builders import API_KEY, System, by_acme
from tests.acceptance.hosts import Addresses, Hosts, Namespaces, Request, ask, run
from tests.conftest import Spawned

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]

NAMES = ["redis0", "redis1", "web0", "web1", "worker0", "worker1", "sender"]
Start = Callable[..., Spawned]


@pytest.fixture
def hosts(spawn: Start) -> Iterator[Hosts]:
    """One for each process, and one of a sender. Their cables are in place again before `spawn` stops what runs there."""
    made: Hosts = Namespaces(NAMES)
    try:
        try:
            made.plug_in()
        except (OSError, subprocess.CalledProcessError):  # no ip on the PATH, or no right to
            made.unplug()
            made = Addresses(NAMES)
            made.plug_in()
        yield made
    finally:
        made.unplug()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What every process is told, but for where it is."""
    with System(spawn_nothing, tmp_path, None) as told:
        return told.environ | {"HOOKLINE_LEASE": "2s"}


def spawn_nothing(*_: str, **__: Any) -> Spawned:
    raise AssertionError("nothing runs on the tests' own host")


def redis_on(hosts: Hosts, start: Start, name: str, directory: Path) -> None:
    data = directory / name
    data.mkdir()
    address, port = hosts.listens(name)
    options = ("--bind", address, "--protected-mode", "no", "--save", "", "--appendonly", "yes")
    run(
        hosts, start, name, str(find_server()), "--port", str(port), *options, "--dir", str(data),
        said="Ready to accept connections", env={},
    )  # fmt: skip


def web_on(hosts: Hosts, start: Start, name: str, environ: Mapping[str, str]) -> None:
    address, port = hosts.listens(name)
    told = {**environ, "HOST": address, "PORT": str(port)}
    run(hosts, start, name, "hookline", "web", said="listening on port", env=told)


def redis_from(hosts: Hosts, name: str, redis: str) -> str:
    return f"redis://{hosts.way(name, redis)}"


def event(hosts: Hosts, web: str, delivery: str) -> Request:
    body, headers = by_acme({"type": "echo"}, delivery=delivery)
    return "POST", f"http://{hosts.way('sender', web)}/hooks/acme", body.decode(), headers


def look(hosts: Hosts, web: str, job_id: str) -> Request:
    url = f"http://{hosts.way('sender', web)}/jobs/{job_id}?wait=30"
    return "GET", url, None, {"Authorization": f"Bearer {API_KEY}"}


def pids(environ: Mapping[str, str]) -> dict[str, str]:
    """The process that ran each job last."""
    effects = Path(environ["EFFECTS"])
    lines = effects.read_text().splitlines() if effects.exists() else []
    return {job: pid for job, _, _, _, pid in map(str.split, lines)}


def test_webs_and_workers_on_hosts_of_their_own_share_the_work_and_outlive_a_pulled_cable(
    hosts: Hosts, spawn: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    redis_on(hosts, spawn, "redis0", tmp_path)
    for name in ("web0", "web1"):
        web_on(hosts, spawn, name, environ | {"REDIS_URL": redis_from(hosts, name, "redis0")})
    for name in ("worker0", "worker1"):
        told = environ | {"REDIS_URL": redis_from(hosts, name, "redis0")}
        run(hosts, spawn, name, "hookline", "worker", "--concurrency", "4", said=" serves ", env=told)

    sent = [event(hosts, f"web{number % 2}", f"d-{number}") for number in range(100)]
    first = ask(hosts, "sender", sent)
    assert {status for status, _ in first} == {202}
    jobs = [told["job_id"] for _, told in first]
    looked = ask(hosts, "sender", [look(hosts, f"web{n % 2}", job) for n, job in enumerate(jobs)])
    assert {told["status"] for _, told in looked} == {"finished"}
    assert len(set(pids(environ).values())) == 2

    hosts.pull("worker0")
    hosts.pull("web0")
    second = ask(hosts, "sender", [event(hosts, "web1", f"e-{number}") for number in range(50)])
    assert {status for status, _ in second} == {202}
    looked = ask(hosts, "sender", [look(hosts, "web1", told["job_id"]) for _, told in second])
    assert {told["status"] for _, told in looked} == {"finished"}

    for name in ("worker0", "web0"):
        hosts.put_back(name)
    again = ask(hosts, "sender", [event(hosts, "web0", f"e-{number}") for number in range(50)])
    assert [(status, told["job_id"]) for status, told in again] == [
        (200, told["job_id"]) for _, told in second
    ]


def test_shards_on_hosts_of_their_own_are_cut_off_one_by_one(
    hosts: Hosts, spawn: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    servers = ("redis0", "redis1")
    for redis in servers:
        redis_on(hosts, spawn, redis, tmp_path)
    for shard, redis in enumerate(servers):
        worker, web = f"worker{shard}", f"web{shard}"
        told = environ | {"REDIS_URL": redis_from(hosts, worker, redis)}
        run(hosts, spawn, worker, "hookline", "worker", said=" serves ", env=told)
        urls = [redis_from(hosts, web, each) for each in servers]
        web_on(hosts, spawn, web, environ | {"HOOKLINE_SHARDS": " ".join(urls)})
    sent = [event(hosts, f"web{number % 2}", f"d-{number}") for number in range(60)]
    first = ask(hosts, "sender", sent)
    assert {status for status, _ in first} == {202}
    looked = ask(hosts, "sender", [look(hosts, "web0", told["job_id"]) for _, told in first])
    assert {told["status"] for _, told in looked} == {"finished"}
    assert len(set(pids(environ).values())) == 2

    hosts.pull("redis1")
    cut = ask(hosts, "sender", [event(hosts, "web0", f"e-{number}") for number in range(12)])
    assert {status for status, _ in cut} == {202, 503}
    hosts.put_back("redis1")
    again = ask(hosts, "sender", [event(hosts, "web1", f"e-{number}") for number in range(12)])
    assert {status for status, _ in again} <= {200, 202}
    looked = ask(hosts, "sender", [look(hosts, "web1", told["job_id"]) for _, told in again])
    assert {told["status"] for _, told in looked} == {"finished"}
