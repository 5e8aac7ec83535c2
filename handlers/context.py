"""What a handler is given: the event, the payload, and ways to say how it is getting on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import count
from typing import Any, Protocol

from handlers.bounds import clip
from handlers.http_clients import HTTPClients
from handlers.payloads import decode_body
from infra.clock import Clock
from infra.ledger.records import Claim, Progress

TEXT_LIMIT = 500
LINE_LIMIT = 2 << 10
LINES_PER_ATTEMPT = 200


class Effects(Protocol):
    """Where progress and log lines go. Called from any thread; returns at once and raises nothing."""

    def progress(self, job_id: str, progress: Progress) -> None:
        """The newest word on how far the job is."""

    def log(self, job_id: str, level: str, message: str) -> None:
        """One line of the job's log; `level` is ``debug``, ``info``, ``warning`` or ``error``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The event as it was sent.

    Args:
        id: ``evt_…``, the same in every attempt and replay: the key for work that must not happen twice.
        headers: names in lower case.
        body: the raw bytes.
    """

    id: str
    source: str
    type: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Log:
    """The job's own log. A line is cut at 2 KiB, and an attempt may write 200; one more says that the rest is missing."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        self._write = write
        self._numbers = count(1)

    def debug(self, message: str) -> None:
        self._line("debug", message)

    def info(self, message: str) -> None:
        self._line("info", message)

    def warning(self, message: str) -> None:
        self._line("warning", message)

    def error(self, message: str) -> None:
        self._line("error", message)

    def _line(self, level: str, message: str) -> None:
        number = next(self._numbers)
        if number <= LINES_PER_ATTEMPT:
            self._write(level, clip(str(message), LINE_LIMIT))
        elif number == LINES_PER_ATTEMPT + 1:
            self._write("warning", f"more than {LINES_PER_ATTEMPT} lines in one attempt: the rest is dropped")


class Context:
    """One attempt of one job, as its handler sees it. Everything works from ``def`` handlers too, without ``await``.

    Args:
        canceled: asked whenever the handler asks.
        blocking: whether the handler runs in a thread, and so gets the blocking HTTP client.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        effects: Effects,
        http: HTTPClients,
        clock: Clock,
        canceled: Callable[[], bool],
        blocking: bool,
    ) -> None:
        self.job_id = claim.job_id
        self.attempt = claim.attempt
        self.metadata = claim.metadata
        self.log = Log(self._write_line)
        self._claim = claim
        self._effects = effects
        self._http = http
        self._clock = clock
        self._canceled = canceled
        self._blocking = blocking
        self._over = False

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
        )

    @cached_property
    def payload(self) -> Any:
        """The body: parsed, if it is JSON; else text, or bytes if it is no UTF-8."""
        return decode_body(self._claim.body, self._claim.content_type)

    @property
    def http(self) -> Any:
        """An `httpx.AsyncClient` in an ``async def`` handler, an `httpx.Client` in a ``def`` handler.

        It is shared by all jobs of the worker: timeouts are set, cookies are not kept, and it is not yours to close.
        For URLs that you chose; an address that a payload brought along may point anywhere.
        """
        return self._http.blocking if self._blocking else self._http.asynchronous

    @property
    def canceled(self) -> bool:
        """Whether to stop: the job was canceled, or this attempt is over because it took too long.

        An ``async def`` handler is interrupted anyway; a thread can't be, so a long ``def`` handler should ask.
        """
        return self._over or self._canceled()

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
        if not self._over:
            self._effects.progress(self.job_id, report)

    def end(self) -> None:
        """The attempt is over; a thread that was left behind is told so, and no longer heard."""
        self._over = True

    def _write_line(self, level: str, message: str) -> None:
        if not self._over:
            self._effects.log(self.job_id, level, message)
