"""What a handler in a child process asks reaches the worker, and the answer, or the error, comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.errors import AttemptOver, CallRefused
from handlers.rehearsal import Rehearsal
from handlers.services import JobState
from handlers.testing import START
from infra.clock import ManualClock
from infra.errors import HooklineError
from infra.ledger import LedgerError
from infra.ledger.records import Claim
from infra.submission import Submission
from worker.asking import Asking, answer
from worker.frames import Answered, Asked, Message

CLAIM = Claim(
    job_id="job_1", event_id="evt_1", token="w-1", queue="default", attempt=1, crashes=0, claimed_at=START, created_at=START,
    source="acme", type="t", received_at=START, headers={}, content_type="", body=b"", metadata={},
)  # fmt: skip


class Wire:
    """Carries questions to a worker, which answers them one after the other."""

    def __init__(self, services: Any) -> None:
        self.asking = Asking(self)
        self.claims: list[str] = []
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []

    def say(self, *messages: Message) -> None:
        for message in messages:
            assert isinstance(message, Asked)
            self._tasks.append(asyncio.create_task(self._answer(message)))

    async def _answer(self, asked: Asked) -> None:
        said = await answer(self._services, CLAIM, asked)
        await asyncio.to_thread(self.asking.answered, said)


def over_a_wire(services: Any, test: Callable[[Asking], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(Wire(services).asking)

    asyncio.run(run())


def test_each_question_has_its_answer() -> None:
    clock = ManualClock(START)
    known = JobState(id="job_0", status="finished", type="sum", result=[1], metadata={"of": "ü"})
    rehearsal = Rehearsal(clock, {("payments", "pay_1"): {"paid": [1, None]}}, earlier={"-": [known]})
    other_claim = replace(CLAIM, job_id="job_2")  # the worker goes by its own

    async def test(asking: Asking) -> None:
        await asking.keep(other_claim, "step:naïve", '{"a":"ü"}')
        assert await asking.kept(other_claim) == {"step:naïve": '{"a":"ü"}'}
        job_id = await asking.enqueue(
            other_claim, Submission(type="mail", payload={"to": "a"}, run_at=START), "#1"
        )
        assert job_id.startswith("job_")
        came = await asking.look_for(other_claim, "payments", "pay_1", None)
        assert came.event is not None
        assert (came.event.payload, came.now) == ({"paid": [1, None]}, START)
        assert (await asking.look_for(other_claim, "payments", "pay_2", None)).event is None
        assert await asking.recent(other_claim, "sum", "blue", 5) == [known]

    over_a_wire(rehearsal, test)
    assert rehearsal.enqueued == [Submission(type="mail", payload={"to": "a"}, run_at=START)]


def test_answers_find_their_questions_in_any_order() -> None:
    class Slow(Rehearsal):
        async def enqueue(self, claim: Claim, submission: Submission, key: str) -> str:
            await asyncio.sleep(0.02 if key == "#1" else 0)
            return key

    async def test(asking: Asking) -> None:
        one = Submission(type="mail")
        assert await asyncio.gather(*(asking.enqueue(CLAIM, one, key) for key in ("#1", "#2", "#3"))) == [
            "#1",
            "#2",
            "#3",
        ]

    over_a_wire(Slow(ManualClock(START)), test)


@pytest.mark.parametrize(
    "error", [AttemptOver(), CallRefused("a name twice"), LedgerError("Redis did not answer")], ids=type
)
def test_an_error_is_raised_where_it_was_asked(error: HooklineError) -> None:
    class Refusing(Rehearsal):
        async def keep(self, claim: Claim, name: str, text: str) -> None:
            raise error

    async def test(asking: Asking) -> None:
        with pytest.raises(type(error)) as caught:
            await asking.keep(CLAIM, "step:a", "1")
        assert str(caught.value) == str(error)

    over_a_wire(Refusing(ManualClock(START)), test)


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    class Silent:
        def say(self, *messages: Message) -> None:
            """Nobody answers."""

    async def run() -> None:
        asking = Asking(Silent())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking.kept(CLAIM), timedelta(milliseconds=10).total_seconds())
        asking.answered(Answered(1))
        asking.answered(Answered(7))

    asyncio.run(run())
