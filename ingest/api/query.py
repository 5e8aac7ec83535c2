"""What stands behind the ``?`` of an address."""

from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from ingest.problems import INVALID, Problem

_MOST_PARAMETERS: Final = 16


def query_of(scope: Scope) -> dict[str, str]:
    """The parameters; of one that stands twice the last.

    Raises:
        Problem: 422 where there are too many.
    """
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise Problem(INVALID, f"At most {_MOST_PARAMETERS} parameters are taken.") from None


def filters_of(scope: Scope, known: Collection[str]) -> dict[str, str]:
    """The parameters of a list, which narrow it; none is passed over, or the list would be longer than was asked for.

    Raises:
        Problem: 422 where one is not known.
    """
    query = query_of(scope)
    for name in query:
        if name not in known:
            raise Problem(INVALID, f"This list takes {', '.join(known)} - at `{name}`")
    return query
