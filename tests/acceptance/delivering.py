"""Senders as providers are: each event has an id, and whatever got no 2xx is sent again with the same one."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx

from tests.acceptance.builders import System
from tests.acceptance.inbox import Inbox


def deliver(system: System, delivery: str, callback_url: str) -> httpx.Response | None:
    """Send the event of that delivery; None where no answer came."""
    try:
        return system.send({"type": "echo", "n": delivery, "callback_url": callback_url}, delivery=delivery)
    except httpx.TransportError:
        return None


def deliver_all(
    system: System, deliveries: Iterable[str], callback_url: str
) -> dict[str, httpx.Response | None]:
    """Send many events over eight connections."""
    deliveries = list(deliveries)
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda delivery: deliver(system, delivery, callback_url), deliveries)
        return dict(zip(deliveries, answers, strict=True))


def deliver_until_taken(system: System, deliveries: Iterable[str], callback_url: str) -> dict[str, str]:
    """Send again, with the same id, whatever got no 2xx. Returns the jobs by delivery; refusals may be 503 only."""
    jobs: dict[str, str] = {}
    missing = list(deliveries)
    while missing:
        answers = deliver_all(system, missing, callback_url)
        assert {answer.status_code for answer in answers.values() if answer} <= {200, 202, 503}
        jobs |= taken(answers)
        missing = [name for name in missing if name not in jobs]
    return jobs


def taken(answers: dict[str, httpx.Response | None]) -> dict[str, str]:
    """The jobs of those that got 2xx, by delivery."""
    return {name: answer.json()["job_id"] for name, answer in answers.items() if answer and answer.is_success}


def assert_each_ran_once(system: System, inbox: Inbox, name: str, jobs: Iterable[str]) -> None:
    """Every job has finished after one run, and every one of them was called back once; no other was."""
    jobs = set(jobs)
    for job_id in jobs:
        system.ended(job_id)
    assert Counter(run.job_id for run in system.runs() if run.job_id in jobs) == dict.fromkeys(jobs, 1)
    inbox.wait_for(name, len(jobs))
    posted = Counter(post.id.replace("cb_", "job_") for post in inbox.posts(name))
    assert posted == dict.fromkeys(jobs, 1)


class Burst:
    """Four senders that send one event after the other for as long as they are entered.

    Attributes:
        answers: by delivery; None where no answer came.
    """

    def __init__(self, system: System, callback_url: str) -> None:
        self.answers: dict[str, httpx.Response | None] = {}
        self._system = system
        self._callback_url = callback_url
        self._over = threading.Event()
        self._senders = [threading.Thread(target=self._send) for _ in range(4)]

    def __enter__(self) -> Self:
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for sender in self._senders:
            sender.join()

    def _send(self) -> None:
        while not self._over.wait(0.01):
            delivery = uuid.uuid4().hex
            self.answers[delivery] = deliver(self._system, delivery, self._callback_url)

    @property
    def taken(self) -> dict[str, str]:
        """The jobs of those that got 2xx so far, by delivery."""
        return taken(dict(self.answers))

    @property
    def refused(self) -> list[httpx.Response]:
        """The answers of those that did not."""
        return [answer for answer in list(self.answers.values()) if answer and not answer.is_success]
