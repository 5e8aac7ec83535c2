"""Events as the API shows them."""

import re
from base64 import b64encode
from typing import Any, Final

from infra.clock import rfc3339
from infra.ledger.lists import ListedEvent
from infra.ledger.records import EventRecord, EventSummary

_WITHHELD: Final = "***"
_SECRET: Final = re.compile(
    r"authorization|cookie|secret|token|password|signature|hmac|(?:^|-)sig(?:-|$)|(?:api|auth|access|shared|private)-?key",
    re.ASCII | re.IGNORECASE,
)


def listed_event_view(event: ListedEvent) -> dict[str, Any]:
    """An event on a list: what is small."""
    return _summary(event) | {"status": event.status}


def event_view(event: EventRecord) -> dict[str, Any]:
    """An event with its headers, but for what is or may be a secret or a signature, and its body."""
    return _summary(event) | {
        "headers": {
            name: _WITHHELD if _SECRET.search(name) else value for name, value in event.headers.items()
        },
        **body_view(event.body),
        "metadata": dict(event.metadata),
    }


def body_view(body: bytes) -> dict[str, str]:
    r"""A body as JSON can carry it: as text where it is UTF-8, else in base64.

    >>> body_view(b'{"a":1}'), body_view(b"\xff\x00")
    ({'body': '{"a":1}', 'body_encoding': 'utf-8'}, {'body': '/wA=', 'body_encoding': 'base64'})
    """
    try:
        return {"body": body.decode("utf-8"), "body_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"body": b64encode(body).decode("ascii"), "body_encoding": "base64"}


def _summary(event: EventSummary) -> dict[str, Any]:
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "received_at": rfc3339(event.received_at),
        "provider_event_id": event.provider_event_id,
        "content_type": event.content_type,
        "size": event.size,
        "tag": event.tag,
        "accepted_by": event.accepted_by,
        "jobs": list(event.jobs),
        "duplicates": event.duplicates,
        "differing_duplicates": event.differing_duplicates,
        "replay_of": event.replay_of,
    }
