"""Failed attempts, grouped by where they fail."""

import asyncio
import sysconfig
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

import handlers
import worker
from handlers.failures import describe
from infra.ledger import LedgerError
from infra.ledger.records import ErrorInfo, Failed, Finished, Outcome, Retried, Settlement
from infra.ledger.troubles import Failures, Place
from tests.unit.worker.callback_jobs import NOW
from worker.failures import FailureNotes, place_of

ROOT = Path("/app")
LIBRARY = sysconfig.get_path("purelib")
HOUSE = str(Path(handlers.__file__).parent)
WORKER = str(next(iter(worker.__path__)))


def trace(*frames: str) -> str:
    lines = [f'  File "{name}", line {number}, in f\n    a()' for number, name in enumerate(frames, 1)]
    return "\n".join(["Traceback (most recent call last):", *lines, "KeyError: 'a'"])


@pytest.mark.parametrize(
    ("frames", "place"),
    [
        (("/app/taking.py",), "taking.py:1"),
        (("/app/taking.py", "/app/pkg/helping.py"), "pkg/helping.py:2"),
        ((f"{HOUSE}/attempt.py", "/app/taking.py", f"{LIBRARY}/httpx/_client.py"), "taking.py:2"),
        ((f"{HOUSE}/attempt.py", f"{HOUSE}/fireflies.py", f"{HOUSE}/context.py"), "handlers/fireflies.py:2"),
        ((f"{WORKER}/child.py", "/app/taking.py", "<frozen importlib>"), "taking.py:2"),
        (("/srv/elsewhere/taking.py",), "elsewhere/taking.py:1"),
        ((f"{LIBRARY}/httpx/_client.py",), "httpx/_client.py:1"),  # better than nothing
        ((), ""),
    ],
)
def test_the_place_is_the_innermost_line_of_the_users_own(frames: tuple[str, ...], place: str) -> None:
    assert place_of(trace(*frames), root=ROOT) == place


def test_of_a_chain_the_error_that_came_out_counts() -> None:
    chained = f"{trace('/app/inner.py')}\n\nThe above exception was the direct cause …\n\n{trace('/app/a.py', '/app/outer.py')}"
    assert place_of(chained, root=ROOT) == "outer.py:2"


def test_a_real_traceback_is_understood() -> None:
    try:
        {}["a"]  # type: ignore[var-annotated]
    except KeyError as error:
        told = describe(error)
    name, _, line = place_of(told.trace, root=Path(__file__).parent).partition(":")
    assert name == Path(__file__).name
    assert int(line) > 0


class Kept:
    """A ledger that keeps what it is told, or refuses to."""

    def __init__(self) -> None:
        self.notes: list[dict[Place, Failures]] = []
        self.away = False

    async def note(self, failures: dict[Place, Failures]) -> None:
        if self.away:
            raise LedgerError("away")
        self.notes.append(failures)


def settled(outcome: Outcome, *, job: str = "job_1") -> Settlement:
    claim = cast("Any", type("ClaimOf", (), {"job_id": job, "claimed_at": NOW}))
    return Settlement(claim=claim, outcome=outcome, handler="taking:pushed", max_attempts=5)


def error(kind: str = "KeyError", *frames: str) -> ErrorInfo:
    return ErrorInfo(type=kind, message="m" * 500, trace=trace(*frames))


def test_failed_attempts_of_one_place_are_told_together() -> None:
    kept = Kept()
    notes = FailureNotes(cast("Any", kept), root=ROOT)
    notes.note(settled(Retried(delay=timedelta(0), error=error("KeyError", "/app/taking.py"))))
    notes.note(settled(Failed(error=error("KeyError", "/app/taking.py")), job="job_2"))
    notes.note(settled(Failed(error=error("ValueError", "/app/taking.py")), job="job_3"))
    notes.note(settled(Finished(result="1")))
    notes.note(settled(Retried(delay=timedelta(0), error=error("RetryLater", "/app/taking.py"))))
    asyncio.run(notes.flush())
    asyncio.run(notes.flush())  # there is nothing more to tell
    place = Place(handler="taking:pushed", type="KeyError", place="taking.py:1")
    other = Place(handler="taking:pushed", type="ValueError", place="taking.py:1")
    assert kept.notes == [
        {
            place: Failures("m" * 200, "job_2", attempts=2, given_up=1),
            other: Failures("m" * 200, "job_3", attempts=1, given_up=1),
        }
    ]


def test_places_that_wait_to_be_told_are_bounded() -> None:
    kept = Kept()
    notes = FailureNotes(cast("Any", kept), root=ROOT)
    for number in range(250):
        notes.note(settled(Failed(error=error(f"Error{number}"))))
    asyncio.run(notes.flush())
    assert len(kept.notes[0]) == 200


def test_a_redis_that_is_away_costs_the_counts_alone() -> None:
    kept = Kept()
    kept.away = True
    notes = FailureNotes(cast("Any", kept), root=ROOT)
    notes.note(settled(Failed(error=error())))
    asyncio.run(notes.flush())
    assert kept.notes == []
