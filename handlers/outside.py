"""What other services' answers mean for a job: a POST with a bearer token, and its failures, which decide about the job as they are.

Reject
└── ServiceRefused   the token, the account or the request: another attempt changes nothing
RetryLater
└── ServiceBusy      it is not there, or wants a pause
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import httpx

from handlers.errors import Reject, RetryLater

_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_LONGEST_REASON: Final = 300


class ServiceRefused(Reject):
    """It will not, now or later."""


class ServiceBusy(RetryLater):
    """Not now.

    Args:
        pause: how long it wants to be left alone.
    """

    def __init__(self, words: str, pause: timedelta = _PAUSE) -> None:
        super().__init__(pause, words)


async def post(
    http: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, token: str | None, name: str
) -> dict[str, Any]:
    """What a service answers to a JSON body.

    Args:
        token: sent as a bearer token; None: none is.
        name: of the service, for the error's text.

    Raises:
        ServiceRefused, ServiceBusy: it does not do it.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await answered(http, url, name=name, json=body, headers=headers)
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not answer.is_success:
        raise ServiceRefused(f"{name} answers {answer.status_code}: {_reason(told)}")
    if not isinstance(told, dict):
        raise ServiceBusy(f"{name} answers {answer.status_code}, and no JSON object")
    return told


async def answered(http: httpx.AsyncClient, url: str, *, name: str, **request: Any) -> httpx.Response:
    """What a service answers to a POST, unless that is to come again later.

    Args:
        name: of the service, for the error's text.
        request: as `httpx.AsyncClient.post` takes it.

    Raises:
        ServiceBusy: it can't be reached, or answers 429 or 5xx.
    """
    try:
        answer = await http.post(url, **request)
    except httpx.TransportError as error:
        raise ServiceBusy(f"{name} can't be reached: {type(error).__name__}") from error
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500:
        raise ServiceBusy(f"{name} answers {answer.status_code}", _pause_of(answer))
    return answer


def _pause_of(answer: httpx.Response) -> timedelta:
    """How long the service wants to be left alone; at most an hour."""
    asked = answer.headers.get("retry-after", "")
    seconds = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    return min(timedelta(seconds=seconds), _LONGEST_PAUSE) if seconds else _PAUSE


def _reason(told: Any) -> str:
    """As Replicate says it, ``detail``, or as OpenAI does, ``error.message``."""
    fields = told if isinstance(told, dict) else {}
    error = fields.get("error")
    reason = error.get("message") if isinstance(error, dict) else fields.get("detail")
    return str(reason or "it does not say why")[:_LONGEST_REASON]
