"""When a call is made again: no answer, 429 or 503, as long as that is safe; after what ``Retry-After`` says."""

from collections.abc import Callable
from typing import Any, Final

import httpx
from tenacity import RetryCallState, retry_any, retry_if_exception_type, retry_if_result, stop_after_attempt
from tenacity.wait import wait_random_exponential

from infra.client.calls import Call

TRIES: Final = 5
_LONGEST_PAUSE: Final = 30.0
_BACKOFF: Final = wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE)
BUSY: Final = frozenset({429, 503})


def policy(call: Call, tries: int) -> dict[str, Any]:
    """What tenacity is told about a call; after the last try its answer, or its exception, stands."""
    unanswered: type[httpx.HTTPError] = httpx.TransportError if call.repeatable else httpx.ConnectError
    once_more: Callable[[RetryCallState], bool] = retry_any(
        retry_if_exception_type(unanswered), retry_if_result(_busy(call))
    )
    return {
        "retry": once_more,
        "wait": _pause,
        "stop": stop_after_attempt(tries),
        "retry_error_callback": _last_word,
    }


def _busy(call: Call) -> Callable[[httpx.Response], bool]:
    """A refusal is repeated unless the body was given away with it; what was refused so did nothing."""
    again = call.repeatable or call.content is None
    return lambda answer: again and answer.status_code in BUSY


def _pause(state: RetryCallState) -> float:
    outcome = state.outcome
    if outcome is not None and not outcome.failed:
        asked = asked_pause(outcome.result())
        if asked is not None:
            return asked
    return _BACKOFF(state)


def asked_pause(answer: httpx.Response) -> float | None:
    """The seconds of ``Retry-After``, thirty at the most."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isascii() and asked.isdigit() else None


def _last_word(state: RetryCallState) -> Any:
    if state.outcome is None:
        raise RuntimeError("nothing was tried")
    return state.outcome.result()
