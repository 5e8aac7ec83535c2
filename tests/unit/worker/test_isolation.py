"""Where an attempt is made, and what becomes of it when its process fails; no process is started here."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from handlers.attempt import Runner
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from handlers.rehearsal import Rehearsal
from handlers.testing import START, RecordedEffects
from infra.clock import ManualClock
from infra.ledger.jobs import CRASH_CAP
from infra.ledger.records import Claim, ErrorInfo, Failed, Finished, Outcome, Retried
from worker.children import Children, ProcessDied
from worker.isolation import Isolation


@dataclass
class Pretended:
    """Children that answer as they are told to, and note how they were asked."""

    answer: Outcome | Exception = field(default_factory=lambda: Finished(result='"a child"'))
    asked: list[dict[str, Any]] = field(default_factory=list)
    crowded: bool = False
    closed: bool = False

    async def run(self, claim: Claim, **how: Any) -> Outcome:
        self.asked.append(how)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aclose(self) -> None:
        self.closed = True


async def in_the_loop() -> str:
    return threading.current_thread().name


def in_a_thread() -> str:
    return threading.current_thread().name


def attempt(
    function: Callable[..., Any], children: Pretended, *, crashes: int = 0, attempt: int = 1, **declared: Any
) -> Outcome:
    registry = Registry()
    registry.handler("acme", timeout="1m", **declared)(function)
    handler = registry.find("acme", "t")
    assert handler is not None
    claim = Claim(
        job_id="job_1", event_id="evt_1", token="w-1", queue="default", attempt=attempt, crashes=crashes, claimed_at=START,
        created_at=START, source="acme", type="t", received_at=START, headers={}, content_type="", body=b"", metadata={},
    )  # fmt: skip

    async def main() -> Outcome:
        isolation = isolation_over(registry, children)
        return await isolation.run(handler, claim)

    return asyncio.run(main())


def isolation_over(registry: Registry, children: Pretended) -> Isolation:
    runner = Runner(
        registry, executor=ThreadPoolExecutor(1, thread_name_prefix="thread"), effects=RecordedEffects(),
        services=Rehearsal(ManualClock(START)), http=HTTPClients(), clock=ManualClock(START), jitter=lambda: 0.5,
    )  # fmt: skip
    return Isolation(runner, cast("Children", children), threads=1)


@pytest.mark.parametrize(
    ("function", "words", "crashes", "ran_in", "alone"),
    [
        (in_the_loop, {}, 0, "MainThread", None),
        (in_a_thread, {}, 0, "thread_0", None),
        (in_the_loop, {"isolation": "process"}, 0, "a child", False),
        (in_a_thread, {"isolation": "process"}, 0, "a child", False),
        (in_the_loop, {}, CRASH_CAP - 2, "MainThread", None),
        (in_the_loop, {}, CRASH_CAP - 1, "a child", True),
        (in_a_thread, {}, CRASH_CAP - 1, "a child", True),
        (in_a_thread, {"isolation": "process"}, CRASH_CAP - 2, "a child", False),
        (in_a_thread, {"isolation": "process"}, CRASH_CAP - 1, "a child", True),
    ],
)
def test_a_handler_runs_where_it_was_declared_to_until_its_worker_has_died_twice(
    function: Callable[..., Any], words: dict[str, Any], crashes: int, ran_in: str, alone: bool | None
) -> None:
    children = Pretended()

    outcome = attempt(function, children, crashes=crashes, attempt=crashes + 1, **words)

    assert outcome == Finished(result=f'"{ran_in}"')
    assert children.asked == ([] if alone is None else [{"limit": timedelta(minutes=1), "alone": alone}])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            ProcessDied("was killed by SIGKILL", running=True),
            "ProcessDied: the handler's process was killed by SIGKILL",
        ),
        (
            ProcessDied("ended with exit code 1", running=False),
            "ProcessDied: the handler's process ended with exit code 1, before the attempt began",
        ),
        (TimeoutError("the attempt took longer than 60s"), "TimeoutError: the attempt took longer than 60s"),
        (BlockingIOError(11, "no more processes"), "BlockingIOError: [Errno 11] no more processes"),
    ],
)
def test_what_goes_wrong_with_a_process_is_retried_by_the_handlers_policy(
    fault: Exception, error: str
) -> None:
    def run(number: int) -> Outcome:
        return attempt(
            in_a_thread, Pretended(fault), attempt=number, isolation="process", max_attempts=2, backoff="10s"
        )

    first, second = run(1), run(2)

    assert isinstance(first, Retried)
    assert (first.delay, text(first.error)) == (timedelta(seconds=10), error)
    assert isinstance(second, Failed)
    assert text(second.error) == error


def test_the_third_death_fails_the_job_whatever_its_policy() -> None:
    died = ProcessDied("was killed by SIGSEGV", running=True)

    outcome = attempt(in_the_loop, Pretended(died), crashes=2, attempt=3, max_attempts=50)

    assert isinstance(outcome, Failed)
    assert text(outcome.error) == (
        "WorkerLost: the handler's process was killed by SIGSEGV; "
        "2 workers had died during this job before: it is given up"
    )


@pytest.mark.parametrize(
    "fault", [ProcessDied("ended with exit code 1", running=False), TimeoutError("the attempt took too long")]
)
def test_a_suspect_that_did_not_kill_again_is_retried_as_any_other(fault: Exception) -> None:
    assert isinstance(attempt(in_the_loop, Pretended(fault), crashes=2, attempt=3), Retried)


def test_a_worker_is_crowded_when_its_children_are_and_ends_them() -> None:
    async def main() -> None:
        children = Pretended(crowded=True)
        isolation = isolation_over(Registry(), children)
        assert isolation.crowded
        children.crowded = False
        assert not isolation.crowded
        await isolation.aclose()
        assert children.closed

    asyncio.run(main())


def text(error: ErrorInfo) -> str:
    return f"{error.type}: {error.message}"
