"""One attempt of one callback: check, sign, POST, and say what became of it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx

from infra.clock import Clock
from infra.egress import Blocked, EgressError, EgressPolicy, check_url
from infra.ledger.records import CallbackAttempt, Delivery, DueCallback
from infra.signatures import standard_webhooks_headers
from worker.callbacks.payload import callback_body
from worker.callbacks.schedule import Answered, Decision, Outcome, Refused, Unanswered, decide, spread

MAX_KEPT: Final = 4 * 1024

_log = logging.getLogger(__name__)


def _user_agent() -> str:
    try:
        return f"Hookline/{version('hookline')}"
    except PackageNotFoundError:  # a checkout that is not installed
        return "Hookline/0"


class Sender:
    """Makes single attempts; when the next one is due, the ledger keeps.

    Args:
        client: over the guarded transport (`infra.egress.guarded_client`).
        secrets_for: a source's ``whsec_…`` secrets, newest first; every one signs.
        schedule: the waits between attempts.
        jitter: a random number from 0 to 1, such as `random.random`.
        timeout: of one attempt, in all.
        status_url: a job's link, by the job's id; None without a public URL.
        policy: what may be called.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        secrets_for: Callable[[str], tuple[str, ...]],
        clock: Clock,
        schedule: tuple[timedelta, ...],
        jitter: Callable[[], float],
        timeout: timedelta,
        status_url: Callable[[str], str | None],
        policy: EgressPolicy,
    ) -> None:
        self._client = client
        self._secrets_for = secrets_for
        self._clock = clock
        self._schedule = schedule
        self._jitter = jitter
        self._timeout = timeout
        self._status_url = status_url
        self._policy = policy
        self._user_agent = _user_agent()

    async def send(self, due: DueCallback) -> Delivery:
        """POST it once. Whatever goes wrong is in the answer; only a cancellation is raised."""
        number = due.attempts + 1
        at = self._clock.now()
        stopwatch = asyncio.get_running_loop().time  # the clock may be set back meanwhile
        begun = stopwatch()
        outcome, reply = await self._post(due, at)
        duration = timedelta(seconds=stopwatch() - begun)
        decision = decide(outcome, attempt=number, now=self._clock.now(), schedule=self._schedule)
        delivered = isinstance(outcome, Answered) and outcome.delivered
        return Delivery(
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
        )

    async def _post(self, due: DueCallback, at: datetime) -> tuple[Outcome, str]:
        """What became of it, and the beginning of the reply."""
        try:
            check_url(due.url, self._policy)
            secrets = self._secrets_for(due.job.source)
            if not secrets:
                return Unanswered(reason="there is no secret to sign with, so nothing was sent"), ""
            body = callback_body(due.job, status_url=self._status_url(due.job.id))
            headers = {
                "Content-Type": "application/json",
                "User-Agent": self._user_agent,
                "Accept-Encoding": "identity",
                **standard_webhooks_headers(secrets, message_id=due.id, timestamp=at, body=body),
            }
            seconds = self._timeout.total_seconds()
            async with self._client.stream(
                "POST", due.url, content=body, headers=headers, timeout=seconds, follow_redirects=False
            ) as reply:
                retry_after = reply.headers.get("Retry-After")
                return Answered(status=reply.status_code, retry_after=retry_after), await _beginning(reply)
        except Blocked as refusal:
            return Refused(reason=refusal.reason), ""
        except EgressError as failure:
            return Unanswered(reason=failure.reason), ""
        except Exception as error:  # noqa: BLE001 - one callback's fault must not stop the others
            _log.error("callback %s could not be sent: %s", due.id, type(error).__name__)
            return Unanswered(reason=f"it could not be sent ({type(error).__name__})"), ""

    def _wait(self, decision: Decision) -> timedelta | None:
        if decision.wait is None or decision.exact:
            return decision.wait
        return spread(decision.wait, self._jitter())


async def _beginning(reply: httpx.Response) -> str:
    """The first 4 KiB of the body, as text. The status counts already: if the rest breaks off, so be it."""
    kept = b""
    with suppress(EgressError, httpx.HTTPError):
        async for part in reply.aiter_raw():  # the transport bounds it
            kept += part[: MAX_KEPT - len(kept)]
    return kept.decode("utf-8", "replace")
