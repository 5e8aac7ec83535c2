"""One attempt of one callback: write it, POST it, and say what follows from the answer."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from infra.clock import Clock
from infra.ledger.records import CallbackAttempt, Delivery, DueCallback
from infra.tracing import UNTRACED, Traces
from worker.callbacks.payload import outcome_message
from worker.callbacks.post import Post, unsent
from worker.callbacks.receivers import Result
from worker.callbacks.schedule import Answered, Decision, Outcome, decide, spread

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt: what is recorded of it, what it says of the receiver, and for how long that wants to be left alone."""

    delivery: Delivery
    result: Result
    pause: timedelta | None = None


class Sender:
    """Makes single attempts; when the next one is due, the ledger keeps.

    Args:
        schedule: the waits between attempts.
        jitter: a random number from 0 to 1, such as `random.random`.
        status_url: a job's link, by the job's id; None without a public URL.
    """

    def __init__(
        self,
        post: Post,
        *,
        clock: Clock,
        schedule: tuple[timedelta, ...],
        jitter: Callable[[], float],
        status_url: Callable[[str], str | None],
        traces: Traces = UNTRACED,
    ) -> None:
        self._post = post
        self._clock = clock
        self._schedule = schedule
        self._jitter = jitter
        self._status_url = status_url
        self._traces = traces

    async def send(self, due: DueCallback) -> Sent:
        """POST it once. Whatever goes wrong is in the answer; only a cancellation is raised."""
        number = due.attempts + 1
        at = self._clock.now()
        stopwatch = asyncio.get_running_loop().time  # the clock may be set back meanwhile
        begun = stopwatch()
        outcome, reply = await self._attempt(due, at)
        duration = timedelta(seconds=stopwatch() - begun)
        decision = decide(
            outcome, attempt=number - due.earlier, now=self._clock.now(), schedule=self._schedule
        )
        delivered = isinstance(outcome, Answered) and outcome.delivered
        delivery = Delivery(
            callback=due,
            attempt=CallbackAttempt(
                number=number,
                at=at,
                duration=duration,
                status=outcome.status if isinstance(outcome, Answered) else None,
                reply=reply,
                error=None if delivered else str(outcome),
            ),
            status=decision.status,
            retry_after=self._wait(decision),
            reason=decision.reason,
            sent=outcome.result is not Result.UNSENT,
        )
        self._traces.called(delivery)
        return Sent(delivery, outcome.result, pause=decision.wait if decision.exact else None)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._post.aclose()

    async def _attempt(self, due: DueCallback, at: datetime) -> tuple[Outcome, str]:
        """What became of it, and the beginning of the reply."""
        try:
            message = outcome_message(
                due.job, message_id=due.id, status_url=self._status_url(due.job.id), options=due.options
            )
        except Exception as error:  # noqa: BLE001 - one callback's fault must not stop the others
            _log.error("callback %s could not be written: %s", due.id, type(error).__name__)
            return unsent(f"it could not be sent ({type(error).__name__})"), ""
        if along := self._traces.sending(due):
            message = replace(message, headers={**message.headers, **along})
        return await self._post(
            message,
            url=due.url,
            source=due.job.source,
            secret_of=due.options.secret_of,
            message_id=due.id,
            at=at,
        )

    def _wait(self, decision: Decision) -> timedelta | None:
        if decision.wait is None or decision.exact:
            return decision.wait
        return spread(decision.wait, self._jitter())
