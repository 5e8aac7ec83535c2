"""A stand-in for the Fireflies GraphQL API: one meeting, the documented errors, and none of the network.

Source: https://docs.fireflies.ai (GraphQL API: transcript query; fundamentals: errors; miscellaneous: error codes).
"""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.cli.standins.fireflies_meeting import MEETING_ID, meeting
from infra.cli.standins.graphql import UnknownField, read_selection, select
from infra.clock import Clock, SystemClock, unix_milliseconds

API_KEY = "stand-in-key"


class Trouble(StrEnum):
    """What a request can be made to meet, in Fireflies' own codes; the last three are no errors of GraphQL."""

    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    INVARIANT_VIOLATION = "invariant_violation"
    OBJECT_NOT_FOUND = "object_not_found"
    PAID_REQUIRED = "paid_required"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_MANY_REQUESTS = "too_many_requests"
    BAD_GATEWAY = "bad_gateway"
    SUMMARY_PROCESSING = "summary_processing"
    SUMMARY_SKIPPED = "summary_skipped"


_ERRORS = {
    Trouble.AUTH_FAILED: (401, "Invalid API key"),
    Trouble.FORBIDDEN: (403, "You are not authorized to perform this action"),
    Trouble.INVARIANT_VIOLATION: (500, "An invariant was violated"),
    Trouble.OBJECT_NOT_FOUND: (404, "Transcript not found"),
    Trouble.PAID_REQUIRED: (403, "You need to be subscribed to a paid plan to perform this action"),
    Trouble.REQUEST_TIMEOUT: (408, "The request took too long"),
    Trouble.TOO_MANY_REQUESTS: (429, "Too many requests. Please retry later"),
}


class FirefliesStandIn:
    """The server, as an ASGI app, and what it was asked.

    Args:
        api_key: the bearer token that it takes.
        meeting_id: the one meeting that it knows; None: whatever it is asked for is that meeting.
        troubles: what the first requests meet, in order; None, and every request after them, is answered well.
        retry_after: how long it sends callers away for when it is busy.
        clock: what ``retryAfter`` is reckoned by.

    >>> stand_in = FirefliesStandIn(troubles=[Trouble.INVARIANT_VIOLATION])
    >>> stand_in.requests
    0
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        meeting_id: str | None = MEETING_ID,
        troubles: Iterable[Trouble | None] = (),
        retry_after: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
    ) -> None:
        self.requests = 0
        self.app = Starlette(routes=[Route("/graphql", self._answer, methods=["POST"])])
        self._meeting_id = meeting_id
        self._authorization = f"Bearer {api_key}".encode()
        self._troubles = iter(troubles)
        self._retry_after = retry_after
        self._clock = clock or SystemClock()

    async def _answer(self, request: Request) -> Response:
        self.requests += 1
        if not compare_digest(request.headers.get("authorization", "").encode(), self._authorization):
            return self._error(Trouble.AUTH_FAILED)
        trouble = next(self._troubles, None)
        if trouble is Trouble.BAD_GATEWAY:
            return PlainTextResponse("<html>502 Bad Gateway</html>", status_code=502)
        if trouble in _ERRORS:
            return self._error(trouble)
        try:
            asked = await request.json()
            selection = read_selection(asked["query"])
            meeting_id = asked["variables"]["id"]
        except (ValueError, KeyError, TypeError) as error:
            return _reply(400, "GRAPHQL_VALIDATION_FAILED", str(error))
        if self._meeting_id not in (None, meeting_id):
            return self._error(Trouble.OBJECT_NOT_FOUND)
        try:
            data = select({"transcript": self._meeting(meeting_id, trouble)}, selection, type_name="Query")
        except UnknownField as error:
            return _reply(400, "GRAPHQL_VALIDATION_FAILED", str(error))
        return JSONResponse({"data": data})

    def _meeting(self, meeting_id: str, trouble: Trouble | None) -> dict[str, Any]:
        found = meeting() | {"id": meeting_id}
        if trouble is not None:
            found["summary"] = dict.fromkeys(found["summary"])
            found["meeting_info"]["summary_status"] = trouble.removeprefix("summary_")
        return found

    def _error(self, trouble: Trouble) -> Response:
        """As documented; the HTTP status is 200 for most of them, which is why nobody should trust it."""
        status, message = _ERRORS[trouble]
        metadata: dict[str, Any] = {}
        if trouble is Trouble.TOO_MANY_REQUESTS:
            metadata = {"retryAfter": unix_milliseconds(self._clock.now() + self._retry_after)}
        if trouble is Trouble.OBJECT_NOT_FOUND:
            metadata = {"objectType": "Transcript"}
        http_status = 500 if trouble is Trouble.INVARIANT_VIOLATION else 200
        return _reply(http_status, trouble, message, status=status, metadata=metadata)


def _reply(http_status: int, code: str, message: str, **extensions: Any) -> Response:
    error = {"message": message, "code": code, "friendly": True, "extensions": {"code": code, **extensions}}
    return JSONResponse({"data": None, "errors": [error]}, status_code=http_status)
