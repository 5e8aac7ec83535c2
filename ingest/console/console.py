"""The console as one ASGI application: who is not signed in sees the door, and nothing else."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.ledger import LedgerError
from infra.signatures import Headers
from ingest.console.addresses import HOME, is_from_here, is_secure
from ingest.console.door import LOGIN, Door
from ingest.console.visit import VISIT, Frame, Visit
from ingest.intake import ClientGone
from ingest.pages.renderer import Pages
from ingest.problems import NOT_FOUND, NOT_READABLE, Kind, Problem
from ingest.replies import ANSWER

log = logging.getLogger(__name__)

ELSEWHERE: Final = Kind(403, "elsewhere", "Another site sent this.")

_HSTS: Final = "max-age=31536000"
_CURES: Final = {
    NOT_FOUND.code: "It may be past the time for which it is kept, or the address is not complete.",
    NOT_READABLE.code: "Redis does not answer. Nothing is lost that was accepted; this page works again when Redis does. `hookline doctor` says what is wrong.",
}


class Console:
    """Checks who asks before it looks where they want to go, so that no spelling of an address gets around it.

    Args:
        routes: the pages and acts, behind ``/console``.
        entrances: what answers whoever is not signed in, by its path.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        door: Door,
        entrances: Mapping[str, ASGIApp],
        frame: Frame,
        pages: Pages,
        public_url: str | None,
    ) -> None:
        self._router = Router(routes=list(routes), redirect_slashes=False, default=_nowhere)
        self._door = door
        self._entrances = entrances
        self._frame = frame
        self._pages = pages
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope["headers"])
        if is_secure(scope["scheme"], headers, public_url=self._public_url):
            send = _with_headers(send, {"Strict-Transport-Security": _HSTS})
            scope = {**scope, "state": {**scope.get("state", {}), ANSWER: None}}  # which would go past `send`
        try:
            await self._admit(scope, headers, receive, send)
        except Problem as problem:
            await self._refusal(problem, scope)(scope, receive, send)
        except LedgerError as error:
            log.warning("console: %s", error)
            await self._refusal(Problem(NOT_READABLE), scope)(scope, receive, send)
        except ClientGone:
            await Response(status_code=499)(scope, receive, send)

    async def _admit(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Answer whoever may come in, or show them the door.

        Raises:
            Problem, LedgerError, ClientGone: as endpoints do.
        """
        public_url = self._public_url
        if scope["method"] not in ("GET", "HEAD") and not is_from_here(headers, public_url=public_url):
            raise Problem(ELSEWHERE, "Open the console itself, and do it there.")
        if (entrance := self._entrances.get(scope["path"])) is not None:
            await entrance(scope, receive, send)
        elif (visit := await self._door.who(scope)) is None:
            await _to_the_door(scope)(scope, receive, send)
        else:
            scope[VISIT] = visit
            await self._router(scope, receive, send)

    def _refusal(self, problem: Problem, scope: Scope) -> Response:
        """Why not, and what helps; in the frame, where somebody is signed in."""
        visit: Visit | None = scope.get(VISIT)
        text = problem.detail or _CURES.get(problem.kind.code, "")
        told = {"title": problem.kind.title, "text": text, "back": None}
        if visit is None:
            return self._pages.page("refusal.html", told, status=problem.kind.status, headers=problem.headers)
        response = self._frame.page(visit, "refusal.html", told, status=problem.kind.status)
        response.headers.update(problem.headers)
        return response


async def _nowhere(_: Scope, __: Receive, ___: Send) -> None:
    raise Problem(NOT_FOUND)


def _to_the_door(scope: Scope) -> Response:
    """And back to where they wanted to go, if that was to look at something."""
    if scope["method"] not in ("GET", "HEAD"):
        return Response(status_code=303, headers={"Location": LOGIN})
    wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    address = LOGIN if wanted == HOME else f"{LOGIN}?next={quote(wanted, safe='/')}"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})


def _with_headers(send: Send, more: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(more)
        await send(message)

    return sending
