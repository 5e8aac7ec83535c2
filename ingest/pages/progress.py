"""How far something is, as a page shows it. ``static/live.js`` says the same of what it is told."""

from collections.abc import Mapping
from typing import Any


def bar(progress: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What stands around a job's bar.

    Args:
        progress: as `ingest.views` shows it.

    >>> told = {"current": 15.0, "total": 250.0, "percent": 6.0, "message": "", "stage": None, "item": "Hey Jude"}
    >>> bar(told) == {"words": "15 of 250", "percent": "6 %", "value": 6.0, "item": "Hey Jude", "stage": ""}
    True
    """
    if progress is None:
        return None
    current, total = f"{progress['current']:.12g}", progress["total"]
    return {
        "words": progress["message"] or (current if total is None else f"{current} of {total:.12g}"),
        "percent": in_percent(progress["percent"]),
        "value": progress["percent"],
        "item": progress["item"] or "",
        "stage": progress["stage"] or "",
    }


def in_percent(value: float | None) -> str:
    """A share as people read it.

    >>> in_percent(6.0), in_percent(33.3), in_percent(None)
    ('6 %', '33.3 %', '')
    """
    return "" if value is None else f"{value:g} %"
