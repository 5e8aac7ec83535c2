"""Refusals, at the addresses that people are given links to: a page for browsers, the problem as it is for programs."""

import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Scope

from infra.signatures import Headers
from ingest.pages.renderer import VARY, Pages, prefers_page
from ingest.problems import JOB_ENDED, METHOD_NOT_ALLOWED, NOT_FOUND, SCOPE_MISSING, UNAUTHORIZED, Problem

_FOR_PEOPLE: Final = re.compile(r"/(?:jobs|batches)/[^/]+(?:/cancel)?")
_CANCEL: Final = "/cancel"
_WORDS: Final = {
    UNAUTHORIZED.code: (
        "This link does not work",
        "It has expired, or lost a part on its way. Ask whoever gave it to you for a new one.",
    ),
    SCOPE_MISSING.code: ("Not with this link", "It may look, and change nothing."),
    NOT_FOUND.code: (
        "There is nothing here",
        "What was here may be past the time for which it is kept, or the address is not complete.",
    ),
    JOB_ENDED.code: ("It had ended already", "There was nothing left to cancel."),
    METHOD_NOT_ALLOWED.code: ("Nothing to see here", "This address does something; it shows nothing."),
}


def refusal(pages: Pages, scope: Scope, problem: Problem) -> Response:
    """The answer to a request that is refused: of whatever kind suits who asked, and where.

    It says no more than the problem does: a page tells strangers nothing either.
    """
    if not _FOR_PEOPLE.fullmatch(scope["path"]):
        return problem.reply()
    if not prefers_page(Headers(scope["headers"]).get("accept")):
        response = problem.reply()
        MutableHeaders(raw=response.raw_headers).update(VARY)
        return response
    title, text = _WORDS.get(problem.kind.code, (problem.kind.title, problem.detail or ""))
    back = _back(scope) if problem.kind.code in (JOB_ENDED.code, SCOPE_MISSING.code) else None
    return pages.page(
        "refusal.html",
        {"title": title, "text": text, "back": back},
        status=problem.kind.status,
        headers={**problem.headers, **VARY},
    )


def _back(scope: Scope) -> str | None:
    """Where the job is whose cancel was refused."""
    path = scope["path"]
    if not path.endswith(_CANCEL):
        return None
    return f"{path.removesuffix(_CANCEL)}?{scope['query_string'].decode('latin-1')}"
