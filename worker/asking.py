"""How a handler in a child process asks its worker for what outlives the attempt: `Asking` there, `answer` here."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from handlers.services import Awaited, JobState, Services
from infra.errors import HooklineError
from infra.files import Artifact
from infra.ledger.records import Claim
from infra.submission import Submission
from worker.frames import (
    Answered,
    Asked,
    Children,
    Enqueue,
    Keep,
    Kept,
    Load,
    LookFor,
    Message,
    Question,
    Recent,
    Refusal,
    States,
    Store,
)

_T = TypeVar("_T")


class Speaker(Protocol):
    """What sends to the worker."""

    def say(self, *messages: Message) -> None:
        """Send messages."""


class Asking:
    """The `Services` of a child: each call is a question to the worker, which knows the claim.

    Args:
        voice: what carries the questions; the answers come in by `answered`, from another thread.
    """

    def __init__(self, voice: Speaker) -> None:
        self._voice = voice
        self._numbers = count(1)
        self._open: dict[int, Future[Answered]] = {}

    async def kept(self, claim: Claim) -> Mapping[str, str]:  # noqa: ARG002
        return await self._ask(Kept(), dict[str, str])

    async def keep(self, claim: Claim, name: str, text: str) -> None:  # noqa: ARG002
        await self._ask(Keep(name, text), type(None))

    async def enqueue(self, claim: Claim, submission: Submission, key: str) -> str:  # noqa: ARG002
        return await self._ask(Enqueue(submission, key), str)

    async def look_for(self, claim: Claim, source: str, key: str, event_id: str | None) -> Awaited:  # noqa: ARG002
        return await self._ask(LookFor(source, key, event_id), Awaited)

    async def states(self, claim: Claim, job_ids: Sequence[str]) -> list[JobState]:  # noqa: ARG002
        return await self._ask(States(tuple(job_ids)), list[JobState])

    async def children(self, claim: Claim, job_id: str) -> list[str]:  # noqa: ARG002
        return await self._ask(Children(job_id), list[str])

    async def recent(self, claim: Claim, type_: str, tag: str | None, limit: int) -> list[JobState]:  # noqa: ARG002
        return await self._ask(Recent(type_, tag, limit), list[JobState])

    async def store(self, claim: Claim, name: str, content_type: str, path: Path) -> Artifact:  # noqa: ARG002
        return await self._ask(Store(name, content_type, str(path)), Artifact)

    async def load(self, claim: Claim, reference: str, path: Path) -> None:  # noqa: ARG002
        await self._ask(Load(reference, str(path)), type(None))

    def answered(self, answer: Answered) -> None:
        """The worker has answered; an answer that nobody waits for any more is dropped."""
        if (waiting := self._open.pop(answer.number, None)) is not None:
            waiting.set_result(answer)

    async def _ask(self, question: Question, kind: type[_T]) -> _T:
        number, waiting = next(self._numbers), Future[Answered]()
        self._open[number] = waiting
        try:
            self._voice.say(Asked(number, question))
            answer = await asyncio.wrap_future(waiting)
        finally:
            self._open.pop(number, None)
        if answer.error is not None:
            raise answer.error.exception
        return msgspec.json.decode(answer.value, type=kind)


async def answer(services: Services, claim: Claim, asked: Asked) -> Answered:
    """What a worker says to a question of the child that has this claim."""
    try:
        value = await _asked(services, claim, asked.question)
    except HooklineError as error:
        return Answered(asked.number, error=Refusal.by(error))
    return Answered(asked.number, msgspec.Raw(msgspec.json.encode(value)))


async def _asked(services: Services, claim: Claim, question: Question) -> object:
    match question:
        case Kept():
            return await services.kept(claim)
        case Keep(name, text):
            await services.keep(claim, name, text)
            return None
        case Enqueue(submission, key):
            return await services.enqueue(claim, submission, key)
        case LookFor(source, key, event_id):
            return await services.look_for(claim, source, key, event_id)
        case Children(job_id):
            return await services.children(claim, job_id)
        case States(job_ids):
            return await services.states(claim, job_ids)
        case Recent(type_, tag, limit):
            return await services.recent(claim, type_, tag, limit)
        case Store(name, content_type, path):
            return await services.store(claim, name, content_type, Path(path))
        case Load(reference, path):
            await services.load(claim, reference, Path(path))
            return None
