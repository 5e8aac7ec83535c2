"""A stand-in for Dropbox's HTTP API: tokens that run out, upload sessions that can be cut, links; in memory.

Source: https://www.dropbox.com/developers/documentation/http/documentation and https://developers.dropbox.com/oauth-guide.
"""

import base64
import json
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

APP_KEY, APP_SECRET, REFRESH_TOKEN = "app", "app-secret", "refresh"


class Trouble(StrEnum):
    """What a call for a file or a link can be made to meet."""

    BUSY = "busy"
    DOWN = "down"
    EXPIRED = "expired"
    HALF_HEARD = "half_heard"
    FULL = "full"


class DropboxStandIn:
    """The server, as an ASGI app, the files that it was given, and how many bytes of them it took.

    Args:
        troubles: what the first calls meet, in order; None, and every call after them, goes well. Calls for tokens meet none.
    """

    def __init__(self, *, troubles: Iterable[Trouble | None] = ()) -> None:
        self.files: dict[str, bytes] = {}
        self.tokens_given = 0
        self.received = 0
        self._troubles = iter(troubles)
        self._token = ""
        self._sessions: dict[str, bytearray] = {}
        self._closed: set[str] = set()
        self._links: dict[str, str] = {}
        upload = "/2/files/upload_session"
        self.app = Starlette(
            routes=[
                Route("/oauth2/token", self._give_token, methods=["POST"]),
                Route(f"{upload}/start", self._start, methods=["POST"]),
                Route(f"{upload}/append_v2", self._append, methods=["POST"]),
                Route(f"{upload}/finish", self._finish, methods=["POST"]),
                Route("/2/sharing/create_shared_link_with_settings", self._share, methods=["POST"]),
                Route("/s/{number:int}", self._give, methods=["GET"]),
            ]
        )

    async def _give_token(self, request: Request) -> Response:
        form = (await request.body()).decode()
        known = base64.b64encode(f"{APP_KEY}:{APP_SECRET}".encode()).decode()
        if (
            request.headers.get("authorization") != f"Basic {known}"
            or f"refresh_token={REFRESH_TOKEN}" not in form
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        self._token = secrets.token_hex(8)
        self.tokens_given += 1
        return JSONResponse({"access_token": self._token, "token_type": "bearer", "expires_in": 14400})

    async def _start(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        session = secrets.token_hex(8)
        self._sessions[session] = bytearray(await request.body())
        return JSONResponse({"session_id": session})

    async def _append(self, request: Request) -> Response:
        trouble = next(self._troubles, None)
        if (refused := self._refused(request, trouble)) is not None:
            return refused
        cursor = _argument(request)["cursor"]
        if (over := self._over(cursor["session_id"])) is not None:
            return _conflict({".tag": over}, f"{over}/..")
        held, piece = self._sessions[cursor["session_id"]], await request.body()
        if trouble is Trouble.HALF_HEARD:
            held += piece[: len(piece) // 2]
            self.received += len(piece) // 2
        if cursor["offset"] != len(held):
            return _conflict({".tag": "incorrect_offset", "correct_offset": len(held)}, "incorrect_offset/..")
        held += piece
        self.received += len(piece)
        return JSONResponse(None)

    async def _finish(self, request: Request) -> Response:
        trouble = next(self._troubles, None)
        if (refused := self._refused(request, trouble)) is not None:
            return refused
        argument = _argument(request)
        session = argument["cursor"]["session_id"]
        if (over := self._over(session)) is not None:
            return _conflict(
                {".tag": "lookup_failed", "lookup_failed": {".tag": over}}, f"lookup_failed/{over}/.."
            )
        held = self._sessions[session]
        if argument["cursor"]["offset"] != len(held):
            wrong = {".tag": "incorrect_offset", "correct_offset": len(held)}
            return _conflict(
                {".tag": "lookup_failed", "lookup_failed": wrong}, "lookup_failed/incorrect_offset/.."
            )
        path = argument["commit"]["path"]
        self.files[path] = bytes(held)
        self._closed.add(session)
        return JSONResponse({"path_display": path, "size": len(held)})

    async def _share(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        path = (await request.json())["path"]
        link = {"url": f"{request.base_url}s/{len(self._links)}?dl=0", "path_lower": path}
        if path in self._links:
            known = {"url": self._links[path], "path_lower": path}
            error = {".tag": "shared_link_already_exists", "shared_link_already_exists": {"metadata": known}}
            return _conflict(error, "shared_link_already_exists/..")
        self._links[path] = link["url"]
        return JSONResponse(link)

    async def _give(self, request: Request) -> Response:
        """What is behind a link."""
        paths = list(self._links)[request.path_params["number"] :]
        return Response(self.files[paths[0]]) if paths else PlainTextResponse("no such link", 404)

    def _over(self, session: str) -> str | None:
        """Why a session takes no more."""
        if session in self._closed:
            return "closed"
        return None if session in self._sessions else "not_found"

    def _refused(self, request: Request, trouble: Trouble | None = None) -> Response | None:
        if trouble is Trouble.EXPIRED:
            self._token = ""
        if not self._token or request.headers.get("authorization") != f"Bearer {self._token}":
            return JSONResponse(
                {"error_summary": "expired_access_token/.", "error": {".tag": "expired_access_token"}}, 401
            )
        match trouble:
            case Trouble.BUSY:
                return JSONResponse({"error_summary": "too_many_requests/."}, 429, {"Retry-After": "7"})
            case Trouble.DOWN:
                return PlainTextResponse("<html>", 502)
            case Trouble.FULL:
                return _conflict(
                    {".tag": "path", "reason": {".tag": "insufficient_space"}}, "path/insufficient_space/.."
                )
        return None


def _argument(request: Request) -> dict[str, Any]:
    argument: dict[str, Any] = json.loads(request.headers["dropbox-api-arg"])
    return argument


def _conflict(error: dict[str, Any], summary: str) -> Response:
    return JSONResponse({"error_summary": summary, "error": error}, 409)
