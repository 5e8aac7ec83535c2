"""The short way of what comes most."""

import re
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.answers import ANSWERS

_SHORT: Final = re.compile(r"/hooks/(?P<source>[^/]+)|/jobs/(?P<id>job_[^/]+)")


class Shortcut:
    """Middleware that takes webhooks, and looks at single jobs, to their endpoints: the router's way there costs as much as
    reading their JSON.

    What does not look like one goes on to the router, which knows the endpoints too.
    """

    def __init__(self, app: ASGIApp, *, receive: ASGIApp, read_job: ASGIApp) -> None:
        self._app = app
        self._endpoints = {"source": receive, "id": read_job}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _SHORT.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None or found.lastgroup is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {found.lastgroup: found[found.lastgroup]}
        try:
            await self._endpoints[found.lastgroup](scope, receive, send)
        except tuple(ANSWERS) as error:
            answer = next(answer for kind, answer in ANSWERS.items() if isinstance(error, kind))
            response = await answer(Request(scope), error)
            await response(scope, receive, send)
