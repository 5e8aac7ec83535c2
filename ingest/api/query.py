"""What stands behind the ``?`` of an address."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

from infra.filters import FILTERS, FilterError, read_filter
from infra.ledger.lists import MOST_ON_A_PAGE, Filter, Place
from infra.ledger.records import CallbackStatus, JobStatus
from ingest.problems import INVALID, Problem

_MOST_PARAMETERS: Final = 16
_LIMIT: Final = 50
_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class ListQuery(NamedTuple):
    """What of a list is asked for.

    Args:
        page: what is wanted, how many at the most, and where the page before ended.
        words: the parameters themselves.
    """

    page: tuple[Filter, int, Place | None]
    words: dict[str, str]


def query_of(scope: Scope) -> dict[str, str]:
    """The parameters; of one that stands twice the last.

    Raises:
        Problem: 422 where there are too many.
    """
    if not scope["query_string"]:
        return {}
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise Problem(INVALID, f"At most {_MOST_PARAMETERS} parameters are taken.") from None


def list_query(
    scope: Scope,
    statuses: type[JobStatus] | type[CallbackStatus],
    *,
    now: datetime,
    besides: Collection[str] = (),
) -> ListQuery:
    """The parameters of a list. None is passed over, or the list would be longer than was asked for.

    Args:
        besides: parameters of this list alone.

    Raises:
        Problem: 422 where one is not known, or can't be understood.
    """
    words = query_of(scope)
    known = (*FILTERS, *besides, "limit", "cursor")
    for name in words:
        if name not in known:
            raise Problem(INVALID, f"This list takes {', '.join(known)} - at `{name}`")
    try:
        wanted = read_filter(words, statuses, now=now)
    except FilterError as error:
        raise Problem(INVALID, str(error)) from None
    return ListQuery((wanted, _limit(words.get("limit")), _place(words.get("cursor"), wanted)), words)


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MOST_ON_A_PAGE:
        raise Problem(INVALID, f"Needs a whole number from 1 to {MOST_ON_A_PAGE} - at `limit`")
    return int(text)


def _place(cursor: str | None, wanted: Filter) -> Place | None:
    if cursor is None:
        return None
    place = Place.read(cursor)
    if place is None or not place.is_on_the_way_of(wanted):
        raise Problem(INVALID, "Needs a `next_cursor` of ours, with the filters of its page - at `cursor`")
    return place
