"""One attempt of one job: find the handler, call it, decide what becomes of the job.

The worker and the tests of handlers run this same code. It touches no Redis: it gets a `Claim` and returns an
`Outcome`, and whoever called it writes that down.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor

from handlers.context import Context, Effects
from handlers.declaration import Handler
from handlers.errors import Reject, RetryLater
from handlers.failures import describe
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from handlers.results import encode_result
from handlers.retry_policy import counts_as_attempt, with_jitter
from infra.clock import Clock
from infra.ledger.records import Claim, Failed, Finished, Ignored, Outcome, Retried


def never() -> bool:
    """The answer of a job that nobody cancels."""
    return False


class Runner:
    """Runs attempts, as many at a time as it is asked to.

    Args:
        executor: where ``def`` handlers run. A thread can't be stopped: when such a handler outlives its timeout, the
            attempt ends without it and the thread stays taken until the function returns.
        effects: where progress and log lines go.
        clock: what handlers are told the time by.
        jitter: draws a number in [0, 1), such as `random.random`.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        executor: Executor,
        effects: Effects,
        http: HTTPClients,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._executor = executor
        self._effects = effects
        self._http = http
        self._clock = clock
        self._jitter = jitter

    def handles(self, source: str, type: str) -> bool:  # noqa: A002 - the contract's word
        """Whether there is a handler for such events."""
        return self._registry.find(source, type) is not None

    async def run(self, claim: Claim, *, canceled: Callable[[], bool] = never) -> Outcome:
        """Make the attempt, and say what becomes of the job.

        Args:
            canceled: what `Context.canceled` asks; called from any thread.

        Raises:
            asyncio.CancelledError: the caller cancelled it. Nothing else: whatever a handler raises is an outcome.
        """
        handler = self._registry.find(claim.source, claim.type)
        if handler is None:
            return Ignored()
        context = Context(
            claim,
            effects=self._effects,
            http=self._http,
            clock=self._clock,
            canceled=canceled,
            blocking=handler.blocking,
        )
        limit = asyncio.timeout(handler.timeout.total_seconds())
        try:
            async with limit:
                return Finished(result=await self._call(handler, context))
        except BaseException as error:  # SystemExit in a handler must not end the worker
            if _cancelled_from_outside():
                raise asyncio.CancelledError from error
            if isinstance(error, TimeoutError) and limit.expired():
                error.args = (f"the attempt took longer than {handler.timeout.total_seconds():g}s",)
            return self.decide(handler, claim, error)
        finally:
            context.end()

    def decide(self, handler: Handler, claim: Claim, error: BaseException) -> Outcome:
        """What an exception means for the job."""
        info = describe(error)
        wait = handler.policy.delay_after(attempt=claim.failures_before + 1)
        if isinstance(error, Reject):
            return Failed(error=info)
        if isinstance(error, RetryLater):
            counted = counts_as_attempt(asked_to_count=error.count, age=claim.claimed_at - claim.created_at)
            if counted and wait is None:
                return Failed(error=info)
            return Retried(delay=error.delay, error=info, counted=counted)
        if wait is None:
            return Failed(error=info)
        return Retried(delay=with_jitter(wait, self._jitter()), error=info)

    async def _call(self, handler: Handler, context: Context) -> str:
        """The result as JSON text."""
        if not handler.blocking:
            return encode_result(await handler.function(**handler.arguments(context)))
        loop, scope = asyncio.get_running_loop(), contextvars.copy_context()
        result = await loop.run_in_executor(self._executor, scope.run, _call_blocking, handler, context)
        if isinstance(result, BaseException):
            raise result
        return result


def _call_blocking(handler: Handler, context: Context) -> str | BaseException:
    """Runs in a thread. Exceptions are returned: a future can't carry every one (StopIteration, for one)."""
    try:
        return encode_result(handler.function(**handler.arguments(context)))
    except BaseException as error:  # noqa: BLE001 - given to `Runner.run`, which judges it
        return error


def _cancelled_from_outside() -> bool:
    """Whether the attempt's own task is being cancelled; a handler can also raise CancelledError by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
