"""What happens when there is too much or too little of something: connections, patience, waiting jobs, readers of the log."""

import selectors
import socket
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import System, by_acme, descendants
from tests.acceptance.inbox import Inbox

HEADERS_TIMEOUT, BODY_TIMEOUT = 10.0, 30.0  # seconds, as docs/guarantees.md says


def sending_takes(system: System, count: int = 50) -> float:
    """Seconds until an event is acknowledged, at the median."""
    took = []
    for number in range(count):
        began = time.perf_counter()
        assert system.send({"type": "echo", "n": number}, delivery=uuid.uuid4().hex).status_code == 202
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def memory(pid: int) -> int:
    """What a process and those that it started hold, in bytes."""
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (pid, *descendants(pid))]
    return sum(pages) * 4096


# -- clients -----------------------------------------------------------------------------------------------------------


def test_a_web_process_that_ran_out_of_files_recovers(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    """F76: 100 connections where 64 files may be open."""
    system = build()
    system.worker()
    web = system.run("sh", "-c", "ulimit -n 64; exec hookline web", said="listening on port")
    before = [system.send({"type": "echo", "n": number}).json()["job_id"] for number in range(5)]
    delivery = uuid.uuid4().hex

    def taken() -> str | None:
        try:
            answer = system.send({"type": "echo"}, delivery=delivery)
        except httpx.TransportError:
            return None
        return answer.json()["job_id"] if answer.is_success else None

    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(system.environ["PORT"]))))
        wait_until(lambda: len(list(Path(f"/proc/{web.pid}/fd").iterdir())) >= 63)
    job_id = wait_until(taken)

    for one in (*before, job_id):
        system.ended(one)
        assert len(system.runs(one)) == 1
    assert system.http.get("/readyz").status_code == 200


@contextmanager
def dripping(system: System, count: int, head: bytes) -> Iterator[list[tuple[float, bytes]]]:
    """So many connections that begin a request and then send a byte every half second.

    Gives a list that grows by one for each connection that the server ends: after how many seconds, and with what words.
    """
    ended: list[tuple[float, bytes]] = []
    over = Event()
    with ExitStack() as stack:
        answers = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", int(system.environ["PORT"]))))
            one.sendall(head)
            answers.register(one, selectors.EVENT_READ, data=time.monotonic())

        def drip() -> None:
            while not over.wait(0.5):
                for key, _ in answers.select(timeout=0):
                    ended.append((time.monotonic() - key.data, key.fileobj.recv(4096)))  # type: ignore[union-attr]
                    answers.unregister(key.fileobj)
                for key in answers.get_map().values():
                    with suppress(ConnectionError):
                        key.fileobj.sendall(b"x")  # type: ignore[union-attr]

        thread = Thread(target=drip)
        thread.start()
        try:
            yield ended
        finally:
            over.set()
            thread.join()


HEAD = b"POST /hooks/acme HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "head", "limit", "code"),
    [
        pytest.param(300, HEAD + b"X-Slow: ", HEADERS_TIMEOUT, b"headers_timeout", id="headers"),
        pytest.param(100, HEAD + b"Content-Length: 999\r\n\r\n", BODY_TIMEOUT, b"body_timeout", id="body"),
    ],
)
def test_slow_clients_are_let_go_and_slow_nobody_down(
    house: System, wait_until: Callable[..., Any], count: int, head: bytes, limit: float, code: bytes
) -> None:
    """F77, F78, A040: headers, or a body, that come byte by byte."""
    alone = sending_takes(house)
    with dripping(house, count, head) as ended:
        assert sending_takes(house) <= 3 * alone + 0.05
        wait_until(lambda: len(ended) == count, timeout=1.5 * limit)
    assert min(seconds for seconds, _ in ended) >= limit - 1
    assert all(answer.startswith(b"HTTP/1.1 408 ") and code in answer for _, answer in ended)


# -- a backlog ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backlog_is_worked_off_while_more_comes_in(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    """F51: 5,000 jobs, and the worker starts."""
    system = build()
    web = system.web()
    alone, held = sending_takes(system), memory(web.pid)
    batch = [{"type": "echo", "payload": number} for number in range(100)]
    jobs = {one["job_id"] for _ in range(50) for one in system.submit(batch).json()}
    assert len(jobs) == 5000

    worker = system.worker()
    idle = memory(worker.pid)
    assert sending_takes(system) <= 3 * alone + 0.05
    held_then, worked_then = memory(web.pid), memory(worker.pid)

    def statuses() -> Counter[bytes]:
        with system.redis.pipeline() as pipeline:
            for job_id in jobs:
                pipeline.hget(f"rq:job:{job_id}", "status")
            return Counter(pipeline.execute())

    wait_until(lambda: statuses() == {b"finished": len(jobs)}, timeout=60)
    assert Counter(run.job_id for run in system.runs() if run.job_id in jobs) == dict.fromkeys(jobs, 1)
    assert max(held_then, memory(web.pid)) <= 2 * held + (100 << 20)
    assert max(worked_then, memory(worker.pid)) <= 2 * idle + (100 << 20)


# -- the log -----------------------------------------------------------------------------------------------------------


def test_a_log_that_nobody_reads_any_more_stops_nothing(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F79: its reader took one line and went."""
    system = build()
    web = system.run("sh", "-c", "hookline web | grep -m1 listening", said="listening on port")
    worker = system.run("sh", "-c", "hookline worker | grep -m1 serves", said=" serves ")
    wait_until(
        lambda: [len(descendants(shell.pid)) for shell in (web, worker)] == [1, 1]
    )  # the reader has gone

    assert system.http.post("/hooks/acme", content=b"{}").status_code == 401  # which is logged
    talks = [
        system.submit({"type": "loud-child" if number % 2 else "loud"}).json()["job_id"]
        for number in range(2)
    ]
    body, headers = by_acme({"type": "echo", "callback_url": inbox.url("unread")}, delivery=uuid.uuid4().hex)
    for _ in range(2):
        answer = system.http.post("/hooks/acme", content=body, headers=headers)
        assert answer.is_success
    job_id = answer.json()["job_id"]

    system.ended(job_id)
    inbox.wait_for("unread")
    for one in talks:
        assert system.ended(one, "failed")["error"]["type"] == "ResultTooLarge"
    assert len(system.runs(job_id)) == len(inbox.posts("unread")) == 1
    assert system.http.get("/readyz").status_code == 200
