"""Handlers in real child processes: what they may do to themselves, and that it costs nobody else anything."""

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from handlers.attempt import Runner
from handlers.http_clients import HTTPClients
from handlers.registry import Registry, default_registry, load
from handlers.rehearsal import Rehearsal
from handlers.testing import START, RecordedEffects
from infra.clock import ManualClock
from infra.ledger.records import Claim, Failed, Finished, Outcome, Released, Retried
from tests.integration.processes import running
from worker import children
from worker.children import Children
from worker.frames import Setup
from worker.isolation import Isolation

pytestmark = pytest.mark.slow  # many processes, one after the other

PROJECT = str(Path(__file__).with_name("project"))


@dataclass
class Box:
    """What runs the attempts of one test, and what its handlers said."""

    isolation: Isolation
    registry: Registry
    effects: RecordedEffects

    def run(self, type: str, payload: Any = None, **known: Any) -> Awaitable[Outcome]:
        claim = Claim(
            job_id="job_1", event_id="evt_1", token="w-1", queue="default", claimed_at=START, created_at=START, source="box",
            type=type, received_at=START, headers={}, content_type="application/json", body=json.dumps(payload).encode(),
            **{"attempt": 1, "crashes": 0, "metadata": {}} | known,
        )  # fmt: skip
        handler = self.registry.find("box", type)
        assert handler is not None
        return self.isolation.run(handler, claim)

    async def result(self, type: str, payload: Any = None, **known: Any) -> Any:
        outcome = await self.run(type, payload, **known)
        assert isinstance(outcome, Finished), outcome
        return json.loads(outcome.result)


Test = Callable[[Box], Awaitable[None]]


@pytest.fixture
def in_box(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``in_box(test)``: run an async test in a loop, with children that are gone afterwards."""
    monkeypatch.setattr(default_registry, "_handlers", {})
    monkeypatch.syspath_prepend(PROJECT)
    monkeypatch.delitem(sys.modules, "isolated", raising=False)
    registry = load(["isolated"])

    async def run(test: Test, slots: int) -> None:
        effects = RecordedEffects()
        services = Rehearsal(ManualClock(START))
        setup = Setup(modules=("isolated",), path=tuple(sys.path))
        runner = Runner(
            registry, executor=ThreadPoolExecutor(1), effects=effects, services=services, http=HTTPClients(), clock=ManualClock(START),
            jitter=lambda: 0.5,
        )  # fmt: skip
        isolation = Isolation(
            runner, Children(setup, slots=slots, effects=effects, services=services), threads=1
        )
        try:
            async with asyncio.timeout(60):
                await test(Box(isolation, registry, effects))
        finally:
            await isolation.aclose()

    return lambda test, slots=2: asyncio.run(run(test, slots))


async def pids_in(file: Path) -> list[int]:
    async with asyncio.timeout(20):
        while not (file.exists() and file.read_text()):
            await asyncio.sleep(0.01)
    return [int(pid) for pid in file.read_text().split()]


async def all_gone(pids: list[int]) -> None:
    async with asyncio.timeout(10):
        while any(map(running, pids)):
            await asyncio.sleep(0.02)


def error_of(outcome: Outcome, kind: type[Failed | Retried] = Failed) -> tuple[str, str]:
    assert isinstance(outcome, kind), outcome
    return outcome.error.type, outcome.error.message


def test_a_job_runs_in_a_process_that_the_next_one_finds_warm(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        payload = {"naïve": ["\u2028", 10**30, 0.1]}
        first = await box.result("echo", payload, attempt=3)
        second = await box.result("plain")
        assert (first["payload"], first["attempt"]) == (payload, 3)
        assert first["pid"] == second["pid"] != os.getpid()

    in_box(test)


def test_metadata_of_any_size_of_number_reaches_the_handler(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        assert (await box.result("echo", 1, metadata={"n": -(10**25)}))["payload"] == 1

    in_box(test)


def test_a_def_handler_has_the_main_thread_and_no_loop_around_it(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        told = await box.result("plain")
        assert (told["main thread"], told["slept"]) == (True, "yes")

    in_box(test)


def test_what_a_handler_says_goes_where_it_belongs(
    in_box: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    async def test(box: Box) -> None:
        assert await box.result("talks") == ""
        assert box.effects.lines == [("info", "to the job's log")]
        assert box.effects.reports[-1].current == 9_999
        assert len(box.effects.reports) < 100

    in_box(test)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("to standard output\n", "to standard error\n")


def test_too_much_output_and_too_large_a_result_end_in_a_refusal(
    in_box: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    async def test(box: Box) -> None:
        outcome = await box.run("too much")
        assert len(capfd.readouterr().out) == (50 << 20) + 1
        assert error_of(outcome)[0] == "ResultTooLarge"
        assert len(await box.result("large")) == 3 << 20

    in_box(test)


def test_a_handler_that_ignores_every_signal_is_killed_when_its_time_is_over(
    in_box: Callable[..., None], tmp_path: Path
) -> None:
    async def test(box: Box) -> None:
        began = time.monotonic()
        outcome = await box.run("stubborn", str(tmp_path / "pid"))
        assert time.monotonic() - began < 20
        assert error_of(outcome) == ("TimeoutError", "the attempt took longer than 0.5s")
        await all_gone(await pids_in(tmp_path / "pid"))

    in_box(test)


def test_a_handler_that_never_gives_way_costs_the_loop_nothing(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        await asyncio.gather(box.run("echo"), box.run("echo"))  # two warm children
        spinning = asyncio.ensure_future(box.run("spins"))
        assert await box.result("echo")
        assert not spinning.done()
        assert error_of(await spinning)[0] == "TimeoutError"

    in_box(test)


def test_an_async_handler_may_tidy_up_after_its_time(in_box: Callable[..., None], tmp_path: Path) -> None:
    async def test(box: Box) -> None:
        assert error_of(await box.run("tidy", str(tmp_path / "said")), Retried)[0] == "TimeoutError"
        assert (tmp_path / "said").read_text() == "tidied up"

    in_box(test)


def test_a_timeout_kills_the_programs_that_a_handler_started(
    in_box: Callable[..., None], tmp_path: Path
) -> None:
    async def test(box: Box) -> None:
        assert error_of(await box.run("is late with a program", str(tmp_path / "pids")))[0] == "TimeoutError"
        pids = await pids_in(tmp_path / "pids")
        assert len(pids) == 2
        await all_gone(pids)

    in_box(test)


def test_a_cancelled_attempt_is_killed_with_its_programs(in_box: Callable[..., None], tmp_path: Path) -> None:
    async def test(box: Box) -> None:
        attempt = asyncio.ensure_future(box.run("waits for a program", str(tmp_path / "pids")))
        pids = await pids_in(tmp_path / "pids")
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await all_gone(pids)
        assert await box.result("echo")

    in_box(test)


def test_a_process_that_ends_by_itself_is_a_failed_attempt(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        killed = "the handler's process was killed by SIGKILL, as Linux does when memory runs out"
        assert error_of(await box.run("dies", "SIGKILL", attempt=1), Retried) == ("ProcessDied", killed)
        assert error_of(await box.run("dies", "SIGKILL", attempt=2), Failed) == ("ProcessDied", killed)
        for payload, how in [
            ("SIGSEGV", "was killed by SIGSEGV"),
            (0, "ended with exit code 0"),
            (3, "ended with exit code 3"),
        ]:
            died = ("ProcessDied", f"the handler's process {how}")
            assert error_of(await box.run("dies", payload), Retried) == died
        assert await box.result("echo")

    in_box(test)


def test_a_fork_that_outlives_its_process_hides_nothing_and_ends_too(
    in_box: Callable[..., None], tmp_path: Path
) -> None:
    async def test(box: Box) -> None:
        outcome = await box.run("dies and leaves a fork", str(tmp_path / "pids"))
        assert error_of(outcome, Retried)[0] == "ProcessDied"
        await all_gone(await pids_in(tmp_path / "pids"))

    in_box(test)


def test_the_third_death_of_a_job_costs_a_child_of_its_own_and_fails_the_job(
    in_box: Callable[..., None],
) -> None:
    async def test(box: Box) -> None:
        assert await box.result("in the worker", attempt=2, crashes=1) == os.getpid()
        warm = (await box.result("echo"))["pid"]
        alone = await box.result("in the worker", attempt=3, crashes=2)
        assert alone not in (warm, os.getpid(), (await box.result("echo"))["pid"])
        kind, message = error_of(await box.run("poison", attempt=3, crashes=2))
        assert kind == "WorkerLost"
        assert message.startswith("the handler's process was killed by SIGKILL")
        assert message.endswith("; 2 workers had died during this job before: it is given up")

    in_box(test)


def test_a_task_that_a_handler_left_behind_does_not_reach_the_next_job(in_box: Callable[..., None]) -> None:
    async def test(box: Box) -> None:
        assert await box.result("leaves a task") == "left Task"
        assert box.effects.reports[-1].message == "done"
        assert await box.result("echo")

    in_box(test)


@pytest.mark.parametrize("trap", ["hang", "exit"])
def test_what_a_handler_does_to_its_process_after_its_end_costs_neither_it_nor_the_next_job(
    in_box: Callable[..., None], monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(children, "_SECONDS_TO_TIDY", 0.2)

    async def test(box: Box) -> None:
        trapped = await box.result("leaves a trap", trap)
        assert (await box.result("echo"))["pid"] != trapped

    in_box(test)


def test_a_child_that_can_not_load_the_handlers_is_a_failed_attempt_and_names_the_cause(
    in_box: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "isolated.py").write_text("import nowhere\n")

    async def test(box: Box) -> None:
        outcome = await box.run("echo")
        assert error_of(outcome, Retried) == (
            "ProcessDied",
            "the handler's process ended with exit code 1, before the attempt began",
        )

    monkeypatch.syspath_prepend(str(tmp_path))
    in_box(test)
    assert "the handler module isolated can't be imported: ModuleNotFoundError" in capfd.readouterr().err


def test_a_job_waits_for_a_slot_and_goes_back_when_others_keep_it(
    in_box: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(children, "SECONDS_OF_PATIENCE", 0.2)

    async def test(box: Box) -> None:
        long = asyncio.ensure_future(box.run("waits for a program", str(tmp_path / "pids")))
        await pids_in(tmp_path / "pids")
        waiting = [asyncio.ensure_future(box.run("echo")) for _ in range(2)]
        await asyncio.sleep(0)
        assert box.isolation.crowded
        for outcome in await asyncio.gather(*waiting):
            assert isinstance(outcome, Released)
            assert outcome.delay.total_seconds() == 1
        assert not box.isolation.crowded
        long.cancel()
        await asyncio.wait([long])
        assert await box.result("echo")

    in_box(test, slots=1)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_open_files_and_processes_stay_flat_over_many_jobs(
    in_box: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_ATTEMPTS_PER_CHILD", 60)

    async def test(box: Box) -> None:
        await asyncio.gather(box.result("echo"), box.result("echo"))
        before, seen = open_files(), set()
        for _ in range(150):
            for told in await asyncio.gather(box.result("echo"), box.result("plain")):
                seen.add(told["pid"])
        async with asyncio.timeout(10):
            while open_files() > before:  # until the last retired child is buried
                await asyncio.sleep(0.01)
        assert 300 / 60 <= len(seen) <= 300 / 60 + 2

    in_box(test)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


ORPHANS = f"""
import asyncio, sys
from datetime import timedelta
from handlers.rehearsal import Rehearsal
from handlers.testing import START, RecordedEffects
from infra.clock import ManualClock
from infra.ledger.records import Claim
from worker.children import Children
from worker.frames import Setup

claim = Claim(job_id="job_1", event_id="evt_1", token="w-1", queue="default", attempt=1, crashes=0, claimed_at=START,
    created_at=START, source="box", type="waits for a program", received_at=START, headers={{}},
    content_type="application/json", body=sys.argv[1].encode(), metadata={{}})
setup = Setup(modules=("isolated",), path=({PROJECT!r}, *sys.path))
services = Rehearsal(ManualClock(START))
asyncio.run(Children(setup, slots=1, effects=RecordedEffects(), services=services).run(claim, limit=timedelta(minutes=5)))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_and_its_programs_end_with_the_worker(
    spawn: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    worker = spawn(
        "python",
        "-c",
        ORPHANS,
        json.dumps(str(tmp_path / "pids")),
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    pids = asyncio.run(pids_in(tmp_path / "pids"))
    worker.stop(number)
    asyncio.run(all_gone(pids))


def test_a_child_that_is_asked_to_stop_leaves_that_to_the_worker(
    in_box: Callable[..., None], tmp_path: Path
) -> None:
    async def test(box: Box) -> None:
        attempt = asyncio.ensure_future(box.run("waits for a program", str(tmp_path / "pids")))
        pid, program = await pids_in(tmp_path / "pids")
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        os.kill(program, signal.SIGTERM)  # which is not deaf to it
        assert isinstance(await attempt, Finished)

    in_box(test)
