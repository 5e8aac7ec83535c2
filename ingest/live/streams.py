"""What one watcher is told, from its first message to its last: of one job, or of all."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Final

from infra.ledger import LedgerError, Live
from infra.ledger.live import BEGINNING, CallbackChange, Change, Position
from infra.ledger.records import TERMINAL_STATUSES, CallbackStatus, JobRecord, JobStatus
from infra.routes import Routes
from ingest.live.hub import Hub
from ingest.live.messages import Message, of_gap, of_job
from ingest.live.watcher import Sign, Watcher
from ingest.problems import NOT_FOUND, Problem

_PAUSE_SECONDS: Final = 0.5
_AT_ONCE: Final = 500  # messages


class Stream(ABC):
    """Messages for one watcher: nothing is told twice, and nothing is left out without a word.

    `open` it, take its `batches`, and `close` it, whatever happened.

    Attributes:
        position: behind the last change that was told, or that is part of how things stood.
        verbatim: whether a message that is news is told as it is, and at once; so that it needs no task to be told.
    """

    verbatim = True

    def __init__(self, hub: Hub, live: Live, watcher: Watcher, job_id: str | None = None) -> None:
        self.watcher = watcher
        self.position = BEGINNING
        self.first: list[Message] = []
        self._hub = hub
        self._live = live
        self._watching = ExitStack()
        self._watching.enter_context(hub.watching(watcher, job_id))

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nothing more is to come."""

    async def open(self, last_id: str | None) -> None:
        """Find the first messages: how things stand, or what has changed since an id.

        Raises:
            Problem: 404 where there is no such job.
            LedgerError: Redis does not answer.
        """
        try:
            await self._hub.ready()
            standing = await self._look(missed=last_id is not None)
            after = None if last_id is None else Position.read(last_id)
            changes = None if after is None else await self._hub.between(after, self.position)
            self.first = (
                standing if changes is None else await self._hub.messages(self._of(changes), self.watcher)
            )
        except BaseException:
            self.close()
            raise

    async def batches(self) -> AsyncIterator[list[Message]]:
        """What to tell, as it comes; an empty list now and then, when there is nothing."""
        for place in range(0, len(self.first), _AT_ONCE):
            yield self.first[place : place + _AT_ONCE]
        while not self.over and (waiting := await self.watcher.next()):
            told: list[Message] = []
            for each in waiting:
                if each is Sign.GAP:
                    told += await self._look_again()
                elif isinstance(each, Message) and self.take(each):
                    told.append(each)
            if told or Sign.BEAT in waiting:
                yield told

    def take(self, message: Message) -> bool:
        """Whether a message is news here; then it counts as told."""
        if message.position <= self.position or self.over:
            return False
        self.position = message.position
        self._see(message)
        return True

    def close(self) -> None:
        """Watch no more."""
        self._watching.close()

    @abstractmethod
    async def _look(self, *, missed: bool) -> list[Message]:
        """How things stand, and where in the stream they stand so.

        Args:
            missed: whether changes were missed.
        """

    @abstractmethod
    def _of(self, changes: list[Change]) -> list[Change]:
        """Those that are of interest here."""

    @abstractmethod
    def _see(self, message: Message) -> None:
        """It is told."""

    async def _look_again(self) -> list[Message]:
        """The same, after changes were missed; Redis may have just come back, and may go again."""
        while self.watcher.ended is None:
            try:
                return await self._look(missed=True)
            except LedgerError:
                await asyncio.sleep(_PAUSE_SECONDS)
            except Problem:
                break
        return []


class AllStream(Stream):
    """Of all jobs, what the watcher takes; never over."""

    over = False

    async def _look(self, *, missed: bool) -> list[Message]:
        self.position = await self._live.end()
        return [of_gap(self.position)] if missed else []

    def _of(self, changes: list[Change]) -> list[Change]:
        return changes

    def _see(self, message: Message) -> None:
        pass


class JobStream(Stream):
    """Of one job, until it has ended and its callback, if it has one, is delivered or given up.

    Args:
        operator: whether who watches may see more of the callback than its fate.
    """

    def __init__(
        self, hub: Hub, live: Live, watcher: Watcher, job_id: str, *, routes: Routes, operator: bool
    ) -> None:
        super().__init__(hub, live, watcher, job_id)
        self._job_id = job_id
        self._routes = routes
        self._operator = operator
        self._status: JobStatus | None = None  # of a job that is gone
        self._callback: CallbackStatus | None = None

    @property
    def over(self) -> bool:
        if self._status is None or self._status is JobStatus.IGNORED:
            return True
        return self._status in TERMINAL_STATUSES and self._callback is not CallbackStatus.PENDING

    async def _look(self, *, missed: bool) -> list[Message]:
        job, self.position = await self._live.snapshot(self._job_id)
        self._stand(job)
        if job is None:
            raise Problem(NOT_FOUND)
        entry = await self._routes.find(job.source, job.type)
        return [of_job(job, self.position, entry, operator=self._operator, missed=missed)]

    def _stand(self, job: JobRecord | None) -> None:
        self._status = None if job is None else job.status
        self._callback = None if job is None or job.callback is None else job.callback.status

    def _of(self, changes: list[Change]) -> list[Change]:
        return [change for change in changes if change.job_id == self._job_id]

    def _see(self, message: Message) -> None:
        what = None if message.change is None else message.change.what
        if isinstance(what, CallbackChange):
            self._callback = what.status
        elif isinstance(what, JobStatus):
            self._status = what
            if what in TERMINAL_STATUSES and self._callback in (
                CallbackStatus.DELIVERED,
                CallbackStatus.DEAD,
            ):
                self._callback = CallbackStatus.PENDING  # those were of an earlier round
