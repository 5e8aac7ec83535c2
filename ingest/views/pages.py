"""Pages of lists as the API shows them."""

from collections.abc import Callable
from typing import Any, TypeVar

from infra.ledger.lists import Page

_T = TypeVar("_T")


def page_view(page: Page[_T], view: Callable[[_T], dict[str, Any]]) -> dict[str, Any]:
    """A page, each of its items as `view` shows it."""
    return {
        "items": [view(item) for item in page.items],
        "next_cursor": None if page.next is None else str(page.next),
    }
