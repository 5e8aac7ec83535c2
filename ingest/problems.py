"""Every refusal, as problem+json (RFC 9457). A stranger learns what to do, never what is inside.

HooklineError
└── Problem
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from infra.errors import HooklineError


class Problem(HooklineError):
    """A request that is answered with an error.

    Args:
        status: HTTP's.
        code: what a program goes by; stable.
        title: what a person reads; the same for all problems with this code.
        detail: what is wrong with this request.
        headers: to send along, such as ``Retry-After``.
        more: further members of the body.
    """

    def __init__(
        self, status: int, code: str, title: str, detail: str | None = None,
        *, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(title if detail is None else f"{title}: {detail}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def response(self) -> Response:
        """The answer to send."""
        body: dict[str, Any] = {
            "type": f"urn:hookline:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail is not None:
            body["detail"] = self.detail
        content = json.dumps(body | self.more).encode()
        return Response(content, self.status, self.headers, media_type="application/problem+json")


def signature_invalid() -> Problem:
    """One answer for every fault of a signature: nobody learns how close they were."""
    return Problem(401, "signature_invalid", "The signature does not hold.")


def source_unknown() -> Problem:
    return Problem(404, "source_unknown", "There is no such source.")


def method_not_allowed(*allowed: str) -> Problem:
    return Problem(
        405, "method_not_allowed", "This address does not take that method.", f"Use {' or '.join(allowed)}.",
        headers={"Allow": ", ".join(allowed)},
    )  # fmt: skip


def body_too_large(limit: int) -> Problem:
    """The connection is closed with it: what the sender still sends is not read."""
    return Problem(
        413,
        "body_too_large",
        "The body is too large.",
        f"At most {limit} bytes are taken.",
        headers={"Connection": "close"},
    )


def headers_too_large() -> Problem:
    return Problem(431, "headers_too_large", "The headers are too large.", headers={"Connection": "close"})


def body_timeout() -> Problem:
    return Problem(408, "body_timeout", "The body did not arrive in time.", headers={"Connection": "close"})


def encoding_unsupported() -> Problem:
    return Problem(
        415, "encoding_unsupported", "Compressed bodies are not taken.", "Send it without Content-Encoding."
    )


def body_malformed(detail: str) -> Problem:
    return Problem(400, "body_malformed", "The body can't be read.", detail)


def invalid(detail: str) -> Problem:
    return Problem(422, "invalid", "The request can't be carried out as it is.", detail)


def not_recorded() -> Problem:
    return Problem(
        503, "not_recorded", "Nothing was promised: the event could not be recorded.", "Send it again, with the same id.",
        headers={"Retry-After": "5"},
    )  # fmt: skip


def not_readable() -> Problem:
    return Problem(503, "not_readable", "The records can't be read just now.", headers={"Retry-After": "5"})


def unauthorized() -> Problem:
    return Problem(
        401, "unauthorized", "An API key or a signed link is needed.", headers={"WWW-Authenticate": "Bearer"}
    )


def scope_missing(scope: str) -> Problem:
    return Problem(403, "scope_missing", "This API key may not do that.", f"It lacks the scope {scope!r}.")


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", f"There is no such {what}.")
