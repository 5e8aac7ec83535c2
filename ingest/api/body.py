"""A request's body that is one JSON object, or nothing; and what such an object narrows to."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from starlette.types import Receive, Scope

from infra import strict_json
from infra.filters import FilterError, read_filter
from infra.ledger.lists import Filter
from infra.ledger.records import CallbackStatus, JobStatus
from ingest.intake import read_body
from ingest.problems import BODY_MALFORMED, INVALID, Problem


async def read_object(
    scope: Scope, receive: Receive, *, limit: int, known: Collection[str]
) -> dict[str, Any]:
    """The object; an empty one where there is no body.

    Args:
        limit: in bytes.
        known: the names that it may have.

    Raises:
        Problem: 400 where the body is not JSON; 422 where it is no object, or has other names; 413, 415 and 408 of `read_body`.
        ClientGone: before the body was whole.
    """
    body = await read_body(scope, receive, limit=limit)
    try:
        sent = strict_json.loads(body) if body else {}
    except strict_json.StrictJSONError as error:
        raise Problem(BODY_MALFORMED, str(error)) from None
    if not isinstance(sent, dict):
        raise Problem(INVALID, "Needs an object - at `$`")
    for name in sent:
        if name not in known:
            raise Problem(INVALID, f"Takes {', '.join(known)} - at `$.{name}`")
    return sent


def filter_in(
    words: Mapping[str, Any],
    statuses: type[JobStatus] | type[CallbackStatus],
    *,
    now: datetime,
    at: str = "$",
) -> Filter:
    """What members with the names of `infra.filters.FILTERS` narrow to.

    Args:
        at: where they stand in the body.

    Raises:
        Problem: 422 with the first fault.
    """
    for name, value in words.items():
        if not isinstance(value, str):
            raise Problem(INVALID, f"Needs text - at `{at}.{name}`")
    try:
        return read_filter(words, statuses, now=now)
    except FilterError as error:
        raise Problem(INVALID, str(error)) from None


def is_dry_run(sent: Mapping[str, Any]) -> bool:
    """Whether many are only to be counted.

    Raises:
        Problem: 422 where that is neither true nor false.
    """
    dry_run = sent.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise Problem(INVALID, "Needs true or false - at `$.dry_run`")
    return dry_run
