"""What is answered where a request ends in an exception."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from infra.ledger import LedgerError
from infra.routes import API_SOURCE
from infra.signatures import SignatureError
from ingest.callers import called_by
from ingest.intake import ClientGone
from ingest.pages.refusals import refusal
from ingest.problems import INTERNAL, NOT_FOUND, NOT_READABLE, SOURCE_UNKNOWN, Problem

log = logging.getLogger(__name__)

_SHOWN_PATH: Final = 200  # characters of a path that a stranger chose


async def _refuse(request: Request, error: Exception) -> Response:
    """The one place where refusals are answered, counted and logged: the sender learns what to do, the log why."""
    problem = cast("Problem", error)
    known = problem.kind is not SOURCE_UNKNOWN
    source = request.scope.get("path_params", {}).get("source", API_SOURCE) if known else None
    request.app.state.metrics.refused(source, problem.kind.code)
    cause = problem.__cause__
    log.log(
        logging.WARNING if problem.kind.status >= 500 else logging.INFO,
        "refused: %s",
        problem.kind.code,
        extra={
            "method": request.method,
            "path": request.scope["path"][:_SHOWN_PATH],
            **called_by(request.scope, request.app.state.client_header),
            "because": str(cause or problem.detail or problem.kind.title),
            "evidence": dict(cause.evidence) if isinstance(cause, SignatureError) else {},
        },
    )
    return refusal(request.app.state.pages, request.scope, problem)


async def _refuse_reading(request: Request, error: Exception) -> Response:
    problem = Problem(NOT_READABLE)
    problem.__cause__ = error
    return await _refuse(request, problem)


async def _refuse_address(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in our words."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return await _refuse(request, Problem.method_not_allowed("GET", "HEAD"))
    return await _refuse(request, Problem(NOT_FOUND))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's word for it; it goes to a closed connection


async def _own_fault(_: Request, __: Exception) -> Response:
    """The server logs it, with its trace."""
    return Problem(INTERNAL).reply()


Answer = Callable[[Request, Exception], Awaitable[Response]]

ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    Problem: _refuse,
    LedgerError: _refuse_reading,
    ClientGone: _answer_nobody,
}
"""What our own endpoints raise."""

OTHER_ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    HTTPException: _refuse_address,
    Exception: _own_fault,
}
"""What the router raises, and what nobody should."""
