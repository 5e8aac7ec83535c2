"""What a handler does once, however often it is started: its steps, the jobs that it makes, the events that it waits for.

Whatever was done is kept as text under a name, and read once in an attempt, at the first call that needs it: a handler
that never calls pays nothing. All of it runs in the loop of the attempt; `handlers.context` lets ``def`` handlers in.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from handlers.errors import LONGEST_WAIT, AttemptOver, CallRefused, Waits, WaitTimeout
from handlers.event import Event
from handlers.results import encode_result
from handlers.services import JobState, Services
from infra.bounds import LONGEST_NAME, short_id
from infra.clock import from_unix_milliseconds, unix_milliseconds
from infra.durations import as_duration
from infra.ledger.records import Claim
from infra.submission import SubmissionError, read_submission

STEP_LIMIT: Final = 1 << 20
MOST_KEPT: Final = 5_000
KEPT_LIMIT: Final = 8 << 20
_NTH: Final = "job:#"  # before the number of a call that made a job
_NOBODY: Final = "-"  # a source that there can't be: only time ends the wait for other jobs
_SHORTEST_PAUSE: Final = timedelta(milliseconds=300)
_PAUSE_PER_JOB: Final = timedelta(milliseconds=20)
_LONGEST_PAUSE: Final = timedelta(seconds=2)
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


class Durable:
    """What one attempt does that later ones must know.

    Args:
        over: whether the attempt has ended; a thread that was left behind is refused.

    Attributes:
        waits: whether the attempt has to end, and wait.
    """

    def __init__(self, claim: Claim, services: Services, *, over: Callable[[], bool]) -> None:
        self.waits = False
        self._claim = claim
        self._services = services
        self._over = over
        self._used: set[str] = set()
        self._enqueued = 0
        self._kept: dict[str, str] | None = None
        self._size = 0
        self._reading = asyncio.Lock()

    async def step(self, name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """What the function returned, now or in an earlier attempt; a plain one is called in a thread."""
        kept = await self.begin(name)
        if kept is not None:
            return json.loads(kept)
        if inspect.iscoroutinefunction(function):
            value = await function(*args)
        else:
            value = await asyncio.to_thread(function, *args)
            if inspect.isawaitable(value):  # a lambda around a coroutine function
                value = await value
        return await self.end(name, value)

    async def begin(self, name: str) -> str | None:
        """What a step gave, as JSON, if it was done.

        Raises:
            CallRefused: the name is none, or was used in this attempt.
        """
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise CallRefused(f"a step's name has 1 to {LONGEST_NAME} printable characters")
        return await self._find(f"step:{name}", f"there are two steps {name!r}: each needs a name of its own")

    async def end(self, name: str, value: Any) -> Any:
        """Keep what a step gave. Returns it as later attempts will see it.

        Raises:
            Reject: it is no JSON, or too large.
        """
        text = encode_result(value, what=f"what the step {name!r} returned", limit=STEP_LIMIT)
        await self._keep(f"step:{name}", text)
        return json.loads(text)

    async def enqueue(self, type_: str, payload: Any, **options: Any) -> str:
        """The id of the job that this call makes, or made in an earlier attempt.

        Raises:
            CallRefused: such a job can't be made.
            Reject: the payload is no JSON.
        """
        self._enqueued += 1
        own, shared = options.pop("idempotency_key", None), options.pop("shared_key", None)
        key = f"#{self._enqueued}" if own is None else f":{short_id(own)}"
        known = await self._find(f"job:{key}", f"there are two jobs with the idempotency_key {own!r}")
        if known is not None:
            return str(json.loads(known))
        encode_result(payload, what="the payload")
        if isinstance(options.get("run_in"), timedelta):
            options["run_in"] = options["run_in"].total_seconds()
        given = {name: value for name, value in options.items() if value is not None}
        submitted = {**given, "type": type_, "payload": payload}
        try:
            submission = read_submission(submitted, now=self._claim.claimed_at)
        except SubmissionError as error:
            raise CallRefused(str(error)) from None
        known_by = self._claim.job_id + key if shared is None else f"shared:{shared}"
        job_id = await self._services.enqueue(self._claim, submission, short_id(known_by))
        await self._keep(f"job:{key}", json.dumps(job_id))
        return job_id

    async def wait_for(self, source: str, key: str, within: timedelta | str) -> Event:
        """The event.

        Raises:
            Waits: it has not come yet.
            WaitTimeout: it did not come in time.
            CallRefused: there can't be such an event, or it is no longer kept.
        """
        wait, key = _checked_wait(source, key, within), short_id(key)
        place = f"{source}:{key}"
        came = await self._find(f"event:{place}", f"the event {key} of {source} is waited for twice")
        event_id = None if came is None else json.loads(came)
        if came is not None and event_id is None:
            raise _too_late(source, key)
        awaited = await self._services.look_for(self._claim, source, key, event_id)
        if awaited.event is not None:
            if came is None:
                await self._keep(f"event:{place}", json.dumps(awaited.event.id))
            return awaited.event
        if event_id is not None:
            raise CallRefused(f"the event {key} of {source} came, and is no longer kept")
        until = await self._end_of_wait(f"until:{place}", awaited.now + wait)
        if awaited.now >= until:
            await self._keep(f"event:{place}", "null")
            raise _too_late(source, key)
        self.waits = True
        raise Waits(source, key, until)

    async def outcomes(
        self, job_ids: Sequence[str], seen: Callable[[list[JobState]], None] | None
    ) -> list[JobState]:
        """How the jobs ended.

        Raises:
            Waits: not all of them have.
        """
        states = await self._services.states(self._claim, job_ids)
        if seen is not None:
            seen(states)
        unfinished = sum(state.open for state in states)
        if not unfinished:
            return states
        pause = min(max(_SHORTEST_PAUSE, unfinished * _PAUSE_PER_JOB), _LONGEST_PAUSE)
        self.waits = True
        raise Waits(_NOBODY, f"the jobs of {self._claim.job_id}", self._claim.claimed_at + pause)

    async def _end_of_wait(self, name: str, first: datetime) -> datetime:
        """The moment that the first attempt which waited has set."""
        known = (await self._read()).get(name)
        if known is None:
            known = str(unix_milliseconds(first))
            await self._keep(name, known)
        return from_unix_milliseconds(int(known))

    async def _find(self, name: str, twice: str) -> str | None:
        """What was kept under a name, which an attempt uses once: nothing else tells a call from another in the next one."""
        if name in self._used:
            raise CallRefused(twice)
        self._used.add(name)
        return (await self._read()).get(name)

    async def _keep(self, name: str, text: str) -> None:
        kept, size = await self._read(), len(text.encode())
        if len(kept) >= MOST_KEPT:
            raise CallRefused(f"a job keeps at most {MOST_KEPT} steps, jobs and waits")
        if self._size + size > KEPT_LIMIT:
            raise CallRefused(f"a job keeps at most {KEPT_LIMIT} bytes of what its steps returned")
        await self._services.keep(self._claim, name, text)
        kept[name] = text
        self._size += size

    async def _read(self) -> dict[str, str]:
        if self._over():
            raise AttemptOver
        async with self._reading:
            if self._kept is None:
                self._kept = dict(await self._services.kept(self._claim))
                self._size = sum(len(text.encode()) for text in self._kept.values())
        return self._kept


def made_jobs(kept: Mapping[str, str]) -> list[str]:
    """The ids of the jobs without keys of their own among what a job has kept, in the order of their calls.

    >>> made_jobs({"job:#2": '"job_b"', "job:#10": '"job_c"', "job:#1": '"job_a"', "job::own": '"job_d"', "step:x": "1"})
    ['job_a', 'job_b', 'job_c']
    """
    numbered = {int(name[len(_NTH) :]): text for name, text in kept.items() if name.startswith(_NTH)}
    return [json.loads(numbered[number]) for number in sorted(numbered)]


def _checked_wait(source: str, key: str, within: timedelta | str) -> timedelta:
    if not _SOURCE.fullmatch(source):
        raise CallRefused("a source's name has only a-z, 0-9 and -")
    if not key:
        raise CallRefused("an event is waited for by its key, which is not empty")
    try:
        wait = as_duration(within)
    except ValueError as error:
        raise CallRefused(f"the timeout is {error}") from None
    if not timedelta(0) < wait <= LONGEST_WAIT:
        raise CallRefused("the timeout must be more than zero and at most 365d")
    return wait


def _too_late(source: str, key: str) -> WaitTimeout:
    return WaitTimeout(f"the event {key} of {source} did not come in time")
