"""Callbacks to receivers that are dead, hang, fail or were away, beside others that are well."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median

import pytest

from tests.acceptance.builders import CALLBACK_SECRET, System
from tests.acceptance.inbox import Answer, Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other

DEAD, ALIVE = 300, 60
BATCH = 50


def submit_many(house: System, url: str, count: int) -> list[str]:
    """So many jobs whose outcome goes there. Returns their ids."""
    jobs = []
    for first in range(0, count, BATCH):
        batch = [
            {"type": "echo", "payload": number, "callback_url": url}
            for number in range(first, min(first + BATCH, count))
        ]
        answer = house.submit(batch)
        assert answer.status_code == 202, answer.text
        jobs += [one["job_id"] for one in answer.json()]
    return jobs


def delays(house: System, inbox: Inbox, name: str, count: int = ALIVE) -> list[float]:
    """How long each of so many callbacks took, from just before its job was submitted."""
    begun = time.monotonic()
    submit_many(house, inbox.url(name), count)
    return [post.at - begun for post in inbox.wait_for(name, count)]


@contextmanager
def hanging(inbox: Inbox, name: str) -> Iterator[str]:
    """A receiver that reads and does not answer while the block lasts."""
    released = threading.Event()
    try:
        yield inbox.answer(name, *[Answer(before=released.wait)] * 2_000)
    finally:
        released.set()


@contextmanager
def refusing() -> Iterator[str]:
    """An address that is bound, and where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/"


@contextmanager
def resetting() -> Iterator[str]:
    """A receiver that takes connections and closes them without a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.mark.parametrize("kind", ["hanging", "refusing", "resetting"])
def test_one_dead_receiver_starves_nobody(build: Callable[..., System], inbox: Inbox, kind: str) -> None:
    """F53, F65: 300 callbacks to a receiver that is no use, and behind them 60 to one that is well."""
    house = build(HOOKLINE_CALLBACK_TIMEOUT="2s", HOOKLINE_CALLBACK_SCHEDULE="1s,1s")
    house.web()
    house.worker()
    delays(house, inbox, f"warm-{kind}")
    dead = {"hanging": lambda: hanging(inbox, "hangs"), "refusing": refusing, "resetting": resetting}[kind]
    with dead() as url:
        submit_many(house, url, DEAD)
        beside = delays(house, inbox, f"beside-{kind}")
        assert median(beside) < 2, beside  # behind a dead one they would wait for its deadline at least
        if kind == "hanging":
            inbox.wait_for("hangs", 1)
            assert len(inbox.posts("hangs")) < DEAD / 2


def test_a_dead_hook_does_not_hold_up_another_of_its_host(build: Callable[..., System], inbox: Inbox) -> None:
    """Both are paths of one host, as Make's hooks are; each job has a query of its own, as n8n's have."""
    house = build(HOOKLINE_CALLBACK_TIMEOUT="2s")
    house.web()
    house.worker()
    with hanging(inbox, "dead-hook") as url:
        jobs = [
            {"type": "echo", "callback_url": f"{url}?execution={number}&signature=%2Fx"}
            for number in range(BATCH)
        ]
        assert house.submit(jobs).status_code == 202
        assert max(delays(house, inbox, "living-hook", 10)) < 2  # the deadline of one


def test_every_attempt_is_one_post_and_ends_by_the_deadline(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F53, F64: ten to a receiver that hangs become ten dead letters of three posts each."""
    house = build(HOOKLINE_CALLBACK_TIMEOUT="300ms")
    house.web()
    house.worker()
    with hanging(inbox, "dead-letters") as url:
        for job_id in submit_many(house, url, 10):
            limit = time.monotonic() + 30
            while (callback := house.job(job_id)["callback"]) is None or callback["status"] != "dead":
                assert time.monotonic() < limit, callback
                time.sleep(0.05)
            assert len(callback["attempts"]) == 3
            assert all(attempt["status"] is None for attempt in callback["attempts"])
        posts = inbox.posts("dead-letters")
    assert Counter(Counter(post.id for post in posts).values()) == {3: 10}


@pytest.mark.slow
def test_a_receiver_that_was_away_is_not_trampled_when_it_is_back(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F66: 200 callbacks wait; once it is back, no second brings half of them, and all are delivered."""
    house = build(
        HOOKLINE_CALLBACK_TIMEOUT="1s", HOOKLINE_CALLBACK_SCHEDULE="1s,1s,2s,2s,5s,5s,10s,10s,20s,20s,30s"
    )
    house.web()
    house.worker()
    away = [Answer(503)] * 100_000
    url = inbox.answer("away", *away)
    submit_many(house, url, 200)
    time.sleep(10)
    back = time.monotonic()  # first: what is taken at once counts too
    inbox.forget("away")

    limit = back + 120
    while len({post.id for post in inbox.posts("away") if post.at > back}) < 200:
        assert time.monotonic() < limit, len(inbox.posts("away"))
        time.sleep(0.2)
    taken = [post for post in inbox.posts("away") if post.at > back]
    assert len(taken) == 200, "each is taken once"
    assert max(Counter(int(post.at - back) for post in taken).values()) <= 100
    assert all(post.verified(CALLBACK_SECRET) for post in taken)


def test_a_rate_is_kept(build: Callable[..., System], inbox: Inbox) -> None:
    house = build(HOOKLINE_CALLBACK_RATE="20/s")
    house.web()
    house.worker()
    submit_many(house, inbox.url("paced"), 40)
    posts = inbox.wait_for("paced", 40)
    gaps = [second.at - first.at for first, second in pairwise(posts)]
    assert 1.8 < posts[-1].at - posts[0].at < 6
    assert median(gaps) > 0.03
