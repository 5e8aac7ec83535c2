"""One attempt of one callback: check, sign, POST, and say what became of it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx

from infra.clock import Clock
from infra.egress import Blocked, EgressError, NoConnection, URLRefused
from infra.ledger.records import CallbackAttempt, Delivery, DueCallback
from infra.signatures import CallbackKey, standard_webhooks_headers
from worker.callbacks.payload import callback_body
from worker.callbacks.receivers import Result
from worker.callbacks.schedule import Answered, Decision, Outcome, Refused, Unanswered, decide, spread

MAX_KEPT: Final = 4 * 1024

_log = logging.getLogger(__name__)


def _user_agent() -> str:
    try:
        return f"Hookline/{version('hookline')}"
    except PackageNotFoundError:  # a checkout that is not installed
        return "Hookline/0"


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt: what is recorded of it, what it says of the receiver, and for how long that wants to be left alone."""

    delivery: Delivery
    result: Result
    pause: timedelta | None = None


class Sender:
    """Makes single attempts; when the next one is due, the ledger keeps.

    Args:
        transport: the guarded one (`infra.egress.GuardedTransport`).
        private_keys: each signs besides.
        secrets_for: a source's ``whsec_…`` secrets, newest first; every one signs.
        schedule: the waits between attempts.
        jitter: a random number from 0 to 1, such as `random.random`.
        timeout: of one attempt, in all.
        status_url: a job's link, by the job's id; None without a public URL.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        secrets_for: Callable[[str], tuple[str, ...]],
        clock: Clock,
        schedule: tuple[timedelta, ...],
        jitter: Callable[[], float],
        timeout: timedelta,
        status_url: Callable[[str], str | None],
        private_keys: Sequence[CallbackKey] = (),
    ) -> None:
        self._transport = transport
        self._secrets_for = secrets_for
        self._clock = clock
        self._schedule = schedule
        self._jitter = jitter
        self._timeout = timeout
        self._status_url = status_url
        self._private_keys = private_keys
        self._user_agent = _user_agent()

    async def send(self, due: DueCallback) -> Sent:
        """POST it once. Whatever goes wrong is in the answer; only a cancellation is raised."""
        number = due.attempts + 1
        at = self._clock.now()
        stopwatch = asyncio.get_running_loop().time  # the clock may be set back meanwhile
        begun = stopwatch()
        outcome, reply = await self._post(due, at)
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
        )
        return Sent(delivery, outcome.result, pause=decision.wait if decision.exact else None)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._transport.aclose()

    async def _post(self, due: DueCallback, at: datetime) -> tuple[Outcome, str]:
        """What became of it, and the beginning of the reply."""
        try:
            secrets = self._secrets_for(due.job.source)
            if not secrets:
                return _unsent("there is no secret to sign with, so nothing was sent"), ""
            body = callback_body(due.job, status_url=self._status_url(due.job.id))
            headers = {
                "Content-Type": "application/json",
                "User-Agent": self._user_agent,
                "Accept-Encoding": "identity",
                **standard_webhooks_headers(
                    secrets, message_id=due.id, timestamp=at, body=body, private_keys=self._private_keys
                ),
            }
            seconds = self._timeout.total_seconds()
            request = httpx.Request(
                "POST",
                _read(due.url),
                headers=headers,
                content=body,
                extensions={"timeout": {"pool": seconds}},
            )
            reply = await self._transport.handle_async_request(request)
            try:
                retry_after = reply.headers.get("Retry-After")
                return Answered(status=reply.status_code, retry_after=retry_after), await _beginning(reply)
            finally:
                await reply.aclose()
        except Blocked as refusal:
            return Refused(reason=refusal.reason), ""
        except NoConnection as failure:
            return Unanswered(reason=failure.reason, result=Result.UNREACHABLE), ""
        except EgressError as failure:
            return Unanswered(reason=failure.reason), ""
        except Exception as error:  # noqa: BLE001 - one callback's fault must not stop the others
            _log.error("callback %s could not be sent: %s", due.id, type(error).__name__)
            return _unsent(f"it could not be sent ({type(error).__name__})"), ""

    def _wait(self, decision: Decision) -> timedelta | None:
        if decision.wait is None or decision.exact:
            return decision.wait
        return spread(decision.wait, self._jitter())


def _unsent(reason: str) -> Unanswered:
    return Unanswered(reason=reason, result=Result.UNSENT)


@lru_cache(maxsize=1024)
def _read(url: str) -> httpx.URL:
    try:
        read = httpx.URL(url)
        read.host  # noqa: B018 - raises where the host is none
    except (httpx.InvalidURL, ValueError):
        raise URLRefused("this is not a URL") from None
    return read


async def _beginning(reply: httpx.Response) -> str:
    """The first 4 KiB of the body, as text. The status counts already: if the rest breaks off, so be it."""
    kept = b""
    with suppress(EgressError, httpx.HTTPError):
        async for part in reply.aiter_raw():  # the transport bounds it
            kept += part[: MAX_KEPT - len(kept)]
    return kept.decode("utf-8", "replace")
