"""The event as a handler sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from handlers.payloads import decode_body


@dataclass(frozen=True, kw_only=True)
class Event:
    """The event as it was sent.

    Args:
        id: ``evt_…``, the same in every attempt and replay: the key for work that must not happen twice.
        headers: names in lower case.
        body: the raw bytes.
        content_type: what it was sent as; empty where nobody said.
    """

    id: str
    source: str
    type: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    content_type: str = ""

    @cached_property
    def payload(self) -> Any:
        """The body: parsed, if it is JSON; else text, or bytes if it is no UTF-8."""
        return decode_body(self.body, self.content_type)
