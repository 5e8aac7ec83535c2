"""`SOURCE_<NAME>_RATE`: one rate for all web processes, and 429 for what is too much."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.acceptance.builders import Server, System, assert_problem, by_acme, free_port

pytestmark = pytest.mark.slow  # many processes, one after the other


def two_doors(build: Callable[..., System], **settings: str) -> Callable[[int], httpx.Response]:
    """Two web processes; the number of an event says which one it goes to."""
    running, port = build(**settings), free_port()
    running.web()
    running.web(PORT=str(port))

    def send(number: int) -> httpx.Response:
        body, headers = by_acme({"type": "echo", "n": number}, delivery=f"d-{number}")
        door = f"http://127.0.0.1:{port}" if number % 2 else str(running.http.base_url)
        return httpx.post(f"{door}/hooks/acme", content=body, headers=headers, trust_env=False)

    return send


def test_two_web_processes_take_together_what_the_rate_says(build: Callable[..., System]) -> None:
    send = two_doors(build, SOURCE_ACME_RATE="30/h")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(100)))

    assert Counter(answer.status_code for answer in answers) == {202: 30, 429: 70}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, 429, "rate_spent")
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert send(1000).status_code == 429


def test_places_come_back(build: Callable[..., System], wait_until: Callable[..., object]) -> None:
    send = two_doors(build, SOURCE_ACME_RATE="5/s")
    taken = Counter(send(number).status_code for number in range(40))
    assert taken[202] >= 5
    wait_until(lambda: send(41).status_code in (200, 202), timeout=5)


def test_without_redis_the_answer_is_that_nothing_was_promised(
    build: Callable[..., System], server: Server
) -> None:
    send = two_doors(build, SOURCE_ACME_RATE="5/h")
    assert send(0).status_code == 202
    server.kill()
    assert_problem(send(1), 503, "not_recorded")
    server.start()
    assert send(1).status_code == 202
