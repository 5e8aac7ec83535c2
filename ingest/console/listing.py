"""Lists in the console: the words of their addresses, and a page that says what was wrong with them instead of refusing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.types import Scope

from infra.ledger.lists import Filter, Place
from infra.ledger.records import CallbackStatus, JobStatus
from ingest.api.query import list_query, query_of
from ingest.problems import Problem

SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a list is asked for.

    Args:
        words: the filters, as they stand in the address.
        trouble: what of them can't be understood, in which case the list is shown whole.
    """

    wanted: Filter
    after: Place | None
    words: dict[str, str]
    statuses: type[JobStatus] | type[CallbackStatus]
    trouble: str = ""

    def values(self, following: Place | None) -> dict[str, Any]:
        """What the templates of lists have in common.

        Args:
            following: where the next page begins, if there is one.
        """
        return {
            "words": self.words,
            "trouble": self.trouble,
            "statuses": list(self.statuses),
            "cursor": None if following is None else str(following),
            "begun": self.after is not None,
        }


def asked(scope: Scope, statuses: type[JobStatus] | type[CallbackStatus], *, now: datetime) -> Asked:
    """The filters of a list; those that are left empty in a form count as not given."""
    words = {name: value for name, value in query_of(scope).items() if value and name != "done"}
    try:
        query = list_query(_with(scope, words), statuses, now=now)
    except Problem as problem:
        return Asked(Filter(), None, {}, statuses, problem.detail or problem.kind.title)
    wanted, _, after = query.page
    return Asked(wanted, after, {name: value for name, value in words.items() if name != "cursor"}, statuses)


def _with(scope: Scope, words: dict[str, str]) -> Scope:
    """The same request with these words."""
    return {**scope, "query_string": urlencode(words).encode("ascii")}
