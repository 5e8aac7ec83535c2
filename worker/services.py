"""What handlers ask of their worker (`handlers.services`), answered from the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from handlers.durable import made_jobs
from handlers.errors import AttemptOver, CallRefused
from handlers.event import Event
from handlers.services import Awaited, JobState
from infra.clock import Clock
from infra.egress import EgressPolicy, URLRefused, check_url
from infra.files import Artifact
from infra.ledger import Ledger, LedgerError
from infra.ledger.lists import Filter, gather
from infra.ledger.records import Claim, EventRecord, JobRecord
from infra.routes import API_SOURCE, Routes
from infra.submission import Submission
from infra.tracing import UNTRACED, Traces
from worker.files import JobFiles

_PAUSES: Final = (0.1, 0.3, 0.6, 1.0, 2.0)  # seconds, while Redis is away

_T = TypeVar("_T")


class LedgerServices:
    """The `Services` of a worker. What Redis does not confirm is asked for again for a few seconds.

    Args:
        policy: where callbacks may go.
        files: of the jobs.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        policy: EgressPolicy,
        files: JobFiles,
        clock: Clock,
        traces: Traces = UNTRACED,
    ) -> None:
        self._ledger = ledger
        self._routes = Routes(ledger.workers)
        self._policy = policy
        self._files = files
        self._clock = clock
        self._traces = traces

    async def kept(self, claim: Claim) -> Mapping[str, str]:
        return await _confirmed(lambda: self._ledger.steps.kept(claim.job_id))

    async def keep(self, claim: Claim, name: str, text: str) -> None:
        if not await _confirmed(lambda: self._ledger.steps.keep(claim, name, text)):
            raise AttemptOver

    async def enqueue(self, claim: Claim, submission: Submission, key: str) -> str:
        if submission.callback_url is not None:
            try:
                check_url(submission.callback_url, self._policy)
            except URLRefused as refused:
                raise CallRefused(f"the callback URL is refused: {refused.reason}") from None
        entry = await self._routes.find(API_SOURCE, submission.type, sure=True)
        if entry is None and self._routes.any_worker:
            raise CallRefused(f"no worker has a handler for ({API_SOURCE!r}, {submission.type!r})")
        keyed = replace(submission, idempotency_key=key)
        along = self._traces.handed_on(claim)
        arrival = keyed.arrival(entry, self._clock.now(), parent=claim.job_id, headers=along)
        (receipt,) = await _confirmed(lambda: self._ledger.events.accept([arrival]))
        return receipt.job_id

    async def look_for(self, claim: Claim, source: str, key: str, event_id: str | None) -> Awaited:
        now = await _confirmed(self._ledger.reading.now)
        event = await _confirmed(
            lambda: self._ledger.steps.look_for(claim.job_id, source, key, event_id=event_id)
        )
        return Awaited(event=None if event is None else _shown(event), now=now)

    async def states(self, claim: Claim, job_ids: Sequence[str]) -> list[JobState]:  # noqa: ARG002
        jobs = await _confirmed(lambda: self._ledger.reading.jobs_of(job_ids, lean=True))
        return [
            JobState(id=job_id, status="missing") if job is None else _state(job)
            for job_id, job in zip(job_ids, jobs, strict=True)
        ]

    async def children(self, claim: Claim, job_id: str) -> list[str]:  # noqa: ARG002
        return made_jobs(await _confirmed(lambda: self._ledger.steps.kept(job_id)))

    async def recent(self, claim: Claim, type_: str, tag: str | None, limit: int) -> list[JobState]:  # noqa: ARG002
        wanted = Filter(source=API_SOURCE, type=type_, tag=tag)
        page = await _confirmed(lambda: gather(self._ledger.lists.jobs, wanted, limit))
        return [_state(job) for job in page.items]

    async def store(self, claim: Claim, name: str, content_type: str, path: Path) -> Artifact:
        return await self._files.store(claim.job_id, name, content_type, path)

    async def load(self, claim: Claim, reference: str, path: Path) -> None:  # noqa: ARG002
        await self._files.load(reference, path)


async def _confirmed(ask: Callable[[], Awaitable[_T]]) -> _T:
    for pause in _PAUSES:
        try:
            return await ask()
        except LedgerError:
            await asyncio.sleep(pause)
    return await ask()


def _state(job: JobRecord) -> JobState:
    return JobState(
        id=job.id,
        status=job.status,
        type=job.type,
        result=job.result,
        error=job.error,
        progress=job.progress,
        metadata=job.metadata,
    )


def _shown(event: EventRecord) -> Event:
    return Event(
        id=event.id,
        source=event.source,
        type=event.type,
        received_at=event.received_at,
        headers=event.headers,
        body=event.body,
        content_type=event.content_type,
    )
