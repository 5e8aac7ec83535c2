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
from handlers.errors import Reject, RetryLater, Waits, WaitSwallowed
from handlers.failures import describe
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from handlers.results import encode_result
from handlers.retry_policy import counts_as_attempt, with_jitter
from handlers.services import Services
from infra.clock import Clock
from infra.ledger.records import Claim, Failed, Finished, Ignored, Outcome, Retried, Waiting


def never() -> bool:
    """The answer of a job that nobody cancels."""
    return False


class Runner:
    """Runs attempts, as many at a time as it is asked to.

    Args:
        executor: where ``def`` handlers run. A thread can't be stopped: when such a handler outlives its timeout, the
            attempt ends without it and the thread stays taken until the function returns.
        effects: where progress and log lines go.
        services: what steps, jobs and waits are kept by.
        clock: what handlers are told the time by.
        jitter: draws a number in [0, 1), such as `random.random`.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        executor: Executor,
        effects: Effects,
        services: Services,
        http: HTTPClients,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._executor = executor
        self._effects = effects
        self._services = services
        self._http = http
        self._clock = clock
        self._jitter = jitter

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
            services=self._services,
            http=self._http,
            clock=self._clock,
            canceled=canceled,
            loop=asyncio.get_running_loop() if handler.blocking else None,
        )
        limit = asyncio.timeout(handler.timeout.total_seconds())
        try:
            async with limit:
                result = await self._call(handler, context)
        except BaseException as error:  # SystemExit in a handler must not end the worker
            if limit.expired() and isinstance(error, TimeoutError | asyncio.CancelledError):
                words = f"the attempt took longer than {handler.timeout.total_seconds():g}s"
                return self.decide(handler, claim, TimeoutError(words).with_traceback(error.__traceback__))
            if _cancelled_from_outside(error):
                raise asyncio.CancelledError from error
            return self.decide(handler, claim, error)
        else:
            return self.decide(handler, claim, WaitSwallowed()) if context.waits else Finished(result=result)
        finally:
            context.end()

    def decide(self, handler: Handler, claim: Claim, error: BaseException) -> Outcome:
        """What an exception means for the job."""
        if (waits := _waits(error)) is not None:
            return Waiting(source=waits.source, key=waits.key, until=waits.until)
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


def _waits(error: BaseException) -> Waits | None:
    """The wait that an exception stands for, also where a task group has wrapped it; none where something else failed too."""
    while isinstance(error, BaseExceptionGroup) and error.split(Waits)[1] is None:
        error = error.exceptions[0]
    return error if isinstance(error, Waits) else None


def _cancelled_from_outside(error: BaseException | None) -> bool:
    """Whether the attempt's own task was cancelled, and the error is what came of it.

    A handler can raise CancelledError by itself. And a task group that failed may leave its task marked as being
    cancelled (Python 3.11, where the group was waiting for its tasks), with another error.
    """
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return False
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, asyncio.CancelledError):
            return True
        seen.add(id(error))
        error = error.__context__
    return False
