"""The Fireflies GraphQL API: one query, its reply as checked values, and its errors sorted by what to do.

HooklineError
└── FirefliesError          with Fireflies' own error code
    ├── FirefliesRefused    it will say the same again: key, plan, permission, arguments
    ├── FirefliesBusy       too many requests; says when to come back
    ├── TranscriptMissing   it knows no such transcript, or not yet
    └── FirefliesDown       no answer, or one of its passing errors

Source: https://docs.fireflies.ai (GraphQL API: transcript query; fundamentals: errors, limits).
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from infra import strict_json
from infra.clock import from_unix_milliseconds
from infra.errors import HooklineError
from infra.strict_json import StrictJSONError

TRANSCRIPT_QUERY = """
query Transcript($id: String!) {
  transcript(id: $id) {
    id title date duration organizer_email transcript_url
    sentences { index speaker_name text start_time end_time }
    summary { overview short_summary action_items keywords }
    meeting_info { summary_status silent_meeting }
  }
}
"""
REFUSALS = frozenset(
    {
        "auth_failed", "paid_required", "forbidden", "not_in_team", "require_elevated_privilege", "account_cancelled",
        "invalid_arguments", "args_required", "require_ai_credits", "graphql_validation_failed",
    }
)  # fmt: skip
TRIES = 3


class FirefliesError(HooklineError):
    """Fireflies answered with an error."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class FirefliesRefused(FirefliesError):
    """The key, the plan, a permission or the arguments: another try would get the same answer."""


class FirefliesBusy(FirefliesError):
    """Too many requests. `retry_at` is when Fireflies wants the next one, if it said so."""

    def __init__(self, message: str, *, code: str, retry_at: datetime | None) -> None:
        super().__init__(message, code=code)
        self.retry_at = retry_at


class TranscriptMissing(FirefliesError):
    """There is no such transcript; right after a webhook it may still appear."""


class FirefliesDown(FirefliesError):
    """No usable answer, or an error that passes or that we don't know."""


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """One utterance; times in seconds from the meeting's start."""

    speaker_name: str | None = None
    text: str | None = None
    start_time: float | None = None
    end_time: float | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What Fireflies' model wrote; lists come as lists or as text with one entry a line."""

    overview: str | None = None
    short_summary: str | None = None
    action_items: str | list[str] | None = None
    keywords: str | list[str] | None = None


class MeetingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`summary_status` is ``processing``, ``processed``, ``failed`` or ``skipped``."""

    summary_status: str | None = None
    silent_meeting: bool | None = None


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting. `date` is in milliseconds since 1970, `duration` in minutes."""

    id: str
    title: str | None = None
    date: float | None = None
    duration: float | None = None
    organizer_email: str | None = None
    transcript_url: str | None = None
    sentences: list[Sentence] | None = None
    summary: Summary | None = None
    meeting_info: MeetingInfo | None = None


async def fetch_transcript(
    meeting_id: str,
    *,
    http: httpx.AsyncClient,
    url: str,
    api_key: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Transcript:
    """Fetch a meeting with its sentences and its summary.

    Errors that pass are tried three times, within about two seconds; longer waits are the job's business.

    Raises:
        FirefliesError: one of the classes above.
    """
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(FirefliesDown),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.3, max=2),
        sleep=sleep,
        reraise=True,
    )
    return await attempts(_query, meeting_id, http, url, api_key)


async def _query(meeting_id: str, http: httpx.AsyncClient, url: str, api_key: str) -> Transcript:
    try:
        response = await http.post(
            url,
            json={"query": TRANSCRIPT_QUERY, "variables": {"id": meeting_id}},
            headers={"Authorization": f"Bearer {api_key}"},
        )
        reply = strict_json.loads(response.content)
    except (httpx.RequestError, StrictJSONError) as error:
        raise FirefliesDown(f"no usable answer: {type(error).__name__}") from error
    if not isinstance(reply, dict):
        raise FirefliesDown(f"no usable answer: HTTP {response.status_code} without an object")
    if errors := reply.get("errors"):
        raise error_from(errors, status=response.status_code)
    if not isinstance(reply.get("data"), dict):
        raise FirefliesDown(f"no usable answer: HTTP {response.status_code} without data")
    return _transcript(reply["data"].get("transcript"))


def _transcript(found: Any) -> Transcript:
    if found is None:
        raise TranscriptMissing("the answer has no transcript")
    try:
        return msgspec.convert(found, Transcript, strict=False)
    except msgspec.ValidationError as error:
        raise FirefliesDown(f"the transcript is not as documented: {error}") from error


def error_from(errors: Any, *, status: int) -> FirefliesError:
    """The first of a reply's ``errors``, as the exception to raise.

    The HTTP status says little: Fireflies sends errors with 200 too. It only helps where a code is unknown.

    >>> error_from([{"message": "Invalid key", "code": "auth_failed", "extensions": {"status": 401}}], status=200)
    FirefliesRefused('auth_failed: Invalid key')
    """
    first = _object(errors[0] if isinstance(errors, list) else errors)
    extensions = _object(first.get("extensions"))
    code = str(first.get("code") or extensions.get("code") or "unknown").lower()
    message = str(first.get("message") or "no message")
    meant = extensions.get("status")
    meant = meant if isinstance(meant, int) else status
    if code == "too_many_requests" or meant == HTTPStatus.TOO_MANY_REQUESTS:
        return FirefliesBusy(
            message, code=code, retry_at=_moment(_object(extensions.get("metadata")).get("retryAfter"))
        )
    if code == "object_not_found":
        return TranscriptMissing(message, code=code)
    if code in REFUSALS or meant in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
    ):
        return FirefliesRefused(message, code=code)
    return FirefliesDown(message, code=code)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(milliseconds: Any) -> datetime | None:
    try:
        return from_unix_milliseconds(int(milliseconds))
    except (TypeError, ValueError, OverflowError, OSError):
        return None
