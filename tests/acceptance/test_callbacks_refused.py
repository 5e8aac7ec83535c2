"""Callbacks that would reach what must not be reached: nobody is called, and nobody learns anything."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import System, assert_problem, free_port, serving, system
from tests.acceptance.inbox import Answer, Inbox

HOSTILE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "hostile_urls.json").read_text(encoding="utf-8")
)["urls"]


@contextmanager
def canary() -> Iterator[tuple[int, list[int]]]:
    """A port on 127.0.0.1 that nobody may touch, and the connections that it saw."""
    touched: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def watch() -> None:
            while True:
                try:
                    connection, (_, port, *_) = server.accept()
                except OSError:
                    return
                touched.append(port)
                connection.close()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], touched
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """Only 127.0.0.9 is open, so 127.0.0.1 is as closed as any private address."""
    directory = tmp_path_factory.mktemp("narrow")
    with serving() as server, system(directory, server.url, HOOKLINE_CALLBACK_ALLOW="127.0.0.9/32") as house:
        house.web()
        house.worker()
        yield house


def refused(house: System, url: str) -> dict[str, Any]:
    return assert_problem(house.submit({"type": "echo", "callback_url": url}), 422, "callback_url_refused")


def test_no_hostile_url_is_taken_from_a_caller_or_called(narrow: System) -> None:
    """A054 to A066: 422, or a callback that never reaches the canary. No URL here has a host that exists."""
    with canary() as (port, touched):
        for case in HOSTILE:
            url = re.sub(r"(?<=127\.0\.0\.1)(?=[/:]|$)(?::\d+)?", f":{port}", case["url"], count=1)
            if "{" in url or case["cls"] == "redirect":
                continue
            answer = narrow.submit({"type": "echo", "callback_url": url})
            assert answer.status_code == 422, (case, answer.text)
            assert answer.json()["code"] == "callback_url_refused", case
        assert touched == []


def test_a_hook_that_names_a_hostile_url_is_run_and_calls_nobody(narrow: System) -> None:
    with canary() as (port, touched):
        answer = narrow.send({"type": "echo", "callback_url": f"http://127.0.0.1:{port}/"})
        assert answer.status_code == 202
        job = narrow.ended(answer.json()["job_id"])
        assert (job["callback"]["status"], job["callback"]["attempts"]) == ("blocked", [])
        assert touched == []


def test_a_refusal_does_not_say_what_listens_where(narrow: System) -> None:
    """A070: an open port, a closed one, a private network, and ourselves look alike, in words and in time."""
    with canary() as (port, touched):
        urls = [
            f"http://127.0.0.1:{port}/",
            f"http://127.0.0.1:{free_port()}/",
            "http://10.255.255.1/",
            str(narrow.http.base_url),
        ]
        told, took = [], []
        for url in urls:
            begun = time.monotonic()
            told.append(refused(narrow, url))
            took.append(time.monotonic() - begun)
        assert all(one == told[0] for one in told)
        assert max(took) < 1
        assert touched == []


def test_it_does_not_call_itself(narrow: System) -> None:
    """A069: by its own address it is as closed as any other, so no job can make further jobs."""
    for path in ("/hooks/acme", "/jobs", "/healthz"):
        refused(narrow, f"{narrow.http.base_url}{path}")


@pytest.mark.parametrize("url", ["https://user:hunter2@example.com/", "https://hunter2@example.com/"])
def test_a_url_with_a_password_is_refused_and_not_repeated(narrow: System, url: str) -> None:
    """A072."""
    assert "hunter2" not in json.dumps(refused(narrow, url))
    assert not any("hunter2" in process.output() for process in narrow.started)


def test_a_token_in_the_query_is_in_no_log(house: System, inbox: Inbox) -> None:
    """A072."""
    url = inbox.answer(
        "query?token=hunter2", Answer(500), Answer(302, {"Location": "/?token=hunter2"}), Answer(410)
    )
    answer = house.submit({"type": "echo", "callback_url": url})
    assert answer.status_code == 202
    limit = time.monotonic() + 15
    while (callback := house.job(answer.json()["job_id"])["callback"]) is None or callback[
        "status"
    ] != "dead":
        assert time.monotonic() < limit, callback
        time.sleep(0.05)
    assert not any("hunter2" in process.output() for process in house.started)
    assert "hunter2" not in str(callback["reason"])
    assert all("hunter2" not in str(attempt["error"]) for attempt in callback["attempts"])
