"""Bodies that carry several events: each is recorded as an event of its own, with the bytes that stood in the body.

Up to `AT_ONCE` of them are recorded in one step, all or none. A longer list is recorded in several, and
acknowledged once all of them are stored: whoever sends it again, because it wasn't, adds what was missing.
"""

from typing import Any, Final

import msgspec

from infra.expressions import Document

AT_ONCE: Final = 100  # what the ledger records in one step
MOST_EVENTS: Final = 5000  # SendGrid sends up to 768 KiB at a time, some three thousand


def events_of(items: str, document: Document) -> list[bytes] | None:
    r"""The events of a body as they stood there; None where it has no such list and is itself the event.

    Args:
        items: where the list stands: ``$`` is the body itself, ``$.events`` a member of it.
        document: strict JSON.

    >>> body = b'{"events": [ {"id": 1.50, "text": "\\u00e9"}, {} ]}'
    >>> events_of("$.events", Document(headers={}, body=body))
    [b'{"id": 1.50, "text": "\\u00e9"}', b'{}']
    >>> events_of("$.items", Document(headers={}, body=body)) is None
    True
    """
    member = items.removeprefix("$").removeprefix(".")
    said: Any = document.json
    if member and (not isinstance(said, dict) or member not in said):
        return None
    if not isinstance(said[member] if member else said, list):
        return None
    raw = msgspec.json.decode(document.body, type=dict[str, msgspec.Raw])[member] if member else document.body
    return [bytes(item) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]
