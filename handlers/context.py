"""What a handler is given: the event, the payload, and ways to say how it is getting on."""

import asyncio
import inspect
import json
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from handlers.bounds import clip
from handlers.durable import Durable
from handlers.errors import AttemptOver
from handlers.event import Event
from handlers.files import Files
from handlers.http_clients import HTTPClients
from handlers.services import JobState, Services
from infra.clock import Clock
from infra.ledger.records import Claim, Progress

TEXT_LIMIT = 500
LINE_LIMIT = 2 << 10
LINES_PER_ATTEMPT = 200
FETCH_SECONDS = 30.0

_T = TypeVar("_T")


class Effects(Protocol):
    """Where progress and log lines go. Called from any thread; returns at once and raises nothing."""

    def progress(self, job_id: str, progress: Progress) -> None:
        """The newest word on how far the job is."""

    def log(self, job_id: str, level: str, message: str) -> None:
        """One line of the job's log; `level` is ``debug``, ``info``, ``warning`` or ``error``."""


class Log:
    """The job's own log, called as one of `logging` is. A line is cut at 2 KiB, and an attempt may write 200; one more says that the
    rest is missing."""

    def __init__(self, job_id: str, effects: Effects) -> None:
        self._job_id = job_id
        self._effects = effects
        self._numbers = count(1)
        self._over = False

    def debug(self, message: str, *values: object) -> None:
        self._line("debug", message, values)

    def info(self, message: str, *values: object) -> None:
        self._line("info", message, values)

    def warning(self, message: str, *values: object) -> None:
        self._line("warning", message, values)

    def error(self, message: str, *values: object) -> None:
        self._line("error", message, values)

    def end(self) -> None:
        """The attempt is over: what is still said is not heard."""
        self._over = True

    def _line(self, level: str, message: str, values: tuple[object, ...]) -> None:
        number = next(self._numbers)
        if number <= LINES_PER_ATTEMPT:
            self._write(level, clip(message % values if values else str(message), LINE_LIMIT))
        elif number == LINES_PER_ATTEMPT + 1:
            self._write("warning", f"more than {LINES_PER_ATTEMPT} lines in one attempt: the rest is dropped")

    def _write(self, level: str, message: str) -> None:
        if not self._over:
            self._effects.log(self._job_id, level, message)


class _End:
    """Whether an attempt is over, for all who go on beside it, in whatever thread: nobody waits for it, so it needs no lock."""

    __slots__ = ("come",)

    def __init__(self) -> None:
        self.come = False

    def has_come(self) -> bool:
        return self.come


class Context:
    """One attempt of one job, as its handler sees it. Everything works from ``def`` handlers too, without ``await``.

    Args:
        services: what steps, jobs and waits are kept by.
        canceled: asked whenever the handler asks.
        loop: of the attempt, where the handler runs in a thread beside it; None: it runs in the loop.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        effects: Effects,
        services: Services,
        http: HTTPClients,
        clock: Clock,
        canceled: Callable[[], bool],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.job_id = claim.job_id
        self.attempt = claim.attempt
        self.metadata = claim.metadata
        self.log = Log(claim.job_id, effects)
        self._claim = claim
        self._effects = effects
        self._services = services
        self._http = http
        self._clock = clock
        self._canceled = canceled
        self._loop = loop
        self._made: Durable | None = None
        self._opened: Files | None = None
        self._end = _End()

    @cached_property
    def event(self) -> Event:
        """What was received."""
        claim = self._claim
        return Event(
            id=claim.event_id,
            source=claim.source,
            type=claim.type,
            received_at=claim.received_at,
            headers=claim.headers,
            body=claim.body,
            content_type=claim.content_type,
        )

    @property
    def payload(self) -> Any:
        """The body: parsed, if it is JSON; else text, or bytes if it is no UTF-8."""
        return self.event.payload

    @property
    def http(self) -> Any:
        """An `httpx.AsyncClient` in an ``async def`` handler, an `httpx.Client` in a ``def`` handler.

        It is shared by all jobs of the worker: timeouts are set, cookies are not kept, and it is not yours to close.
        For URLs that you chose; an address that a payload brought along may point anywhere.
        """
        return self._http.asynchronous if self._loop is None else self._http.blocking

    def fetch(self, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """GET a URL that a payload brought along: an `httpx.Response`, up to 16 MiB, whole within 30 seconds.

        To be awaited in an ``async def`` handler. Only what is public is called, by https, and what
        ``HOOKLINE_CALLBACK_ALLOW`` lists; each redirect is checked like the first URL.

        Raises:
            Blocked: the URL may not be called (`infra.egress`).
            Unreachable: there was no proper answer.
        """
        return self._done(self._fetch(url, headers))

    def artifact(self, name: str, content: Path | bytes | str, content_type: str | None = None) -> Any:
        """Keep a file that the job made: ``{"name", "url", "size", "sha256", "content_type", "expires_at"}``, for the result.

        To be awaited in an ``async def`` handler. Anyone who has the URL may load the file until it expires. A later attempt
        that keeps a file of the same name replaces it.

        Args:
            content: the path of a file, or what is in it.
            content_type: guessed from the name when left out.

        Raises:
            CallRefused: the name is none, or this installation keeps no files (``HOOKLINE_FILES``).
            FileError: it is larger than ``HOOKLINE_MAX_FILE``, or could not be kept.
        """
        return self._done(self._files.keep(name, content, content_type))

    def download(self, reference: str) -> Any:
        """The `Path` of a file that a payload names: by the id that ``POST /files`` gave, or by an https URL.

        To be awaited in an ``async def`` handler. A URL is called as by `fetch`; ten minutes, ``HOOKLINE_MAX_FILE`` bytes.

        Raises:
            CallRefused: this installation keeps no files.
            FileMissing: there is none, or the URL says so with a 4xx.
            FileError: it is too large, or could not be loaded.
            Blocked, Unreachable: as `fetch` (`infra.egress`).
        """
        return self._done(self._files.load(reference))

    @property
    def folder(self) -> Path:
        """An empty directory of this attempt's own, removed with all that is in it when the attempt ends."""
        return self._files.folder

    @property
    def canceled(self) -> bool:
        """Whether to stop: the job was canceled, or this attempt is over because it took too long.

        An ``async def`` handler is interrupted anyway; a thread can't be, so a long ``def`` handler should ask.
        """
        return self._end.come or self._canceled()

    def now(self) -> datetime:
        """The time, in UTC. Tests move it."""
        return self._clock.now()

    def progress(
        self,
        current: float,
        total: float | None,
        message: str = "",
        *,
        stage: str | None = None,
        item: str | None = None,
    ) -> None:
        """Say how far the work is; callers see it at once.

        Args:
            total: None while it is unknown.
            stage: the part of the work, such as ``"upload"``.
            item: what is being worked on.

        Raises:
            ValueError: a number is negative or not finite.
        """
        if not all(math.isfinite(number) and number >= 0 for number in (current, total or 0)):
            raise ValueError("progress needs finite numbers, zero or more")
        report = Progress(
            current=current,
            total=total,
            message=clip(message, TEXT_LIMIT),
            stage=None if stage is None else clip(stage, TEXT_LIMIT),
            item=None if item is None else clip(item, TEXT_LIMIT),
        )
        if not self._end.come:
            self._effects.progress(self.job_id, report)

    def step(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns, from the first attempt in which it returned: it isn't called again.

        To be awaited in an ``async def`` handler, where a plain function runs in a thread.

        Args:
            name: its own in the handler, up to 128 characters, and the same in every attempt.
            function: returns JSON, up to 1 MiB. What it raises is not kept.

        Raises:
            CallRefused: the name is none, or taken; more than 5,000 steps, or 8 MiB in all.
            Reject: what it returned is no JSON, or too large.
            LedgerError: Redis did not confirm; the attempt should end.
        """
        return (
            self._durable.step(name, function, args)
            if self._loop is None
            else self._step(name, function, args)
        )

    def enqueue(
        self,
        type: str,  # noqa: A002 - the contract's word
        payload: Any = None,
        *,
        queue: str | None = None,
        run_in: timedelta | str | float | None = None,
        run_at: datetime | None = None,
        ordering_key: str | None = None,
        tag: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        shared_key: str | None = None,
    ) -> Any:
        """Make a job of the source ``api``, once, however often the attempt is repeated. Returns its id.

        To be awaited in an ``async def`` handler. The words are those of ``POST /jobs``.

        Args:
            idempotency_key: tells one job of this one from another; left out: the place of the call in the attempt
                counts, so calls must come in the same order every time.
            shared_key: of all jobs that use it, the first makes the job, and the others get its id.

        Raises:
            CallRefused: nobody handles the type, or a word means nothing.
            LedgerError: Redis did not confirm; the attempt should end.
        """
        return self._done(
            self._durable.enqueue(
                type,
                payload,
                queue=queue,
                run_in=run_in,
                run_at=run_at,
                ordering_key=ordering_key,
                tag=tag,
                metadata=metadata,
                callback_url=callback_url,
                idempotency_key=idempotency_key,
                shared_key=shared_key,
            )
        )

    def wait_for(self, source: str, key: str, timeout: timedelta | str) -> Any:
        """The `Event` of a source that has this key: what its ``wait_key`` says, or the provider's id of the event.

        To be awaited in an ``async def`` handler. Until it comes the job is ``scheduled`` and holds nothing; then the
        handler starts again, its steps are kept, and this returns the event. One that came before is found too.

        Raises:
            WaitTimeout: it did not come in time, counted from the first call.
            CallRefused: such an event can't be waited for, or is waited for twice.
            LedgerError: Redis did not confirm; the attempt should end.
        """
        return self._done(self._durable.wait_for(source, key, timeout))

    def jobs(self, job_ids: Sequence[str]) -> Any:
        """How jobs stand now, in that order: a list of `JobState`, with `id`, `status`, `result`, `error` and `progress`.

        To be awaited in an ``async def`` handler. For the jobs that this one made, and those that it was told of.
        """
        return self._done(self._services.states(self._claim, job_ids))

    def children(self, job_id: str) -> Any:
        """The ids of the jobs that a job made by `enqueue` without an `idempotency_key`, in that order; to be awaited likewise.

        So a job can build upon what an earlier one, which failed or was canceled, has had done.
        """
        return self._done(self._services.children(self._claim, job_id))

    def recent(self, type: str, *, tag: str | None = None, limit: int = 100) -> Any:  # noqa: A002 - the contract's word
        """The newest jobs of a type of the source ``api``, whoever made them, newest first: a list of `JobState`; to be awaited likewise.

        Args:
            tag: only those that were made with it.
            limit: 1 to 1,000 of them.
        """
        return self._done(self._services.recent(self._claim, type, tag, min(max(limit, 1), 1_000)))

    def outcomes(self, job_ids: Sequence[str], seen: Callable[[list[JobState]], None] | None = None) -> Any:
        """How jobs ended, in that order, once all of them have.

        To be awaited in an ``async def`` handler. Until then the job is ``scheduled`` and holds nothing, and the handler starts
        again over its kept steps every now and then, as with `wait_for`.

        Args:
            seen: told at each look how they stand; a place to report progress.
        """
        return self._done(self._durable.outcomes(job_ids, seen))

    @property
    def waits(self) -> bool:
        """Whether the attempt had to end because the handler waits for an event, or for jobs."""
        return self._made is not None and self._made.waits

    def end(self) -> None:
        """The attempt is over; a thread that was left behind is told so, and no longer heard."""
        self._end.come = True
        self.log.end()
        if self._opened is not None:
            self._opened.remove()

    @property
    def _durable(self) -> Durable:
        if self._made is None:
            self._made = Durable(self._claim, self._services, over=self._end.has_come)
        return self._made

    @property
    def _files(self) -> Files:
        if self._opened is None:
            self._opened = Files(self._claim, self._services, over=self._end.has_come)
        return self._opened

    def _done(self, work: Coroutine[Any, Any, _T]) -> Coroutine[Any, Any, _T] | _T:
        """In a ``def`` handler what the coroutine returns: its thread waits for the loop."""
        if self._loop is None:
            return work
        if self._end.come:
            work.close()
            raise AttemptOver
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _fetch(self, url: str, headers: Mapping[str, str] | None) -> httpx.Response:
        return await self._http.guarded.get(
            url, headers=headers, timeout=FETCH_SECONDS, follow_redirects=True
        )

    def _step(self, name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """In the handler's own thread, but for a coroutine function, which belongs to the loop."""
        if inspect.iscoroutinefunction(function):
            return self._done(self._durable.step(name, function, args))
        kept: Any = self._done(self._durable.begin(name))
        return json.loads(kept) if kept is not None else self._done(self._durable.end(name, function(*args)))
