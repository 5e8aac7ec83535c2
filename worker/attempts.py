"""The attempts that run in this worker: started, stopped when the job is no longer ours, and handed on when they end."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

from handlers.declaration import Handler
from handlers.registry import Registry
from infra.ledger.records import Claim, Failed, Outcome, Released, Retried, Settlement
from infra.logs import bind
from infra.metrics import Metrics
from infra.tracing import UNTRACED, Traces
from worker.isolation import Isolation
from worker.routing import Routing

log = logging.getLogger(__name__)


class Attempt:
    """One execution of one job, from its claim to its outcome.

    Attributes:
        begun: on the loop's clock.
        handler: None where this worker has none for the event.
        can_stop: whether a cancellation ends it; else it has a thread, or waits for one.
        stopped: whether the job is no longer ours: it was canceled, or runs elsewhere.
    """

    __slots__ = ("begun", "can_stop", "claim", "handler", "stopped", "task")

    task: "asyncio.Task[Outcome]"

    def __init__(self, claim: Claim, handler: Handler | None, *, can_stop: bool) -> None:
        self.begun = asyncio.get_running_loop().time()
        self.claim = claim
        self.handler = handler
        self.can_stop = can_stop
        self.stopped = False

    def is_stopped(self) -> bool:
        """What `Context.canceled` asks, from any thread."""
        return self.stopped

    @property
    def name(self) -> str:
        """The handler, as the manifest has it."""
        return "" if self.handler is None else self.handler.name


class Attempts:
    """Runs attempts, each in a task of its own.

    Attributes:
        in_threads: how many of them have a thread, or wait for one.

    Args:
        ended: is given every outcome.
        fault: is given what should never be raised here: the process must end with it, and be restarted.
    """

    def __init__(
        self,
        registry: Registry,
        isolation: Isolation,
        routing: Routing,
        *,
        metrics: Metrics,
        traces: Traces = UNTRACED,
        ended: Callable[[Settlement], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        self._registry = registry
        self._isolation = isolation
        self._routing = routing
        self._metrics = metrics
        self._traces = traces
        self._ended = ended
        self._fault = fault
        self._running: dict[asyncio.Task[Outcome], Attempt] = {}
        self.in_threads = 0

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(list(self._running.values()))

    def describe(self, task: "asyncio.Task[Any] | None") -> dict[str, str]:
        """Whose task that is, as fields of a log's line. Safe to call from any thread."""
        attempt = None if task is None else self._running.get(task)
        if attempt is None:
            return {"task": "" if task is None else task.get_name()}
        return {"handler": attempt.name, "job": attempt.claim.job_id}

    def start(self, claim: Claim) -> None:
        """Make an attempt."""
        handler = self._registry.find(claim.source, claim.type)
        attempt = Attempt(
            claim, handler, can_stop=handler is None or self._isolation.can_stop(handler, claim)
        )
        self.in_threads += not attempt.can_stop
        attempt.task = task = asyncio.create_task(self._make(attempt))
        self._running[task] = attempt
        task.add_done_callback(self._over)

    def stop(self, job_ids: Collection[str]) -> None:
        """These jobs are no longer ours: whatever their attempts come to changes nothing.

        A coroutine is cancelled, a child process killed with all that it started. A thread can't be stopped: its handler
        is told, and its slot is free when it returns.
        """
        for attempt in self:
            if attempt.claim.job_id in job_ids and not attempt.stopped:
                attempt.stopped = True
                log.warning(
                    "stopped: the job was canceled, or runs elsewhere", extra={"job": attempt.claim.job_id}
                )
                if attempt.can_stop:
                    attempt.task.cancel()

    async def drain(self, grace: timedelta) -> None:
        """Let what runs end within the grace; what does not is given up, and goes back to its queue."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace.total_seconds())
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=1)
        for attempt in self:  # swallowed its cancellation: its lease speaks for it
            log.error("a handler did not let itself be cancelled", extra={"job": attempt.claim.job_id})

    async def _make(self, attempt: Attempt) -> Outcome:
        """What becomes of one attempt."""
        claim, handler = attempt.claim, attempt.handler
        with (
            bind(job=claim.job_id, event=claim.event_id, attempt=claim.attempt),
            self._traces.attempt(claim, attempt.name) as span,
        ):
            outcome: Outcome
            if handler is None:
                outcome = await self._routing.elsewhere(claim)
            else:
                outcome = await self._isolation.run(handler, claim, canceled=attempt.is_stopped)
            span.ended(outcome)
            if attempt.stopped:
                # Changes nothing where the job is not ours; where it is after all, it runs again.
                return Released()
            if isinstance(outcome, Failed | Retried):
                log.warning("%s %s %s", claim.source, claim.type, _word(outcome), extra={"error": outcome.error.public()})  # fmt: skip
            elif log.isEnabledFor(logging.INFO):
                log.info("%s %s %s", claim.source, claim.type, _word(outcome))
        return outcome

    def _over(self, task: "asyncio.Task[Outcome]") -> None:
        attempt = self._running.pop(task)
        self.in_threads -= not attempt.can_stop
        if task.cancelled():
            outcome: Outcome = Released()
        elif (error := task.exception()) is not None:
            self._fault(error)
            return
        else:
            outcome = task.result()
        handler = attempt.handler
        settlement = Settlement(
            claim=attempt.claim,
            outcome=outcome,
            handler=attempt.name,
            max_attempts=0 if handler is None else handler.policy.max_attempts,
        )
        self._metrics.attempted(settlement, asyncio.get_running_loop().time() - attempt.begun)
        self._ended(settlement)


def _word(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
