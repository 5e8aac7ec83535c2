"""`HOOKLINE_DURABILITY=always`: 2xx once the disk has the event, or no start, or 503."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.exceptions import RedisError

from infra.embedded import EmbeddedServer, find_server
from infra.redis_client import connect_sync
from tests.acceptance.builders import Server, System, assert_problem, free_port, system
from tests.conftest import missing, spawning

pytestmark = pytest.mark.slow  # many processes, one after the other

SLOW_DISK = Path(__file__).with_name("slow_disk.c")
FSYNC_SECONDS = 0.4  # as `slow_disk.c` has it
ALWAYS = {"HOOKLINE_DURABILITY": "always"}


def set_up(server: Server, **config: str) -> None:
    with server.connect() as client:
        for name, value in config.items():
            client.config_set(name, value)


@pytest.fixture
def redis_on_a_slow_disk(
    tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., Any]
) -> Iterator[Callable[[str], str]]:
    """``redis_on_a_slow_disk("always")``: its address."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("no C compiler: apt-get install gcc libc6-dev")
    directory = tmp_path_factory.mktemp("disk")
    library = directory / "slow_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SLOW_DISK, "-ldl"], check=True)
    with spawning(directory) as spawn:

        def start(appendfsync: str) -> str:
            port = free_port()
            options = {
                "port": str(port),
                "dir": str(directory),
                "appendonly": "yes",
                "appendfsync": appendfsync,
                "save": "",
            }
            words = [word for option, value in options.items() for word in (f"--{option}", value)]
            spawn(str(find_server()), *words, env={"LD_PRELOAD": str(library)})
            url = f"redis://127.0.0.1:{port}"
            with connect_sync(url) as client:
                wait_until(lambda: answers(client), timeout=20)
            return url

        yield start


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def promised(answer: httpx.Response) -> dict[str, Any] | None:
    return answer.json() if answer.is_success else None


def seconds_of_an_answer(running: System) -> float:
    begun = time.monotonic()
    assert running.send({"type": "echo", "n": time.monotonic()}).status_code == 202
    return time.monotonic() - begun


@pytest.mark.parametrize(("durability", "waits"), [("always", True), ("everysec", False)])
def test_the_answer_comes_after_the_fsync(
    redis_on_a_slow_disk: Callable[[str], str], build: Callable[..., System], durability: str, waits: bool
) -> None:
    running = build(redis_on_a_slow_disk(durability), HOOKLINE_DURABILITY=durability)
    running.web()
    seconds_of_an_answer(running)  # the first one opens connections

    quickest = min(seconds_of_an_answer(running) for _ in range(3))
    assert (quickest >= FSYNC_SECONDS) is waits


def test_what_was_acknowledged_outlives_the_death_of_everything(
    build: Callable[..., System], server: Server
) -> None:
    set_up(server, appendfsync="always")
    running = build(**ALWAYS)
    web = running.web()
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda number: running.send({"type": "echo"}, delivery=f"d-{number}"), range(300))
        jobs = [answer.json()["job_id"] for answer in answers]
    server.kill()
    web.stop(signal.SIGKILL)
    server.start()
    set_up(server, appendfsync="always")

    running.web()
    again = [running.send({"type": "echo"}, delivery=f"d-{number}") for number in range(300)]
    assert {answer.status_code for answer in again} == {200}
    assert [answer.json()["job_id"] for answer in again] == jobs


def test_a_server_that_keeps_its_file_no_longer_promises_nothing(
    build: Callable[..., System], server: Server, wait_until: Callable[..., Any]
) -> None:
    set_up(server, appendfsync="always")
    running = build(**ALWAYS)
    running.web()
    assert running.send({"type": "echo", "n": time.monotonic()}).status_code == 202

    set_up(server, appendonly="no")
    answer = running.send({"type": "echo"}, delivery="d-1")
    assert_problem(answer, 503, "not_recorded")
    assert int(answer.headers["Retry-After"]) > 0

    set_up(server, appendonly="yes")
    again = wait_until(lambda: promised(running.send({"type": "echo"}, delivery="d-1")))
    assert again["duplicate"]  # it was stored, though not promised


@pytest.mark.parametrize("command", ["web", "serve"])
def test_a_server_that_can_not_say_so_stops_the_start(build: Callable[..., System], command: str) -> None:
    assert_refused(build(**ALWAYS), command, "needs `appendonly yes`")


def test_a_redis_that_does_not_answer_stops_the_start(build: Callable[..., System]) -> None:
    assert_refused(build(f"redis://127.0.0.1:{free_port()}", **ALWAYS), "web", "Redis does not answer")


def test_memory_stops_the_start(tmp_path: Path) -> None:
    with system(tmp_path, None, **ALWAYS) as running:
        assert_refused(running, "serve", "can't be kept in memory")


def test_doctor_says_so_too(build: Callable[..., System]) -> None:
    doctor = build(**ALWAYS).run("hookline", "doctor", said="HOOKLINE_DURABILITY")
    assert doctor.process.wait(30) == 1


def assert_refused(running: System, command: str, because: str) -> None:
    """It ends with one line."""
    ended = running.run("hookline", command, said="hookline: HOOKLINE_DURABILITY: ")
    assert ended.process.wait(30) == 1
    (line,) = ended.output().splitlines()
    assert because in line


def test_an_older_redis_that_fsyncs_before_it_answers_will_do(
    build: Callable[..., System], redis_server: EmbeddedServer
) -> None:
    with connect_sync(redis_server.url) as client:
        client.config_set("appendfsync", "always")
        try:
            running = build(redis_server.url, **ALWAYS)
            running.web()
            assert running.send({"type": "echo"}).status_code == 202
        finally:
            client.config_set("appendfsync", "everysec")
