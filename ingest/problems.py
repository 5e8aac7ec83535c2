"""Every refusal, as problem+json (RFC 9457). A stranger learns what to do, never what is inside.

``docs/problems.md`` explains each of them to whoever gets one, and a test compares.

HooklineError
└── Problem
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from infra.errors import HooklineError
from ingest.replies import json_reply

_CLOSE = {"Connection": "close"}  # what the sender still sends is not read
_LATER = {"Retry-After": "5"}
_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of refusal.

    Args:
        code: what a program goes by; stable.
        title: what a person reads.
        headers: sent with every one.
    """

    status: int
    code: str
    title: str
    headers: Mapping[str, str] = field(default_factory=dict)


BODY_MALFORMED = Kind(400, "body_malformed", "The body can't be read.")
HTTP_MALFORMED = Kind(400, "http_malformed", "This is no HTTP request.", _CLOSE)
FRAMING_AMBIGUOUS = Kind(400, "framing_ambiguous", "The request can be read in two ways.", _CLOSE)
SIGNATURE_INVALID = Kind(401, "signature_invalid", "The signature does not hold.")
UNAUTHORIZED = Kind(
    401, "unauthorized", "An API key or a signed link is needed.", {"WWW-Authenticate": "Bearer"}
)
SCOPE_MISSING = Kind(403, "scope_missing", "This API key may not do that.")
NOT_FOUND = Kind(404, "not_found", "There is nothing here.")
SHARD_UNSAID = Kind(404, "shard_unsaid", "There are several shards, and this is about one.")
SOURCE_UNKNOWN = Kind(404, "source_unknown", "There is no such source.")
METHOD_NOT_ALLOWED = Kind(405, "method_not_allowed", "This address does not take that method.")
HEADERS_TIMEOUT = Kind(408, "headers_timeout", "The headers did not arrive in time.", _CLOSE)
BODY_TIMEOUT = Kind(408, "body_timeout", "The body did not arrive in time.", _CLOSE)
IDEMPOTENCY_CONFLICT = Kind(409, "idempotency_conflict", "This idempotency_key was used for something else.")
JOB_ENDED = Kind(409, "job_ended", "The job has ended.")
JOB_OPEN = Kind(409, "job_open", "The job has not ended.")
JOB_NOT_FAILED = Kind(409, "job_not_failed", "The job has not failed.")
RUN_TOO_OFTEN = Kind(409, "run_too_often", "It was run again too often.")
REPLAY_ENDED = Kind(409, "replay_ended", "The bulk replay has ended.")
QUARANTINED = Kind(410, "quarantined", "The job was put aside: its record can't be used.")
BODY_TOO_LARGE = Kind(413, "body_too_large", "The body is too large.", _CLOSE)
ENCODING_UNSUPPORTED = Kind(415, "encoding_unsupported", "Compressed bodies are not taken.", _CLOSE)
INVALID = Kind(422, "invalid", "The request can't be carried out as it is.")
CALLBACK_URL_REFUSED = Kind(422, "callback_url_refused", "The callback URL can't be accepted.")
RATE_SPENT = Kind(429, "rate_spent", "The source's rate is spent.")
HEADERS_TOO_LARGE = Kind(431, "headers_too_large", "The headers are too large.", _CLOSE)
INTERNAL = Kind(500, "internal", "A fault of ours; it was logged.")
FILES_CLOSED = Kind(501, "files_closed", "This installation keeps no files.")
CONFIRMATION_FAILED = Kind(503, "confirmation_failed", "The address to confirm at did not answer.", _LATER)
FILES_UNAVAILABLE = Kind(503, "files_unavailable", "Files can't be kept or read just now.", _LATER)
WATCHED_BY_MANY = Kind(503, "watched_by_many", "This process has as many watchers as it takes.", _LATER)
NOT_READABLE = Kind(503, "not_readable", "The records can't be read just now.", _LATER)
NOT_RECORDED = Kind(503, "not_recorded", "Nothing was promised: the event could not be recorded.", _LATER)


class Problem(HooklineError):
    """A request that is answered with an error. What it was raised from goes to the log, and to nobody else.

    Args:
        detail: what is wrong with this request; cut where it is long, for it may repeat what was sent.
        headers: besides those of its kind.
        members: of the body, besides those of RFC 9457.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(kind.title)
        self.kind = kind
        self.detail = (
            detail if detail is None or len(detail) <= _LONGEST_DETAIL else detail[:_LONGEST_DETAIL] + "…"
        )
        self.headers = {**kind.headers, **(headers or {})}
        self.members = members

    @classmethod
    def method_not_allowed(cls, *allowed: str) -> "Problem":
        """405, and what is taken instead."""
        return cls(METHOD_NOT_ALLOWED, f"Use {' or '.join(allowed)}.", headers={"Allow": ", ".join(allowed)})

    def reply(self) -> Response:
        """The answer to send."""
        body = {
            "type": f"urn:hookline:problem:{self.kind.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "code": self.kind.code,
        }
        if self.detail is not None:
            body["detail"] = self.detail
        return json_reply(
            body | self.members, self.kind.status, self.headers, media_type="application/problem+json"
        )
